//! A path is gone: a stream closed, or a phone moved.

use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::notify::Notifier;
use crate::shard::subscription::Phase;

impl Notifier {
    /// A stream ended: what is under way on it is lost, what is owed waits for the next SUBSCRIBE
    /// (RFC 5626).
    pub(crate) fn handle_closed(
        &mut self,
        connection: ConnectionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        for id in subscriptions.table_mut().cut(connection) {
            for usage in subscriptions.table().usages(id) {
                self.cut_subscription(usage, subscriptions, turn);
            }
        }
    }

    /// The phone came by another way: what is under way on the old one would be repeated into the
    /// void until Timer F, and hold up everything newer. The newest state goes by the new way
    /// instead.
    pub(crate) fn abandon_notifies(
        &mut self,
        id: DialogId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let usages = subscriptions.table().usages(id);
        for usage in &usages {
            self.abandon_notify(*usage, subscriptions, turn);
        }
        // What waited for the proof of the old path waits no longer.
        subscriptions.table_mut().queue_again(&usages);
    }

    /// The NOTIFY under way is given up; the phone may not have it, so another is owed.
    fn abandon_notify(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let subscription = subscriptions.table_mut().subscription_mut(id);
        let Some(subscription) = subscription.expected("a dialog's subscription exists") else {
            return;
        };
        let Some(in_flight) = subscription.take_in_flight() else {
            return;
        };
        subscription.owe_all();
        if let Some(lost) = self.end_notify(in_flight, subscriptions) {
            turn.wheel.cancel(lost.timer);
        }
    }

    fn cut_subscription(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        self.abandon_notify(id, subscriptions, turn);
        let subscription = subscriptions.table_mut().subscription_mut(id);
        let Some(subscription) = subscription.expected("a dialog's subscription exists") else {
            return;
        };
        subscription.forget_shown();
        if matches!(subscription.phase(), Phase::Ending(_)) {
            self.remove_subscription(id, subscriptions, turn);
        }
    }
}
