//! The subscriptions that share a dialog.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::presence::event::Termination;
use crate::presence::policy::Handling;
use crate::presence::profile::Profile;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::request::headers::EventHeader;
use crate::shard::request::uris::event_id;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::{Phase, Subscription, Wants};

impl Table {
    /// The subscriptions of a dialog.
    pub(crate) fn usages(&self, id: DialogId) -> SmallVec<[SubscriptionId; 1]> {
        let entry = self.dialog(id).expected("the dialog is in the table");
        entry.map_or_else(SmallVec::new, |entry| entry.subscriptions.clone())
    }

    /// Sets the profile of a dialog: the User-Agent of its phone may have changed.
    pub(crate) fn take_profile(&mut self, id: DialogId, profile: Arc<Profile>) {
        let entry = self.dialogs.get_mut(id);
        if let Some(entry) = entry.expected("the dialog is in the table") {
            entry.profile = profile;
        }
    }

    /// Chooses the rendering of a subscription's documents again: the profile of its phone or the
    /// style of its list may have changed.
    pub(crate) fn render_anew(&mut self, id: SubscriptionId) {
        let recipient = self.recipient(id);
        if let Some(recipient) = recipient.expected("the subscription is in the table") {
            let rendering = recipient.dialog.profile().rendering;
            recipient.subscription.render_as(rendering);
        }
    }

    /// Whether a subscription cannot be refreshed: we ended it, even if its last NOTIFY is still
    /// queued, or its appearance was released. An expired one can still be refreshed until it is
    /// removed.
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

    /// The usage of a dialog that a SUBSCRIBE refers to: same package, same `id` (RFC 6665 §4.4.1).
    pub(crate) fn usage_of(&self, id: DialogId, event: &EventHeader<'_>) -> Option<SubscriptionId> {
        let usages = &self.dialog(id)?.subscriptions;
        usages.iter().copied().find(|usage| {
            self.subscription(*usage).is_some_and(|subscription| {
                subscription.package() == event.package
                    && event_id(subscription.event()) == event.id
            })
        })
    }

    /// The phone was heard from, perhaps over a new path: NOTIFYs due to its other subscriptions
    /// can be sent now.
    pub(crate) fn wake_siblings(&mut self, id: DialogId, awake: SubscriptionId) {
        let Some(entry) = self.dialogs.get(id) else {
            // The SUBSCRIBE ended its last subscription without another NOTIFY (RFC 5839 §4.2).
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
