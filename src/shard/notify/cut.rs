//! Handles a lost path: a connection closed, or the phone's address changed.

use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::subscription::Phase;

impl Notifier {
    /// A connection closed: outstanding NOTIFYs on it are lost, and pending ones wait for the next
    /// SUBSCRIBE (RFC 5626).
    pub(crate) fn handle_closed(
        &mut self,
        connection: ConnectionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        subscriptions.forget_stream(connection);
        for id in subscriptions.table_mut().cut(connection) {
            for usage in subscriptions.table().usages(id) {
                self.cut_subscription(usage, subscriptions, turn);
            }
        }
    }

    /// The path of a dialog changed: abandons NOTIFYs outstanding on the old path, which would be
    /// retransmitted without effect until Timer F and block newer ones. The current state is sent on the
    /// new path.
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
        // Queues again what waited for validation of the old path.
        subscriptions.table_mut().queue_again(&usages);
    }

    /// Abandons an outstanding NOTIFY. The phone might not have received it, so full state is due.
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
