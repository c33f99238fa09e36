//! The appearance of a line that a `line-seize` subscription holds (W:C10.2).

use crate::presence::call::{Appearance, AppearanceState};
use crate::presence::document::call_info;
use crate::presence::policy::Privacy;
use crate::shard::contract::body::{Body, hash_of};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{SubscriptionId, WatchSlot};
use crate::shard::contract::mail::{Claim, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::watched::Watched;

/// The appearance of a line that a `line-seize` subscription holds.
#[derive(Debug)]
pub(crate) struct Seizure {
    pub(super) slot: WatchSlot,
    index: u8,
    /// None once it was given back.
    claim: Option<Claim>,
}

impl Seizure {
    /// The appearance that the owner granted.
    pub(super) fn new(slot: WatchSlot, claim: Claim) -> Self {
        Self {
            slot,
            index: claim.index,
            claim: Some(claim),
        }
    }

    /// Takes the claim, if it was not taken before.
    pub(super) fn take_claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }

    /// Whether the claim was given back.
    pub(super) fn is_released(&self) -> bool {
        self.claim.is_none()
    }
}

// On the phone's shard.
impl Table {
    /// Makes a new subscription hold the appearance that the line's owner granted.
    pub(crate) fn hold(&mut self, id: SubscriptionId, claim: &Claim) {
        let subscription = self.subscription_mut(id);
        if let Some(subscription) = subscription.expected("a new subscription is in the table") {
            subscription.hold(claim.clone());
        }
    }

    /// A subscription ends: the appearance that it may hold is given back at the end of the turn.
    pub(crate) fn give_back(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.subscription_mut(id);
        let subscription = subscription.expected("a subscription ends while in the table");
        give_back(subscription.and_then(Subscription::take_claim), turn);
    }

    /// Whether the appearance is still seized, as its owner reported last.
    pub(crate) fn is_seized(&self, seizure: &Seizure) -> bool {
        let watched = self.watched(seizure.slot.watched);
        let composed = watched.and_then(Watched::composed);
        composed.is_none_or(|composed| {
            let appearances = &composed.extras.appearances;
            AppearanceState::of(appearances, seizure.index) == AppearanceState::Seized
        })
    }

    /// Writes the Call-Info header for the appearance that is held; there is no body (W:C10.2). None
    /// before the owner's first report.
    pub(crate) fn write_seizure(&self, seizure: &Seizure, turn: &mut Turn<'_>) -> Option<Body> {
        let watched = self.watched(seizure.slot.watched)?;
        let index = seizure.index;
        let appearance = Appearance {
            index,
            state: AppearanceState::of(&watched.composed()?.extras.appearances, index),
            party: None,
        };
        let start = turn.out.arena.len();
        let nobody = Privacy::StateOnly;
        call_info::write_appearance(&mut turn.out.arena, watched.aor(), &appearance, nobody);
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
