//! An appearance that a subscription holds is given back to its owner.

use crate::presence::call::AppearanceState;
use crate::presence::event::Termination;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::Phase;
use crate::shard::subscription::subject::Subject;

// As the shard of the phone.
impl Subscriptions {
    /// An appearance that went on to something else needs its subscription no longer.
    pub(crate) fn end_seizure_that_went_on(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let Subject::Seizure(seizure) = &subscription.subject else {
            return;
        };
        let watched = self.table.watched(seizure.slot.watched);
        let Some(composed) = watched.and_then(|watched| watched.composed.as_ref()) else {
            return;
        };
        let is_seized = AppearanceState::of(&composed.extras.appearances, seizure.index)
            == AppearanceState::Seized;
        if !is_seized && subscription.phase == Phase::Active {
            self.end_subscription(id, Termination::NoResource, turn);
        }
    }
}
