//! What a `line-seize` subscription holds (W:C10.2).

use crate::presence::call::{Appearance, AppearanceState};
use crate::presence::document::call_info;
use crate::presence::policy::Privacy;
use crate::shard::contract::body::{Body, hash_of};
use crate::shard::contract::ids::{SubscriptionId, WatchSlot};
use crate::shard::contract::mail::{Claim, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::subject::Subject;
use crate::shard::subscription::table::Table;

/// What a `line-seize` subscription holds.
#[derive(Debug)]
pub(crate) struct Seizure {
    pub(crate) slot: WatchSlot,
    pub(crate) index: u8,
    /// None once it was given back.
    claim: Option<Claim>,
}

// As the shard of the phone.
impl Table {
    /// A new subscription holds what was granted.
    pub(crate) fn hold(&mut self, id: SubscriptionId, claim: &Claim) {
        if let Some(subscription) = self.subscription_mut(id)
            && let Subject::Presentity(slot) = subscription.subject
        {
            subscription.subject = Subject::Seizure(Box::new(Seizure {
                slot,
                index: claim.index,
                claim: Some(claim.clone()),
            }));
        }
    }

    /// Whether what a subscription held was given back: it cannot be refreshed.
    pub(crate) fn is_released(&self, id: SubscriptionId) -> bool {
        self.subscription(id).is_some_and(|subscription| {
            matches!(&subscription.subject, Subject::Seizure(seizure) if seizure.claim.is_none())
        })
    }

    /// A subscription ends: whatever it held is given back at the end of the turn.
    pub(crate) fn give_back(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        if let Some(subscription) = self.subscription_mut(id)
            && let Subject::Seizure(seizure) = &mut subscription.subject
        {
            give_back(seizure.claim.take(), turn);
        }
    }

    /// Writes what a NOTIFY says of the appearance that is held, into a header alone (W:C10.2); None
    /// while its owner has not spoken.
    pub(crate) fn write_seizure(&self, seizure: &Seizure, turn: &mut Turn<'_>) -> Option<Body> {
        let watched = self.watched(seizure.slot.watched)?;
        let index = seizure.index;
        let appearance = Appearance {
            index,
            state: AppearanceState::of(&watched.composed.as_ref()?.extras.appearances, index),
            party: None,
        };
        let start = turn.out.arena.len();
        let nobody = Privacy::StateOnly;
        call_info::write_appearance(&mut turn.out.arena, &watched.aor, &appearance, nobody);
        let end = turn.out.arena.len();
        Some(Body {
            call_info: start..end,
            octets: end..end,
            hash: hash_of(&turn.out.arena[start..]),
        })
    }
}

/// Gives a claim back to the owner of its line.
pub(crate) fn give_back(claim: Option<Claim>, turn: &mut Turn<'_>) {
    if let Some(claim) = claim {
        let owner = turn.owner_of(&claim.aor);
        turn.send(owner, Mail::Release(claim));
    }
}
