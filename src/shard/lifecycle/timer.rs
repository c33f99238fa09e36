//! The timer of a subscription: its expiry, the end of a pause, or `min-rate`.

use crate::presence::event::Termination;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::{Phase, Wants};

impl Subscriptions {
    /// Handles a subscription timer.
    pub(crate) fn handle_subscription_timer(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription_mut(id);
        let Some(subscription) = subscription.expected("its removal cancels its timer") else {
            return;
        };
        subscription.timer_fired(turn.now);
        let is_due = subscription.report_due().is_some_and(|at| at <= turn.now);
        let is_over = subscription.lives_until(turn.options) <= turn.now;
        if is_over && subscription.phase() == Phase::Active {
            turn.counters.subscriptions_expired += 1;
            self.end_subscription(id, Termination::Timeout, turn);
            self.table.want(id, Wants::Notify);
            return;
        }
        if is_due {
            self.table.want(id, Wants::Notify);
        } else if subscription.wants() > Wants::Nothing {
            self.table.want(id, Wants::Change);
        }
        self.table.arm_subscription(id, turn);
    }
}
