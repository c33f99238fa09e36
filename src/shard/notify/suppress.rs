//! Whether a phone already has the state, according to its Suppress-If-Match (RFC 5839 §4.2).

use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::subscription::suppress::Suppress;
use crate::sip::Message;

impl Notifier {
    /// Returns whether the phone has the current state according to Suppress-If-Match (RFC 5839
    /// §4.2), and if so records that it was shown.
    pub(crate) fn apply_suppress_if_match(
        &mut self,
        id: SubscriptionId,
        message: &Message<'_>,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(suppress) = Suppress::of(message) else {
            return false;
        };
        let hash = self.state_hash(id, subscriptions, turn);
        let is_it = hash.is_some_and(|hash| suppress.matches(hash));
        let subscription = subscriptions.table_mut().subscription_mut(id);
        let Some(subscription) = subscription.expected("a subscription is refreshed") else {
            return false;
        };
        // Partial notifications are relative to the last sent state, so it must be the one that
        // matches.
        let is_known = !subscription.has_history() || hash == Some(subscription.shown());
        if let Some(hash) = hash.filter(|_| is_it && is_known) {
            subscription.showed(hash);
        }
        // `*` suppresses any state, including that of a list, which has no entity tag.
        is_it && is_known || suppress == Suppress::Any
    }
}
