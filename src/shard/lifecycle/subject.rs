//! What differs by what a subscription is to: before a NOTIFY, after it, and at the end. The notifier
//! knows none of these by name.

use crate::presence::call::AppearanceState;
use crate::presence::event::Termination;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::Phase;
use crate::shard::subscription::seizure::Seizure;
use crate::shard::subscription::subject::Subject;

impl Subscriptions {
    /// A NOTIFY is about to be written. A subscription to a seized appearance ends here once the
    /// appearance is no longer seized.
    pub(crate) fn before_notify(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let is_over = match &subscription.subject {
            Subject::Seizure(seizure) => self.is_no_longer_seized(seizure),
            Subject::Presentity(_) | Subject::List(_) | Subject::Watchers(_) => false,
        };
        if is_over && subscription.phase() == Phase::Active {
            self.end_subscription(id, Termination::NoResource, turn);
        }
    }

    /// A NOTIFY was written. Resources of a list that it told to be gone are watched no longer.
    pub(crate) fn after_notify(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        self.release_gone(id, turn);
    }

    /// A subscription was removed: what only its subject needed is given up.
    pub(crate) fn forget_subject(
        &mut self,
        id: SubscriptionId,
        subject: Subject,
        turn: &mut Turn<'_>,
    ) {
        match subject {
            Subject::List(list) => self.abandon_rosters(id, &list.rosters, turn),
            Subject::Watchers(audience) => self.winfo.remove_audience(id, *audience, turn),
            Subject::Presentity(_) | Subject::Seizure(_) => {}
        }
    }

    fn is_no_longer_seized(&self, seizure: &Seizure) -> bool {
        let watched = self.table.watched(seizure.slot.watched);
        let composed = watched.and_then(|watched| watched.composed.as_ref());
        composed.is_some_and(|composed| {
            let appearances = &composed.extras.appearances;
            AppearanceState::of(appearances, seizure.index) != AppearanceState::Seized
        })
    }
}
