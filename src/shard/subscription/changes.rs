//! Dialogs whose record must be written at the end of the turn, each marked once.
//!
//! Without a store, no dialog is marked.

use std::collections::VecDeque;
use std::time::Instant;

use crate::presence::event::Termination;
use crate::shard::contract::commit::{Acknowledgement, Durability};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::table::Table;

/// The marked dialogs, in the order in which they changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    is_recording: bool,
    changed: VecDeque<Change>,
}

/// A dialog that changed, or that was removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) dialog: DialogId,
    /// It was removed, and has a record. Its key may be in use again.
    pub(super) has_left_record: bool,
}

impl Changes {
    pub(super) fn new(durability: Durability) -> Self {
        Self {
            is_recording: durability != Durability::None,
            changed: VecDeque::new(),
        }
    }

    /// The next change of the turn.
    pub(super) fn next(&mut self) -> Option<Change> {
        self.changed.pop_front()
    }

    /// Notes that a dialog was removed that has a record.
    pub(super) fn left_record(&mut self, dialog: DialogId) {
        let has_left_record = true;
        self.changed.push_back(Change {
            dialog,
            has_left_record,
        });
    }
}

impl Table {
    /// A dialog, or a subscription of it, changed: its record is written at the end of the turn.
    pub(super) fn mark(&mut self, dialog: DialogId) {
        if !self.changes.is_recording {
            return;
        }
        let entry = self.dialogs.get_mut(dialog);
        let entry = entry.expected("a dialog that changes is in the table");
        if let Some(entry) = entry.filter(|entry| !entry.recorded.is_marked) {
            entry.recorded.is_marked = true;
            self.changes.changed.push_back(Change {
                dialog,
                has_left_record: false,
            });
        }
    }

    /// A list has another resource. Its record names it, so that it is not shown for ever if it leaves
    /// during a restart.
    pub(crate) fn note_listed(&mut self, id: SubscriptionId) {
        let subscription = self.subscriptions.get(id);
        let dialog = subscription.expected("a list has a subscription");
        if let Some(dialog) = dialog.map(Subscription::dialog) {
            self.mark(dialog);
        }
    }

    /// A SUBSCRIBE renews a subscription. True if it had expired and its last NOTIFY had not been
    /// sent yet: then it continues.
    pub(crate) fn renew(
        &mut self,
        id: SubscriptionId,
        expires_at: Instant,
        terms: Option<Box<Terms>>,
    ) -> bool {
        let subscription = self.subscriptions.get_mut(id);
        let Some(subscription) = subscription.expected("a usage of the dialog exists") else {
            return false;
        };
        let dialog = subscription.dialog();
        let was_over = subscription.renew(expires_at, terms);
        self.note_renewed(dialog);
        self.mark(dialog);
        was_over
    }

    /// A subscription ends: one last NOTIFY is due.
    pub(crate) fn end(&mut self, id: SubscriptionId, reason: Termination, turn: &mut Turn<'_>) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.end(reason, &mut self.queue, turn);
            let dialog = subscription.dialog();
            self.mark(dialog);
        }
    }

    /// Whether the next NOTIFY of a subscription may take a CSeq. If not, it waits until the record
    /// that reserves more is durable, even where no acknowledgement waits: a CSeq that comes twice
    /// darkens the lamp.
    pub(crate) fn may_take_number(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) -> bool {
        if !self.changes.is_recording {
            return true;
        }
        let Some(recipient) = self.recipient(id) else {
            return true;
        };
        let (sequence, recorded) = (
            recipient.dialog.dialog().local_sequence(),
            recipient.dialog.recorded,
        );
        let is_allowed = recorded.allows(sequence, turn.commits);
        if !is_allowed {
            recipient.subscription.queued();
            turn.commits.hold(Acknowledgement::Notify(id));
            turn.counters.notifies_unrecorded += 1;
        }
        if recorded.is_low(sequence) {
            let dialog = recipient.subscription.dialog();
            self.mark(dialog);
        }
        is_allowed
    }
}
