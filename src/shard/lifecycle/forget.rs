//! Erasure of what people watch, at their wish or because their domain is removed.

use crate::presence::DataSubject;
use crate::presence::event::Termination;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::{Phase, Wants};

impl Subscriptions {
    /// Ends the subscription at a place of the table if its watcher is erased, and with it its
    /// record; whether it did. A phone that still exists subscribes anew (RFC 6665 §4.1.3).
    pub(crate) fn forget_watcher(
        &mut self,
        id: SubscriptionId,
        erased: &DataSubject,
        turn: &mut Turn<'_>,
    ) -> bool {
        let subscription = self.table.subscription(id);
        let is_active = subscription.is_some_and(|it| it.phase() == Phase::Active);
        if !is_active {
            return false;
        }
        let watcher = self.table.watcher_of(id, turn);
        let is_it = watcher.is_some_and(|watcher| watcher.is_of(erased));
        if is_it {
            self.end_subscription(id, Termination::Deactivated, turn);
            self.table.want(id, Wants::Notify);
        }
        is_it
    }

    /// Erases the waiting watchers that are people who are erased, or that wait for one; how many.
    pub(crate) fn forget_waiting_of(&mut self, erased: &DataSubject, turn: &Turn<'_>) -> usize {
        self.winfo.forget_waiting_of(erased, turn)
    }

    /// How many resources of subscriptions here are the person who is erased. Those of a domain that is removed
    /// end anyway, and are not counted.
    pub(crate) fn watchers_of(&self, erased: &DataSubject) -> usize {
        let DataSubject::Person(person) = erased else {
            return 0;
        };
        let watchers = self.table.watchers_of(person);
        let subscriptions =
            watchers.filter_map(|watcher| self.table.subscription(watcher.subscription));
        subscriptions
            .filter(|subscription| subscription.phase() == Phase::Active)
            .count()
    }
}
