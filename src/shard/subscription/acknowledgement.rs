//! NOTIFYs wait while the 2xx to a SUBSCRIBE of their subscription is held until its record is durable
//! (RFC 6665 §4.2.1.2: the NOTIFY follows the 2xx).
//!
//! Meanwhile the subscription remembers that a NOTIFY is wanted. A subscription may be removed while its
//! 2xx is held, and its key may be reused. Since 2xx responses are released in the order in which they
//! were held, the next one released for this key belongs to the removed subscription, and is ignored.

use crate::shard::contract::commit::Durability;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::subscription::table::Table;
use crate::shard::subscription::{Subscription, Wants};

impl Table {
    /// Makes the NOTIFYs of a subscription wait for the 2xx to its SUBSCRIBE, which is to be held. None
    /// if they need not wait.
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

    /// Refuses a SUBSCRIBE to a subscription of which as many 2xx are held as can be counted: its NOTIFY
    /// must not precede the last of them.
    pub(crate) fn check_held<'d>(&self, id: SubscriptionId) -> Result<(), Refusal<'d>> {
        let held = self
            .subscription(id)
            .map(Subscription::acknowledgements_held);
        match held {
            Some(u8::MAX) => Err(Refusal::Shed(OverloadLimit::Store)),
            Some(_) | None => Ok(()),
        }
    }

    /// Notes that the 2xx to a SUBSCRIBE of a subscription was sent: the NOTIFY may follow.
    pub(crate) fn acknowledged(&mut self, id: SubscriptionId) {
        if let Some(held) = self.ignored_releases.get_mut(&id) {
            *held -= 1;
            if *held == 0 {
                self.ignored_releases.remove(&id);
            }
            return;
        }
        let Some(subscription) = self.subscriptions.get_mut(id) else {
            debug_assert!(false, "releases for a removed subscription are ignored");
            return;
        };
        subscription.acknowledgement_sent();
        if !subscription.awaits_acknowledgement() && subscription.wants() > Wants::Nothing {
            self.want(id, Wants::Change);
        }
    }

    /// Ignores the next `held` releases for a subscription that is removed while its 2xx are held.
    pub(super) fn ignore_releases(&mut self, id: SubscriptionId, held: u8) {
        if held > 0 {
            *self.ignored_releases.entry(id).or_default() += u32::from(held);
        }
    }
}
