//! Reports the watchers on this shard to the shards that collect them.

use crate::presence::Aor;
use crate::presence::event::{Package, Termination, WatcherEvent, WatcherInfo, WatcherStatus};
use crate::presence::fixed_hash::fnv1a;
use crate::presence::policy::Handling;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Address;
use crate::shard::contract::ids::{SubscriptionId, WatchSlot};
use crate::shard::contract::mail::{Mail, WatchersHere};
use crate::shard::contract::turn::Turn;
use crate::shard::package::winfo::WatcherInfos;
use crate::shard::subscription::Phase;
use crate::shard::subscription::audience::{Topic, WATCHERS_MAX};
use crate::shard::subscription::table::Table;

// The reporting side.
impl WatcherInfos {
    /// A shard asks for reports of a presentity's watchers.
    pub(crate) fn handle_follow_watchers(
        &mut self,
        (aor, package): Topic,
        follower: Address,
        table: &Table,
        turn: &mut Turn<'_>,
    ) {
        let followers = self.followers.entry(aor.clone()).or_default();
        if !followers.contains(&(package, follower)) {
            followers.push((package, follower));
        }
        self.tell_watchers(follower, (aor, package), Vec::new(), table, turn);
    }

    /// A shard no longer needs these reports.
    pub(crate) fn handle_unfollow_watchers(
        &mut self,
        aor: &Aor,
        package: Package,
        follower: Address,
    ) {
        let followers = self.followers.get_mut(aor);
        if let Some(followers) = followers.expected("a shard that unfollows has followed") {
            followers.retain(|it| *it != (package, follower));
            if followers.is_empty() {
                self.followers.remove(aor);
            }
        }
    }

    /// The watchers of a presentity may be others, or stand otherwise.
    pub(crate) fn note_watchers_of(&mut self, aor: &Aor) {
        if self.is_followed(aor) {
            self.note(aor.clone());
        }
    }

    /// A subscription was created, or its status changed.
    pub(crate) fn note_watcher(&mut self, id: SubscriptionId, table: &Table) {
        self.forget_waiting(id, table);
        for (aor, _) in self.followed_by(id, table) {
            self.note(aor);
        }
    }

    /// A subscription ends and is no longer a watcher.
    pub(crate) fn note_watcher_end(
        &mut self,
        id: SubscriptionId,
        reason: Termination,
        table: &Table,
        turn: &Turn<'_>,
    ) {
        if reason == Termination::Timeout {
            self.remember_waiting(id, table, turn);
        }
        let event = match reason {
            Termination::Deactivated => WatcherEvent::Deactivated,
            Termination::Timeout => WatcherEvent::Timeout,
            Termination::Rejected => WatcherEvent::Rejected,
            Termination::NoResource => WatcherEvent::NoResource,
        };
        for (aor, number) in self.followed_by(id, table) {
            let watcher = watcher_id(table, id, number);
            self.ended.extend(watcher.map(|id| (id, event)));
            self.note(aor);
        }
    }

    /// The followed presentities that a subscription watches, each with its number in its list.
    fn followed_by(&self, id: SubscriptionId, table: &Table) -> Vec<(Aor, u32)> {
        if self.followers.is_empty() {
            return Vec::new();
        }
        let subscription = table.subscription(id);
        let Some(subscription) = subscription.expected("a watcher is a subscription") else {
            return Vec::new();
        };
        let followed = |slot: WatchSlot, number: u32| {
            let watched = table.watched(slot.watched);
            let watched = watched.expected("a subscription watches its presentity")?;
            let aor = watched.aor();
            let is_followed = self.followers.contains_key(aor);
            is_followed.then(|| (aor.clone(), number))
        };
        let slots = subscription.subject().slots();
        slots
            .filter_map(|(slot, number)| followed(slot, number))
            .collect()
    }

    /// Called at the end of a turn: reports the changed watchers.
    pub(crate) fn report_watchers(&mut self, table: &Table, turn: &mut Turn<'_>) {
        let ended = std::mem::take(&mut self.ended);
        for aor in std::mem::take(&mut self.changed) {
            // None if the last follower left in this turn.
            let followers = self.followers.get(&aor).cloned();
            for (package, follower) in followers.unwrap_or_default() {
                self.tell_watchers(follower, (aor.clone(), package), ended.clone(), table, turn);
            }
        }
    }

    fn tell_watchers(
        &mut self,
        follower: Address,
        topic: Topic,
        ended: Vec<(u64, WatcherEvent)>,
        table: &Table,
        turn: &mut Turn<'_>,
    ) {
        let watchers = self.watchers_here(&topic, table, turn);
        let (aor, package) = topic;
        let report = WatchersHere {
            aor,
            package,
            holder: turn.here(),
            watchers,
            ended,
        };
        turn.send(follower, Mail::WatchersHere(Box::new(report)));
    }

    /// The watchers of this shard, in the order of their ids.
    fn watchers_here(
        &mut self,
        topic: &Topic,
        table: &Table,
        turn: &mut Turn<'_>,
    ) -> Vec<WatcherInfo> {
        let (aor, package) = topic;
        let here = table.watchers_of(aor);
        let mut watchers: Vec<WatcherInfo> = here
            .filter_map(|watcher| {
                self::watcher(
                    table,
                    (watcher.subscription, watcher.resource),
                    *package,
                    turn,
                )
            })
            .collect();
        let waiting = self.waiting.iter();
        watchers.extend(
            waiting
                .filter(|waiting| waiting.topic == *topic)
                .map(|waiting| waiting.info.clone()),
        );
        watchers.sort_unstable_by_key(|watcher| watcher.id);
        turn.counters.watchers_over_limit += watchers.len().saturating_sub(WATCHERS_MAX) as u64;
        watchers.truncate(WATCHERS_MAX);
        watchers
    }
}

/// A watcher, as the presentity may know it; None for one that is none, or of another package.
pub(super) fn watcher(
    table: &Table,
    (id, resource): (SubscriptionId, u32),
    package: Package,
    turn: &Turn<'_>,
) -> Option<WatcherInfo> {
    let subscription = table.subscription(id);
    let subscription = subscription.expected("a watcher is a subscription")?;
    if subscription.package() != package || subscription.phase() != Phase::Active {
        return None;
    }
    let watched = subscription.watcher(resource);
    let watched = watched.expected("a watcher names its resource")?;
    let status = match watched.decision.handling {
        Handling::Block => return None,
        Handling::Confirm => WatcherStatus::Pending,
        // Polite blocking is reported as active: the presentity knows its own rule (RFC 5025
        // §3.2.1).
        Handling::PoliteBlock | Handling::Allow => WatcherStatus::Active,
    };
    let entry = table.dialog(subscription.dialog());
    let entry = entry.expected("a subscription has a dialog")?;
    Some(WatcherInfo {
        id: watcher_id(table, id, watched.number)?,
        status,
        event: WatcherEvent::Subscribe,
        uri: String::from_utf8_lossy(entry.watcher_uri()).into(),
        display: table
            .watcher_of(id, turn)
            .and_then(|watcher| watcher.display(turn.directory)),
    })
}

/// A watcher id that is stable for the life of the subscription. `number`: instance number in a
/// list, or 0.
fn watcher_id(table: &Table, id: SubscriptionId, number: u32) -> Option<u64> {
    let subscription = table.subscription(id);
    let subscription = subscription.expected("a watcher is a subscription")?;
    let entry = table.dialog(subscription.dialog());
    let dialog = entry.expected("a subscription has a dialog")?.dialog();
    let octets = [
        dialog.call_id(),
        b"\0",
        dialog.remote_tag(),
        b"\0",
        subscription.event(),
        &number.to_le_bytes(),
    ];
    Some(fnv1a(&octets.concat()))
}
