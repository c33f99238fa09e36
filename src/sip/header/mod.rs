//! The grammar of single headers, decoded on demand from a field's value (RFC 3261 §20, §25).
//!
//! Every decoder accepts folded values, tolerates white space around separators, and returns `None`
//! for a value that it cannot parse. None of them allocates or panics, and each reads every octet a
//! bounded number of times.

mod event;
mod list;
mod media_range;
mod name_addr;
pub(crate) mod octets;
mod parameters;
mod via;

pub use event::{CSeq, Event};
pub use list::{delta_seconds, list_items, retry_after};
pub use media_range::{MediaRange, accepts};
pub use name_addr::NameAddr;
pub use parameters::Parameters;
pub use via::Via;
