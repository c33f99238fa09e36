//! Containers without knowledge of SIP: a slab with stable places, a map that grows in steps, a
//! timer wheel.

pub(crate) mod incremental_map;
pub(crate) mod slab;
pub(crate) mod timer_wheel;
