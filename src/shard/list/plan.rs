//! The parameters of a new list subscription.

use std::sync::Arc;

use crate::presence::event::list::Resolved;
use crate::shard::list::state::Encoding;

/// A list subscription to be.
#[derive(Debug)]
pub(crate) struct ListPlan {
    pub(crate) encoding: Encoding,
    pub(crate) resolved: Arc<Resolved>,
    /// The list came in the body of the SUBSCRIBE (RFC 5367).
    pub(crate) is_of_body: bool,
}

impl ListPlan {
    /// Places that its resources take in the table; at least one, as any subscription.
    pub(crate) fn places(&self) -> usize {
        self.resolved.members.len().max(1)
    }
}

/// Maximum number of resources of one list subscription, including rosters; further ones are
/// omitted (RFC 4662 §4.4; W:E3.23).
pub(crate) const RESOURCES_MAX: usize = 10_000;
