//! When a subscription is due a NOTIFY or its end: what it wants, and its timer.

use std::time::Duration;

use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::options::Options;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::subject::Subject;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::{Phase, Subscription, Wants};

impl Table {
    /// Wants a NOTIFY, and queues for it.
    pub(crate) fn want(&mut self, id: SubscriptionId, wants: Wants) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.want(wants, id, &mut self.queue);
        }
    }

    /// Whether the rate its SUBSCRIBE asked for holds this NOTIFY back (RFC 6446 §5.2); a timer
    /// brings it then.
    pub(crate) fn is_too_soon(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) -> bool {
        let Some(subscription) = self.subscription_mut(id) else {
            return true;
        };
        let is_change = subscription.wants == Wants::Change && subscription.phase == Phase::Active;
        let terms = subscription.terms.as_ref();
        let at = terms.and_then(|terms| terms.not_before());
        let Some(at) = at.filter(|at| is_change && *at > turn.now) else {
            return false;
        };
        subscription.not_before = Some(at);
        self.arm_subscription(id, turn);
        true
    }

    /// Sets the timer to the end of the subscription, of its pause, or of the time it may stay
    /// silent, whichever is first.
    pub(crate) fn arm_subscription(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            return;
        };
        let end = subscription.expires_at + grace_of(subscription, turn.options);
        if let Some(timer) = subscription.timer.take() {
            turn.wheel.cancel(timer);
        }
        let at = subscription.wake_at(end);
        subscription.timer = at.map(|at| turn.wheel.arm(at, Timer::Subscription(id)));
    }

    /// A NOTIFY could go again: what its `min-rate` asks for is sent if it is overdue, else awaited.
    /// Most subscriptions ask for none.
    pub(crate) fn await_report(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.subscription(id);
        match subscription.and_then(Subscription::report_due) {
            Some(due) if due <= turn.now => self.want(id, Wants::Notify),
            Some(_) => self.arm_subscription(id, turn),
            None => {}
        }
    }
}

/// How much longer than granted a subscription lives: phones refresh late (RFC 6665 §4.2.2), but
/// no phone holds an appearance for longer than it was granted (W:C10.2).
pub(crate) fn grace_of(subscription: &Subscription, options: &Options) -> Duration {
    match subscription.subject {
        Subject::Seizure(_) => Duration::ZERO,
        _ => options.expiry_grace,
    }
}
