//! Subscriptions to lists (RFC 4662, 5367; W:B5) and to everybody of a domain (W:D4).
//!
//! A list subscription watches every resource of its list like any other watcher: composed state in
//! memory, no subscription to ourselves. `state` holds what of it is to be told, `selection`
//! chooses what one NOTIFY tells, as much as `budget` allows, `body` writes it, `membership` decides who is in it, `roster` keeps who is there in a domain.

mod body;
mod budget;
mod membership;
pub(crate) mod request;
mod selection;
mod state;

pub(crate) mod roster;

pub(crate) use membership::ListPlan;
pub(crate) use request::requires_list;
pub(crate) use selection::Selection;
pub(crate) use state::Encoding;
pub(crate) use state::ListState;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
