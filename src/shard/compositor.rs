//! The event state compositor (RFC 3903 §2): the presentities that this shard owns, what all
//! sources say of them, and which shards are told.

use crate::shard::appearances::Claims;
use crate::shard::lists::roster::DomainWatchers;
use crate::shard::presentities::Presentities;

/// Presentities owned here, and who is told of them.
#[derive(Debug, Default)]
pub(crate) struct Compositor {
    pub(super) presentities: Presentities,
    pub(super) domain_watchers: DomainWatchers,
    pub(super) claims: Claims,
}
