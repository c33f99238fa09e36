//! The parameters of a new list subscription.

use std::sync::Arc;

use crate::presence::event::list::Resolved;
use crate::shard::list::state::Encoding;

/// A list subscription to be.
#[derive(Debug)]
pub(crate) struct ListPlan {
    pub(super) encoding: Encoding,
    pub(super) resolved: Arc<Resolved>,
    /// The list came in the body of the SUBSCRIBE (RFC 5367).
    pub(super) is_of_body: bool,
}

impl ListPlan {
    /// A list that continues after a restart.
    pub(crate) fn recovered(resolved: Arc<Resolved>, encoding: Encoding, is_of_body: bool) -> Self {
        Self {
            encoding,
            resolved,
            is_of_body,
        }
    }

    /// Places that its resources take in the table; at least one, as any subscription.
    pub(crate) fn places(&self) -> usize {
        self.resolved.members.len().max(1)
    }

    /// The list, as the directory or the body of the SUBSCRIBE gave it.
    pub(crate) fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// Whether the list came in the body of the SUBSCRIBE (RFC 5367).
    pub(crate) fn is_of_body(&self) -> bool {
        self.is_of_body
    }
}

/// Maximum number of resources of one list subscription, including rosters; further ones are
/// omitted (RFC 4662 §4.4; W:E3.23).
pub(crate) const RESOURCES_MAX: usize = 10_000;
