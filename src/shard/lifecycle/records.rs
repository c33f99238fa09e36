//! The records of dialogs, and what waits until they are durable.

use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;

impl Subscriptions {
    /// Writes the records of the dialogs and of the waiting watchers that changed in this turn.
    pub(crate) fn write_records(&mut self, turn: &mut Turn<'_>) {
        self.table.write_records(turn);
        self.winfo.write_records(turn);
    }

    /// Recovers a waiting watcher.
    pub(crate) fn recover_waiting(&mut self, number: u64, octets: &[u8], turn: &mut Turn<'_>) {
        self.winfo.recover(number, octets, turn);
    }

    /// The 2xx to a SUBSCRIBE, which was held, was sent: its NOTIFY may follow.
    pub(crate) fn acknowledged(&mut self, id: SubscriptionId) {
        self.table.acknowledged(id);
    }

    /// The record that a NOTIFY waited for is durable.
    pub(crate) fn queue_recorded(&mut self, id: SubscriptionId) {
        self.table.queue_again(&[id]);
    }
}
