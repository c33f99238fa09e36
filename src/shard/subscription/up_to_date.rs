//! Which phones need no NOTIFY after a restart, because they had the current state when the process
//! ended.
//!
//! A NOTIFY writes no record. Instead its duration is limited: a phone has acknowledged a change
//! [`UP_TO_DATE_WITHIN`](crate::shard::contract::commit::UP_TO_DATE_WITHIN) of it, or a NOTIFY has failed or waits
//! for long, and then a record says so. So these phones get a NOTIFY after a restart:
//! - watchers of a presentity that changed shortly before the end, or since, as its owner says;
//! - watchers of a presentity of which the earlier process noted a change whose record may be lost
//!   (`presentity/noted.rs`);
//! - phones that may have missed a NOTIFY by the last record of their dialog;
//! - phones whose view changed with the directory, and all subscriptions to lists and watchers.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Directory;
use crate::presence::fixed_hash::SipHash13;
use crate::presence::{Aor, Composed};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::mail::NamedWatch;
use crate::shard::contract::mail::News;
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::watched::WatcherSlot;
use crate::shard::subscription::{Subscription, Wants};

/// A NOTIFY that waits longer than this is recorded.
pub(super) const LONG: Duration = Duration::from_secs(2);

impl Table {
    /// A NOTIFY is owed to the phone of a recovered dialog: its record is to say so.
    pub(crate) fn require_notify(&mut self, id: DialogId) {
        if let Some(entry) = self.dialogs.get_mut(id) {
            entry.recorded.require_notify();
            self.mark(id);
        }
    }

    /// A NOTIFY of a subscription failed, or waits for long: its record is to say so.
    pub(crate) fn fall_behind(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get(id) else {
            return;
        };
        self.fall_behind_in(subscription.dialog());
    }

    /// A phone may not know the state of a subscription in this dialog.
    pub(crate) fn fall_behind_in(&mut self, id: DialogId) {
        let entry = self.dialogs.get_mut(id);
        if let Some(entry) = entry.expected("a subscription has a dialog")
            && entry.recorded.fall_behind()
        {
            self.mark(id);
        }
    }

    /// What the phone of a subscription may see changed: it is notified soon, and its record says how.
    pub(crate) fn change_view(&mut self, id: SubscriptionId) {
        let subscription = self.subscriptions.get(id);
        let dialog = subscription.map(Subscription::dialog);
        if let Some(dialog) = dialog.expected("its view changed") {
            self.note_renewed(dialog);
            self.mark(dialog);
        }
    }

    /// A SUBSCRIBE renewed a subscription of a dialog.
    pub(super) fn note_renewed(&mut self, id: DialogId) {
        let Some(entry) = self.dialogs.get(id) else {
            return;
        };
        let mut usages = entry.subscriptions.iter();
        let is_at_rest = usages.all(|usage| {
            let subscription = self.subscriptions.get(*usage);
            subscription.is_none_or(Subscription::is_at_rest)
        });
        if let Some(entry) = self.dialogs.get_mut(id) {
            entry.recorded.renewed(is_at_rest);
        }
    }

    /// The owner of a presentity answers that this shard watches it. Watchers of an earlier process
    /// that are at rest want a NOTIFY only if they may not know the state.
    pub(crate) fn take_answer(
        &mut self,
        presentity: &NamedWatch,
        composed: Arc<Composed>,
        news: News,
        turn: &mut Turn<'_>,
    ) {
        for watcher in self.watched.take_state(presentity, composed) {
            let id = watcher.subscription;
            let subscription = self.subscriptions.get_mut(id);
            let Some(subscription) = subscription.expected("a watcher is a subscription") else {
                continue;
            };
            let is_of_list = watcher.resource != WatcherSlot::WHOLE;
            let waits = is_of_list || subscription.wants() > Wants::Nothing;
            turn.counters.subscriptions_known += u64::from(!waits && news == News::Known);
            turn.counters.subscriptions_notified_again += u64::from(!waits && news != News::Known);
            if waits || news != News::Known {
                subscription.state_changed(watcher.resource, id, &mut self.queue);
            }
        }
        if news == News::Known {
            self.watched.note_known(presentity);
        }
    }

    /// Whether the phone of a recovered subscription knows the state of the presentity; None until its
    /// owner answers.
    pub(crate) fn knows_state(&self, id: SubscriptionId) -> Option<bool> {
        let slot = self.subscription(id)?.subject().presentity_slot()?;
        let watched = self.watched(slot.watched)?;
        watched.composed()?;
        Some(watched.is_known())
    }
}

impl Subscription {
    /// Whether its phone has accepted everything, as far as is known.
    fn is_at_rest(&self) -> bool {
        self.wants() == Wants::Nothing && self.in_flight().is_none()
    }
}

/// The hash of what the directory says about the documents of a subscription, besides its decision.
pub(crate) fn appearance(subscription: &Subscription, aor: &Aor, directory: &Directory) -> u64 {
    let mut hash = SipHash13::new();
    subscription.view().rendering.add_to(&mut hash);
    hash.number(directory.rules_fingerprint_of(aor));
    hash.finish()
}
