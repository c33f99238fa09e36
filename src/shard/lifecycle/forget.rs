//! Erasure of what a person watches, at the wish of the person.

use crate::presence::Aor;
use crate::presence::event::Termination;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::{Phase, Wants};

impl Subscriptions {
    /// Ends the subscription at a place of the table if its watcher is that person, and with it its
    /// record; whether it did. A phone that still exists subscribes anew (RFC 6665 §4.1.3).
    pub(crate) fn forget_watcher(
        &mut self,
        id: SubscriptionId,
        person: &Aor,
        turn: &mut Turn<'_>,
    ) -> bool {
        let subscription = self.table.subscription(id);
        let is_active = subscription.is_some_and(|it| it.phase() == Phase::Active);
        if !is_active {
            return false;
        }
        let watcher = self.table.watcher_of(id, turn);
        let is_it = watcher.is_some_and(|watcher| watcher.is(person));
        if is_it {
            self.end_subscription(id, Termination::Deactivated, turn);
            self.table.want(id, Wants::Notify);
        }
        is_it
    }

    /// Erases the waiting watchers that are a person, or that wait for that person; how many.
    pub(crate) fn forget_waiting_of(&mut self, person: &Aor, turn: &Turn<'_>) -> usize {
        self.winfo.forget_waiting_of(person, turn)
    }

    /// How many resources of subscriptions here are that person.
    pub(crate) fn watchers_of(&self, person: &Aor) -> usize {
        let watched = self.table.watched_by_aor(person).into_iter();
        let watchers = watched.flat_map(|watched| watched.watchers());
        let subscriptions =
            watchers.filter_map(|watcher| self.table.subscription(watcher.subscription));
        subscriptions
            .filter(|subscription| subscription.phase() == Phase::Active)
            .count()
    }
}
