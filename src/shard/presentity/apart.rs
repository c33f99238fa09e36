//! States told apart: a peer system that reports on a presentity is told its state without those reports (W:D1.16).
//!
//! Invariants: while a peer system has a contribution to a presentity, the state without it is kept here; beside it the
//! state that all others were last told, so that a system to which nothing is new is told nothing. Without peer systems
//! nothing here costs anything.

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
pub(super) struct StatesApart(HashMap<PresentityId, Told>);

/// What readers were told of a presentity.
#[derive(Debug)]
struct Told {
    composed: Arc<Composed>,
    /// What peer systems were told instead.
    apart: Vec<(PeerSystemId, Arc<Composed>)>,
}

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
        self.0.get(&id)?.apart_of(system)
    }

    /// A presentity is known from now on, of which nothing was told yet.
    pub(super) fn begin(&mut self, id: PresentityId, composed: &Arc<Composed>) {
        let told = Told {
            composed: Arc::clone(composed),
            apart: Vec::new(),
        };
        self.0.insert(id, told);
    }

    /// A presentity is forgotten.
    pub(super) fn forget(&mut self, id: PresentityId) {
        self.0.remove(&id);
    }
}

impl Told {
    fn apart_of(&self, system: PeerSystemId) -> Option<&Arc<Composed>> {
        let mut states = self.apart.iter();
        let found = states.find(|(known, _)| *known == system);
        found.map(|(_, state)| state)
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
        let before = self.apart.0.remove(&id);
        let mut apart = Vec::new();
        for (system, peer) in turn.directory.peer_systems() {
            let was_apart = before.as_ref().and_then(|told| told.apart_of(system));
            let rest = owned.presentity.without(&peer.origins);
            if rest.is_none() && was_apart.is_none() {
                continue;
            }
            concerned.others = concerned.others.without(system);
            let told = rest.as_ref().unwrap_or(&owned.presentity);
            let known = was_apart.or_else(|| before.as_ref().map(|told| &told.composed));
            if known.is_none_or(|known| known != told.composed()) {
                let addressee = Addressees::only(system);
                report(&owned.aor, told, addressee, turn);
                concerned.apart = concerned.apart.and(addressee);
            }
            apart.extend(rest.map(|rest| (system, Arc::clone(rest.composed()))));
        }
        if turn.directory.has_peer_systems() {
            let composed = Arc::clone(owned.presentity.composed());
            self.apart.0.insert(id, Told { composed, apart });
        }
        concerned
    }
}
