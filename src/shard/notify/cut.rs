//! Handles a lost path: a connection closed, or the phone's address changed.

use std::net::SocketAddr;

use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialId, DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::subscription::{Phase, Wants};

impl Notifier {
    /// A connection closed: outstanding NOTIFYs on it are lost. They wait for the next SUBSCRIBE (RFC
    /// 5626), or until we have opened another connection.
    pub(crate) fn handle_closed(
        &mut self,
        connection: ConnectionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        subscriptions.forget_stream(connection);
        self.leave(connection, subscriptions, turn);
    }

    /// The peer of a connection responded 503: if we opened it to one of several addresses, its dialogs
    /// go on at the next one (RFC 3263 §4.3), and this is true.
    pub(crate) fn leave_for_next_address(
        &mut self,
        connection: ConnectionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let has_next = subscriptions.table().has_next_address(connection);
        if has_next {
            self.leave(connection, subscriptions, turn);
        }
        has_next
    }

    /// The dialogs of a connection go on on another.
    fn leave(
        &mut self,
        connection: ConnectionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let mut has_failed = false;
        for id in subscriptions.table_mut().cut(connection) {
            for usage in subscriptions.table().usages(id) {
                has_failed |= self.cut_subscription(usage, subscriptions, turn);
            }
        }
        let table = subscriptions.table_mut();
        let detours = table.note_stream_end(connection, has_failed, turn);
        self.leave_stream(detours, turn);
    }

    /// A connection that was wanted is open.
    pub(crate) fn handle_dialed(
        &mut self,
        id: DialId,
        flow: Flow,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let table = subscriptions.table_mut();
        table.handle_dialed(id, flow, turn);
        for notify in table.detours(id) {
            self.send_by_stream(notify, flow, turn);
        }
    }

    /// A connection that was wanted could not be opened.
    pub(crate) fn handle_dial_failed(
        &mut self,
        id: DialId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let detours = subscriptions.table_mut().handle_dial_failed(id, turn);
        self.leave_stream(detours, turn);
    }

    /// The addresses of a name that was to be looked up.
    pub(crate) fn handle_located(
        &mut self,
        id: DialId,
        addresses: &[SocketAddr],
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        subscriptions
            .table_mut()
            .handle_located(id, addresses, turn);
    }

    /// A connection to an address may be tried again.
    pub(crate) fn handle_dial_timer(
        &mut self,
        id: DialId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        subscriptions.table_mut().handle_dial_timer(id, turn);
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

    /// Returns whether a NOTIFY of the subscription was left without a response, or was not sent.
    fn cut_subscription(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        self.abandon_notify(id, subscriptions, turn);
        let subscription = subscriptions.table_mut().subscription_mut(id);
        let Some(subscription) = subscription.expected("a dialog's subscription exists") else {
            return false;
        };
        subscription.forget_shown();
        let is_owed = subscription.wants() > Wants::Nothing;
        if matches!(subscription.phase(), Phase::Ending(_)) {
            self.remove_subscription(id, subscriptions, turn);
        } else {
            subscriptions.table_mut().want_again(id);
        }
        is_owed
    }
}
