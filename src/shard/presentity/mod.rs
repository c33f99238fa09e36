//! The event state compositor (RFC 3903 §2): the presentities that this shard owns, the state from
//! all their sources, and the shards that are notified of it.

pub(crate) mod bindings;
pub(crate) mod claims;
pub(crate) mod domain_watchers;
pub(crate) mod features;
pub(crate) mod presentities;
pub(crate) mod publications;
pub(crate) mod statements;
pub(crate) mod why;

use crate::shard::presentity::claims::Claims;
use crate::shard::presentity::domain_watchers::DomainWatchers;
use crate::shard::presentity::presentities::Presentities;

/// See [`Expected`](crate::shard::contract::expected::Expected).
const OWNED: &str = "a presentity is in the table while it is being changed";

/// Presentities owned by this shard, and their watching shards.
#[derive(Debug, Default)]
pub(crate) struct Compositor {
    presentities: Presentities,
    domain_watchers: DomainWatchers,
    claims: Claims,
}

impl Compositor {
    /// How many presentities are owned here.
    pub(crate) fn len(&self) -> usize {
        self.presentities.len()
    }

    /// One beyond the highest id that a presentity has or had.
    pub(crate) fn places(&self) -> u32 {
        self.presentities.places()
    }
}
