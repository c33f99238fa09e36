//! NOTIFYs wait while the 2xx to a SUBSCRIBE of their subscription is held until its record is durable
//! (RFC 6665 §4.2.1.2: the NOTIFY follows the 2xx).
//!
//! What the subscription wants meanwhile it remembers. A subscription may be removed while its 2xx is
//! held, and its key be used again. As every 2xx is released in the order in which it was held, the
//! next that is released for that key belongs to the removed one, and is passed over.

use crate::shard::contract::commit::Durability;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::Wants;
use crate::shard::subscription::table::Table;

impl Table {
    /// The 2xx to a SUBSCRIBE is to be held: the NOTIFYs of its subscription wait for it. None if they
    /// need not.
    pub(crate) fn await_acknowledgement(
        &mut self,
        id: SubscriptionId,
        turn: &Turn<'_>,
    ) -> Option<SubscriptionId> {
        if turn.options.durability != Durability::Synced {
            return None;
        }
        let is_counted = self.subscription_mut(id)?.acknowledgement_held();
        is_counted.then_some(id)
    }

    /// The 2xx to a SUBSCRIBE of a subscription was sent: its NOTIFY may follow.
    pub(crate) fn acknowledged(&mut self, id: SubscriptionId) {
        if let Some(at) = self.passed_over.iter().position(|passed| *passed == id) {
            self.passed_over.swap_remove(at);
            return;
        }
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            debug_assert!(false, "a removed subscription is passed over");
            return;
        };
        subscription.acknowledgement_sent();
        if !subscription.awaits_acknowledgement() && subscription.wants() > Wants::Nothing {
            self.want(id, Wants::Change);
        }
    }

    /// A subscription is removed while `held` of its 2xx are held.
    pub(super) fn pass_over(&mut self, id: SubscriptionId, held: u8) {
        self.passed_over.extend((0..held).map(|_| id));
    }
}
