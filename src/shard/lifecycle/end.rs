//! Terminates a subscription.

use crate::presence::event::Termination;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::Phase;

impl Subscriptions {
    /// Ends a subscription: one last NOTIFY is due, with the reason.
    pub(crate) fn end_subscription(
        &mut self,
        id: SubscriptionId,
        reason: Termination,
        turn: &mut Turn<'_>,
    ) {
        self.winfo.note_watcher_end(id, reason, &self.table, turn);
        self.table.give_back(id, turn);
        self.table.end(id, reason, turn);
    }

    /// Removes a subscription, and with it all that no other subscription needs. Its outstanding
    /// NOTIFY has been detached.
    pub(crate) fn remove(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription(id);
        if subscription.is_some_and(|it| it.phase() == Phase::Active) {
            self.end_subscription(id, Termination::Timeout, turn);
        }
        let removed = self.table.remove_subscription(id, turn);
        let Some(subscription) = removed.expected("a subscription is removed once") else {
            return;
        };
        if let Some(timer) = subscription.timer() {
            turn.wheel.cancel(timer);
        }
        self.forget_subject(id, subscription.into_subject(), turn);
    }
}
