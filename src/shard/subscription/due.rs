//! When a NOTIFY of a subscription or its end is due.

use crate::presence::event::WatcherInfo;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::{Phase, Subscription, Wants};

impl Table {
    /// How many subscriptions are queued.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The subscriptions that will most likely be taken from the queue next.
    pub(crate) fn next_queued(&self, count: usize) -> impl Iterator<Item = SubscriptionId> {
        self.queue.first(count)
    }

    /// Takes the next subscription from the queue, which may have been removed meanwhile.
    #[inline]
    pub(crate) fn pop_queued(&mut self) -> Option<SubscriptionId> {
        self.queue.pop()
    }

    /// Wants a NOTIFY, and queues for it.
    pub(crate) fn want(&mut self, id: SubscriptionId, wants: Wants) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("only a subscription wants a NOTIFY") {
            subscription.want(wants, id, &mut self.queue);
        }
    }

    /// The watchers of a presentity changed, and these of them ended: reports it in the next NOTIFY
    /// of this winfo subscription.
    pub(crate) fn report_watchers_ended(&mut self, id: SubscriptionId, ended: &[WatcherInfo]) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("a topic knows its subscriptions") {
            subscription.watchers_ended(ended, id, &mut self.queue);
        }
    }

    /// Whether the `max-rate` of its SUBSCRIBE delays this NOTIFY (RFC 6446 §5.2); then a timer is
    /// set for it.
    pub(crate) fn is_too_soon(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) -> bool {
        let subscription = self.subscriptions.get_mut(id);
        let Some(subscription) = subscription.expected("a NOTIFY is of a subscription") else {
            return true;
        };
        let is_change =
            subscription.wants() == Wants::Change && subscription.phase() == Phase::Active;
        let at = subscription.terms().and_then(Terms::not_before);
        let Some(at) = at.filter(|at| is_change && *at > turn.now) else {
            return false;
        };
        subscription.pause(at);
        subscription.arm(id, turn);
        true
    }

    /// Sets the timer to the end of the subscription, of its pause, or of the longest time between
    /// two NOTIFYs, whichever is first.
    pub(crate) fn arm_subscription(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("only a subscription has a timer") {
            subscription.arm(id, turn);
        }
    }

    /// The state is what the phone was shown last: no NOTIFY is wanted before `min-rate` requires one.
    pub(crate) fn told_already(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("its content was compared") {
            subscription.told_already();
        }
        self.await_report(id, turn);
    }

    /// After a NOTIFY completed: requests the next one if `min-rate` makes it overdue, otherwise
    /// sets its timer. Most subscriptions ask for no rate.
    pub(crate) fn await_report(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.subscription(id);
        match subscription.and_then(Subscription::report_due) {
            Some(due) if due <= turn.now => self.want(id, Wants::Notify),
            Some(_) => self.arm_subscription(id, turn),
            None => {}
        }
    }
}
