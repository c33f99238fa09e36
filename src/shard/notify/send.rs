//! Sends queued NOTIFYs when nothing delays them.

use crate::shard::contract::ids::{PhoneId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::lifecycle::subject::Next;
use crate::shard::notify::Notifier;
use crate::shard::subscription::due::{FETCHED_AT_ONCE, MaySend};

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
                subscriptions.table().fetch_queued();
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
        while let Some(id) = subscriptions.table_mut().next_paced(phone, turn) {
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
        let source = match subscriptions.next_of(id, turn) {
            Next::Nothing => return,
            Next::Removal => return self.remove_subscription(id, subscriptions, turn),
            Next::Unreachable => return subscriptions.table_mut().reach_phone(id, turn),
            Next::Notify(source) => source,
        };
        let Some(mut content) = self.content_of(id, source, subscriptions, turn) else {
            return;
        };
        if self.has_been_sent(id, &content, subscriptions) {
            return subscriptions.table_mut().skip_unchanged(id, turn);
        }
        let body = match subscriptions.table_mut().may_send(id, has_token, turn) {
            MaySend::Now => self.write_body(id, &content, subscriptions, turn),
            MaySend::Short => self.write_short_body(id, &mut content, subscriptions, turn),
            MaySend::Later => return,
        };
        self.write_notify(id, &content, body, subscriptions, turn);
        let is_last = subscriptions.after_notify(id, turn);
        if is_last && !content.is_withheld() {
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
        self.detach(id, subscriptions);
        subscriptions.remove(id, turn);
    }
}
