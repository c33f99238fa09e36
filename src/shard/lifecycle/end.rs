//! Terminates a subscription.

use crate::presence::event::Termination;
use crate::shard::contract::ids::{InFlightId, PathId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::Phase;
use crate::shard::subscription::watched::end_watch;

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

    /// Removes a subscription, and with it all that no other subscription needs. Returns its
    /// outstanding NOTIFY, which may still be answered, and the path of that NOTIFY. The path is
    /// held: see [`Table::hold_path`](crate::shard::subscription::table::Table::hold_path).
    pub(crate) fn remove(
        &mut self,
        id: SubscriptionId,
        turn: &mut Turn<'_>,
    ) -> Option<(InFlightId, PathId)> {
        let subscription = self.table.subscription(id);
        debug_assert!(subscription.is_some(), "a subscription is removed once");
        if subscription?.phase() == Phase::Active {
            self.end_subscription(id, Termination::Timeout, turn);
        }
        let outstanding = self.table.hold_path(id);
        let removed = self.table.remove_subscription(id)?;
        let subscription = removed.subscription;
        if let Some(timer) = subscription.timer() {
            turn.wheel.cancel(timer);
        }
        if let Some(phone) = removed.phone {
            self.phones.leave(phone);
        }
        self.forget_subject(id, subscription.into_subject(), turn);
        for watched in removed.unwatched {
            end_watch(watched.aor(), turn);
        }
        outstanding
    }
}
