//! The present users of domains that list subscriptions on this shard follow.

use std::collections::{BTreeSet, HashMap};

use crate::presence::Aor;
use crate::presence::event::list::{Roster, RosterKind};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::{Announcement, WatchNumber};

/// All followed domains of this shard.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    watched: HashMap<Box<str>, WatchedRoster>,
    /// Number of the last watch; a report for an older number is ignored.
    watches: u32,
}

#[derive(Debug)]
struct WatchedRoster {
    watch: WatchNumber,
    present: BTreeSet<Aor>,
    subscriptions: Vec<(SubscriptionId, RosterKind)>,
    /// Shards that have not replied yet.
    awaited: u16,
}

/// The result when a subscription begins to follow a roster.
#[derive(Debug)]
pub(crate) enum Attended {
    /// The domain is already watched: the users known to be present.
    Known(Vec<Aor>),
    /// The domain must be watched from now on, under this number.
    New(WatchNumber),
}

impl Rosters {
    /// Makes a subscription follow a roster. A domain that is not watched yet waits for the replies of
    /// all `shards`.
    pub(crate) fn attend(&mut self, roster: &Roster, id: SubscriptionId, shards: u16) -> Attended {
        let follower = (id, roster.kind);
        if let Some(known) = self.watched.get_mut(&roster.domain) {
            if !known.subscriptions.contains(&follower) {
                known.subscriptions.push(follower);
            }
            return Attended::Known(known.present.iter().cloned().collect());
        }
        self.watches += 1;
        let watch = WatchNumber(self.watches);
        let watched = WatchedRoster {
            watch,
            present: BTreeSet::new(),
            subscriptions: vec![follower],
            awaited: shards,
        };
        self.watched.insert(roster.domain.clone(), watched);
        Attended::New(watch)
    }

    /// A subscription no longer follows a roster. Returns whether it was the last one of its domain.
    pub(crate) fn abandon(&mut self, roster: &Roster, id: SubscriptionId) -> bool {
        let watched = self.watched.get_mut(&roster.domain);
        let Some(watched) = watched.expected("a subscription follows the rosters of its list")
        else {
            return false;
        };
        watched.subscriptions.retain(|it| *it != (id, roster.kind));
        let is_last = watched.subscriptions.is_empty();
        if is_last {
            self.watched.remove(&roster.domain);
        }
        is_last
    }

    /// An owner reports users of a domain that became present or absent. Returns the subscriptions
    /// that follow the domain: none if it is no longer watched, or is watched under another number by now.
    pub(crate) fn take_announcement(
        &mut self,
        domain: &str,
        aors: &[Aor],
        announcement: Announcement,
    ) -> Vec<(SubscriptionId, RosterKind)> {
        // The announcement may have been under way when the last subscription ended.
        let watched = self.watched.get_mut(domain);
        let Some(watched) = watched.filter(|watched| watched.watch == announcement.watch) else {
            return Vec::new();
        };
        let is_first = u16::from(announcement.is_first);
        watched.awaited = watched.awaited.saturating_sub(is_first);
        for aor in aors {
            if announcement.is_present {
                watched.present.insert(aor.clone());
            } else {
                watched.present.remove(aor);
            }
        }
        watched.subscriptions.clone()
    }

    /// Whether all shards have reported in the domains of these rosters.
    pub(crate) fn are_complete(&self, rosters: &[Roster]) -> bool {
        rosters.iter().all(|roster| {
            self.watched
                .get(&roster.domain)
                .is_none_or(|watched| watched.awaited == 0)
        })
    }
}
