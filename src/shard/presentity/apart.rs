//! States told apart: a peer system that reports on a presentity is told its state without those reports (W:D1.16).
//!
//! Invariant: while a peer system has a contribution to a presentity, the state without it is kept here. Without
//! peer systems nothing here costs anything.

use std::collections::HashMap;
use std::sync::Arc;

use crate::directory::peer_systems::{Addressees, PeerSystemId};
use crate::presence::Composed;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::OWNED;
use crate::shard::presentity::changes::report;
use crate::shard::presentity::presentities::Presentities;

/// The states of presentities without the reports of a peer system.
#[derive(Debug, Default)]
pub(super) struct StatesApart(HashMap<PresentityId, Vec<(PeerSystemId, Arc<Composed>)>>);

/// The readers that a contribution to a presentity concerns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Concerned {
    /// The peer systems whose states changed, apart from the composed one.
    pub(super) apart: Addressees,
    /// All readers of the composed state.
    pub(super) others: Addressees,
}

impl StatesApart {
    /// The state that a peer system is told; None if that is the composed one.
    pub(super) fn of(&self, id: PresentityId, system: PeerSystemId) -> Option<&Arc<Composed>> {
        let mut states = self.0.get(&id)?.iter();
        let found = states.find(|(known, _)| *known == system);
        found.map(|(_, state)| state)
    }

    /// A presentity is forgotten.
    pub(super) fn forget(&mut self, id: PresentityId) {
        self.0.remove(&id);
    }
}

impl Presentities {
    /// Whether a state is told apart, or may be.
    pub(super) fn has_peer_systems(&self, turn: &Turn<'_>) -> bool {
        turn.directory.has_peer_systems() || !self.apart.0.is_empty()
    }

    /// After a contribution to a presentity: composes the states that are told apart, and puts those that changed
    /// into the outbox.
    pub(super) fn compose_apart(&mut self, id: PresentityId, turn: &mut Turn<'_>) -> Concerned {
        let mut concerned = Concerned {
            apart: Addressees::NONE,
            others: Addressees::ALL,
        };
        if !self.has_peer_systems(turn) {
            return concerned;
        }
        let Some(owned) = self.owned.get(id).expected(OWNED) else {
            return concerned;
        };
        let before = self.apart.0.remove(&id).unwrap_or_default();
        let mut now = Vec::new();
        for (system, peer) in turn.directory.peer_systems() {
            let before = before.iter().find(|(known, _)| *known == system);
            let rest = owned.presentity.without(&peer.origins);
            if rest.is_none() && before.is_none() {
                continue;
            }
            concerned.others = concerned.others.without(system);
            let told = rest.as_ref().unwrap_or(&owned.presentity);
            if before.is_none_or(|(_, before)| before != told.composed()) {
                let addressee = Addressees::only(system);
                report(&owned.aor, told, addressee, turn);
                concerned.apart = concerned.apart.and(addressee);
            }
            now.extend(rest.map(|rest| (system, Arc::clone(rest.composed()))));
        }
        if !now.is_empty() {
            self.apart.0.insert(id, now);
        }
        concerned
    }
}
