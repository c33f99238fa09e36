//! Subscriptions to lists (RFC 4662, 5367; W:B5) and to everybody of a domain (W:D4).
//!
//! A list subscription watches every resource of its list like any other watcher: composed state in
//! memory, no subscription to ourselves. `state` holds what of it is to be told, `body` writes one
//! NOTIFY of it, `membership` decides who is in it, `roster` keeps who is there in a domain.

mod body;
mod membership;
mod request;
mod state;

pub(crate) mod roster;

pub(crate) use body::Selection;
pub(crate) use membership::ListPlan;
pub(crate) use request::requires_list;
pub(crate) use state::Encoding;
pub(crate) use state::ListState;
