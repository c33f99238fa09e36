//! Sends queued NOTIFYs when nothing delays them.

use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{PhoneId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::due::FETCHED_AT_ONCE;
use crate::shard::notify::Notifier;
use crate::shard::subscription::{Phase, Subscription, Wants};

impl Notifier {
    /// Sends queued NOTIFYs, up to the limit of one turn. The limit lets us read pending responses
    /// from the socket in time; otherwise NOTIFYs that have already been answered would be
    /// retransmitted.
    pub(crate) fn send_queued(&mut self, subscriptions: &mut Subscriptions, turn: &mut Turn<'_>) {
        let octets_max = turn.out.arena.len() + turn.options.notify_octets_per_turn;
        for count in 0..turn.options.notifies_per_turn {
            if turn.out.arena.len() >= octets_max {
                return;
            }
            if count % FETCHED_AT_ONCE == 0 {
                subscriptions.fetch_queued();
            }
            let Some(id) = subscriptions.table_mut().pop_queued() else {
                return;
            };
            // It may have been removed while it was queued.
            if let Some(subscription) = subscriptions.table_mut().subscription_mut(id) {
                subscription.dequeued();
                self.notify(id, false, subscriptions, turn);
            }
        }
    }

    /// Handles a rate-limit timer: the phone has a token again.
    pub(crate) fn release_phone(
        &mut self,
        phone: PhoneId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        while let Some(id) = subscriptions.next_paced(phone, turn) {
            self.notify(id, true, subscriptions, turn);
        }
    }

    /// Sends a NOTIFY if one is pending and nothing delays it. Whatever delays it queues the
    /// subscription again when it clears: the response to the outstanding NOTIFY, the owner's
    /// state, the next SUBSCRIBE, its 2xx, a durable record, or a timer.
    fn notify(
        &mut self,
        id: SubscriptionId,
        has_token: bool,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        subscriptions.before_notify(id, turn);
        let subscription = subscriptions.table().subscription(id);
        let Some(subscription) = subscription.expected("a NOTIFY is of a subscription") else {
            return;
        };
        if subscription.wants() == Wants::Nothing
            || subscription.in_flight().is_some()
            || subscription.awaits_acknowledgement()
        {
            return;
        }
        let is_ending = matches!(subscription.phase(), Phase::Ending(_));
        let entry = subscriptions.table().dialog(subscription.dialog());
        let Some(entry) = entry.expected("a subscription has a dialog") else {
            return;
        };
        if entry.is_cut() {
            if is_ending {
                self.remove_subscription(id, subscriptions, turn);
            }
            return;
        }
        if subscription.not_before().is_some_and(|at| at > turn.now) {
            return;
        }
        let (phone, path) = (entry.phone(), entry.path());
        // Full state continues as soon as the previous part is answered; the round trip limits the
        // rate.
        let is_mid_list = subscription.is_multipart() && subscription.is_mid_list();
        let Some(mut content) = self.content_of(id, subscriptions, turn) else {
            // The state is not complete yet: a presentity's owner, or a shard, has not reported.
            return;
        };
        if self.is_told(id, &content, subscriptions) {
            turn.counters.notifies_suppressed += 1;
            let subscription = subscriptions.table_mut().subscription_mut(id);
            if let Some(subscription) = subscription.expected("its content was compared") {
                subscription.told_already();
            }
            subscriptions.table_mut().await_report(id, turn);
            return;
        }
        if !is_mid_list && subscriptions.table_mut().is_too_soon(id, turn)
            || self.postpone_if_no_room(id, &content, subscriptions, turn)
        {
            return;
        }
        if !subscriptions.table_mut().may_take_number(id, turn)
            || !subscriptions.table_mut().may_use_path(id, path, turn)
        {
            return;
        }
        if !is_mid_list && !has_token && !subscriptions.take_token(id, phone, turn) {
            return;
        }
        let body = self.write_body_for_path(id, &mut content, path, subscriptions, turn);
        self.write_notify(id, &content, body, subscriptions, turn);
        subscriptions.after_notify(id, turn);
        let is_mid_fetch = subscriptions
            .table()
            .subscription(id)
            .expected("its NOTIFY was written")
            .is_some_and(Subscription::is_mid_fetch);
        if is_ending && !is_mid_fetch && !content.is_withheld() {
            self.remove_subscription(id, subscriptions, turn);
        }
    }

    /// Removes a subscription and everything only it used.
    pub(crate) fn remove_subscription(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        if let Some((in_flight, path)) = subscriptions.remove(id, turn) {
            self.orphan(in_flight, path, subscriptions);
        }
    }
}
