//! A subscription ends.

use crate::presence::event::Termination;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;

impl Subscriptions {
    /// One last NOTIFY, then nothing.
    pub(crate) fn end_subscription(
        &mut self,
        id: SubscriptionId,
        reason: Termination,
        turn: &mut Turn<'_>,
    ) {
        self.winfo
            .note_watcher_end(id, reason, &mut self.table, turn);
        self.table.give_back(id, turn);
        if let Some(subscription) = self.table.subscription_mut(id) {
            subscription.end(reason, turn);
        }
    }
}
