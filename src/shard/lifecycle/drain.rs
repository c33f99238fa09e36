//! Subscriptions end because the process is about to (RFC 6665 §4.1.3: `deactivated`).

use crate::presence::event::Termination;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::{Phase, Wants};

/// Subscriptions ended by one `Drain`: at 50 commands a second, 50,000 a second.
const DEACTIVATIONS_PER_DRAIN: usize = 1_000;

impl Subscriptions {
    /// Accepts no new subscription from now on, and ends some: their phones subscribe again elsewhere
    /// or to the next process (RFC 6665 §4.4.2). Each command ends the next ones, so the operator sets
    /// the pace.
    pub(crate) fn drain(&mut self, turn: &mut Turn<'_>) {
        self.is_draining = true;
        let from = self.drained.0;
        let active = self.table.subscriptions().skip_while(|(id, _)| id.0 < from);
        let ids: Vec<SubscriptionId> = active
            .filter(|(_, subscription)| subscription.phase() == Phase::Active)
            .map(|(id, _)| id)
            .take(DEACTIVATIONS_PER_DRAIN)
            .collect();
        for id in ids {
            self.drained = id;
            self.end_subscription(id, Termination::Deactivated, turn);
            self.table.want(id, Wants::Notify);
        }
    }
}
