//! The present users of domains that list subscriptions on this shard follow.

use std::collections::{BTreeSet, HashMap};

use crate::presence::Aor;
use crate::presence::event::list::{Roster, RosterKind};
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::WatchNumber;

/// All followed domains of this shard.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    pub(crate) watched: HashMap<Box<str>, WatchedRoster>,
    /// Number of the last watch; a report for an older number is ignored.
    pub(crate) watches: u32,
}

#[derive(Debug)]
pub(crate) struct WatchedRoster {
    pub(crate) watch: WatchNumber,
    pub(crate) present: BTreeSet<Aor>,
    pub(crate) subscriptions: Vec<(SubscriptionId, RosterKind)>,
    /// Shards that have not answered yet.
    pub(crate) awaited: u16,
}

impl Rosters {
    /// Whether all shards have reported in the domains of these rosters.
    pub(crate) fn are_complete(&self, rosters: &[Roster]) -> bool {
        rosters.iter().all(|roster| {
            self.watched
                .get(&roster.domain)
                .is_none_or(|watched| watched.awaited == 0)
        })
    }
}
