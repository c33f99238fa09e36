//! Resource lists (RFC 4662): the per-subscription state of a resource list. It does not depend on
//! the subscription table; `lifecycle` combines the two.

pub(crate) mod plan;
pub(crate) mod request;
pub(crate) mod roster;
pub(crate) mod state;
