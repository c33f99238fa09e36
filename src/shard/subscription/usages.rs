//! The subscriptions that share a dialog.

use crate::presence::event::{Package, Termination};
use crate::presence::policy::Handling;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::request::uris::event_id;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::{Phase, Subscription, Wants};

impl Table {
    /// Whether a subscription cannot be refreshed: we ended it, although its last NOTIFY could not
    /// leave yet, or what it held was given back. One that ran out is late, not too late.
    pub(crate) fn is_over(&self, id: SubscriptionId) -> bool {
        let is_over = |subscription: &Subscription| {
            let is_ended = match subscription.phase() {
                Phase::Ending(Termination::Timeout) => {
                    subscription.decision().handling == Handling::Block
                }
                Phase::Ending(_) => true,
                Phase::Active => false,
            };
            is_ended || subscription.subject().is_released()
        };
        self.subscription(id).is_some_and(is_over)
    }

    /// The subscription of a dialog that a SUBSCRIBE means: same package, same `id` (RFC 6665
    /// §4.4.1).
    pub(crate) fn usage_of(
        &self,
        id: DialogId,
        package: Package,
        event: &[u8],
    ) -> Option<SubscriptionId> {
        let usages = &self.dialog(id)?.subscriptions;
        usages.iter().copied().find(|usage| {
            self.subscription(*usage).is_some_and(|subscription| {
                subscription.package() == package
                    && event_id(subscription.event()) == event_id(event)
            })
        })
    }

    /// The phone shows signs of life on a way that may be new: whatever else it is owed can go now.
    pub(crate) fn wake_siblings(&mut self, id: DialogId, awake: SubscriptionId) {
        let Some(entry) = self.dialogs.get(id) else {
            return;
        };
        for usage in entry.subscriptions.iter().filter(|usage| **usage != awake) {
            if let Some(subscription) = self.subscriptions.get_mut(*usage)
                && subscription.wants() > Wants::Nothing
            {
                subscription.want(Wants::Change, *usage, &mut self.queue);
            }
        }
    }
}
