//! The composed state of a presentity, for boards and events: what a lamp shows, in words.

use crate::directory::peer_systems::PeerSystemId;
use crate::presence::composition::lamp;
use crate::presence::{Aor, Composed, Presentity};
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::report::PresentityState;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::Compositor;
use crate::shard::presentity::changes::party;

impl Compositor {
    /// The state of the presentity at a place of the table, as the peer system is told it; None if there is none.
    pub(crate) fn state_at(
        &self,
        id: PresentityId,
        peer_system: Option<PeerSystemId>,
        turn: &Turn<'_>,
    ) -> Option<PresentityState> {
        let owned = self.presentities.owned.get(id)?;
        let origins = peer_system.map(|peer_system| turn.directory.origins_of(peer_system));
        let rest = origins.and_then(|origins| owned.presentity.without(origins));
        let presentity = rest.as_ref().unwrap_or(&owned.presentity);
        Some(state_of(owned.aor.clone(), presentity, turn))
    }

    /// The states of presentities, in their order, as the peer system is told them.
    pub(crate) fn states(
        &self,
        aors: Vec<Aor>,
        peer_system: Option<PeerSystemId>,
        turn: &Turn<'_>,
    ) -> Vec<PresentityState> {
        let state = |aor: Aor| {
            let id = self.presentities.find(&aor);
            match id.and_then(|id| self.state_at(id, peer_system, turn)) {
                Some(state) => state,
                // No source has reported, but the configuration may decide.
                None => {
                    let mut presentity = Presentity::default();
                    presentity.set_rules(turn.directory.rules_of(&aor), turn.now);
                    state_of(aor, &presentity, turn)
                }
            }
        };
        aors.into_iter().map(state).collect()
    }
}

fn state_of(aor: Aor, presentity: &Presentity, turn: &Turn<'_>) -> PresentityState {
    let composed: &Composed = presentity.composed();
    let call = composed.calls.first();
    let since = call.and_then(|call| presentity.since_of(call));
    PresentityState {
        aor,
        availability: composed.availability,
        is_open: composed.open,
        lamp: lamp(composed),
        has_call: call.is_some(),
        extended: composed.extended,
        party: call.map_or("", |call| party(call)).into(),
        note: composed.note.as_deref().unwrap_or_default().into(),
        call_age: since.map(|since| turn.now.saturating_duration_since(since)),
    }
}
