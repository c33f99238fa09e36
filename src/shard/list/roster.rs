//! Who is present in the domains that subscriptions here watch as a whole.

use std::collections::{BTreeSet, HashMap};

use crate::presence::Aor;
use crate::presence::event::list::{Roster, RosterKind};
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::WatchNumber;

/// What a shard knows of the domains that subscriptions here watch as a whole.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    pub(crate) watched: HashMap<Box<str>, WatchedRoster>,
    /// Names the next watch of ours.
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
    /// Whether all shards have told who is present in the domains of these rosters.
    pub(crate) fn are_complete(&self, rosters: &[Roster]) -> bool {
        rosters.iter().all(|roster| {
            self.watched
                .get(&roster.domain)
                .is_none_or(|watched| watched.awaited == 0)
        })
    }
}
