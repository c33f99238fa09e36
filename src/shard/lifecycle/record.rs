//! Dialogs as records: written at the end of a turn in which one changed, and read after a restart.

use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::table::Table;

impl Subscriptions {
    /// Writes the record of each dialog that changed in this turn.
    pub(crate) fn write_records(&mut self, _turn: &mut Turn<'_>) {}

    /// Keeps the places below `dialogs_end` from new dialogs: recorded ones come back to them.
    pub(crate) fn begin_recovery(&mut self, _dialogs_end: u32, _turn: &Turn<'_>) {}

    /// Takes back a dialog with its subscriptions.
    pub(crate) fn recover(&mut self, _place: u32, _octets: &[u8], _turn: &mut Turn<'_>) {}

    /// All dialogs are back: the places that are left are free.
    pub(crate) fn end_recovery(&mut self, _turn: &mut Turn<'_>) {}
}

impl Table {
    /// The 2xx to the SUBSCRIBE of a subscription was sent: its NOTIFY may follow.
    pub(crate) fn acknowledged(&mut self, _id: SubscriptionId) {}
}
