//! Resource lists (RFC 4662): what a subscription to a list knows of its resources. Knows no table
//! of subscriptions; `lifecycle` joins both.

pub(crate) mod plan;
pub(crate) mod request;
pub(crate) mod roster;
pub(crate) mod state;
