//! Presentities that are owned here, as relays by SIP publish them at other servers.

use std::sync::Arc;

use crate::directory::peer_systems::Addressees;
use crate::directory::relays::SipRelay;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::relay::{RelayOutcome, RelayedPresentity, RelayedState};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::presentities::Presentities;
use crate::shard::presentity::{Compositor, OWNED};

impl Presentities {
    /// Tells the relays that are among the addressees the state of a presentity, which has just changed. Without
    /// relays this costs nothing.
    pub(super) fn tell_relays(&self, id: PresentityId, told: Addressees, turn: &mut Turn<'_>) {
        let directory = turn.directory;
        for relay in directory.sip_relays() {
            let system = directory.peer_system_of_relay(&relay.name);
            if told.has(system)
                && let Some(state) = self.relayed_state(id, relay, turn)
            {
                turn.loopback.push_back(Mail::Relay(Box::new(state)));
            }
        }
    }

    /// The state that a relay publishes; None if it is not told of the presentity.
    fn relayed_state(
        &self,
        id: PresentityId,
        relay: &SipRelay,
        turn: &Turn<'_>,
    ) -> Option<RelayedState> {
        let directory = turn.directory;
        let owned = self.owned.get(id).expected(OWNED)?;
        if !directory.is_told_of(&owned.aor, &relay.domains, &relay.users) {
            return None;
        }
        let system = directory.peer_system_of_relay(&relay.name);
        Some(RelayedState {
            relay: Arc::clone(&relay.name),
            aor: owned.aor.clone(),
            composed: self.composed_for(id, system)?,
            privacy: directory.privacy_of_relays(&owned.aor, turn.wall_clock())?,
            held: owned.elsewhere.of(&relay.name).cloned(),
        })
    }
}

impl Compositor {
    /// The presentity at a place of the table, as its relays are to have it; None if there is none.
    pub(crate) fn relayed_at(
        &self,
        id: PresentityId,
        turn: &Turn<'_>,
    ) -> Option<RelayedPresentity> {
        let owned = self.presentities.owned.get(id)?;
        let relays = turn.directory.sip_relays().iter();
        let states = relays.filter_map(|relay| self.presentities.relayed_state(id, relay, turn));
        Some(RelayedPresentity {
            aor: owned.aor.clone(),
            states: states.collect(),
        })
    }

    /// What became of a publication at another server: it goes into the record of the presentity.
    pub(crate) fn note_published(&mut self, outcome: RelayOutcome, turn: &mut Turn<'_>) {
        let id = match (self.presentities.find(&outcome.aor), &outcome.held) {
            (Some(id), _) => id,
            (None, Some(_)) => {
                let (directory, now) = (turn.directory, turn.now);
                self.presentities.find_or_add(&outcome.aor, directory, now)
            }
            (None, None) => return,
        };
        let Some(owned) = self.presentities.get_mut(id).expected(OWNED) else {
            return;
        };
        match outcome.held {
            Some(held) => owned.elsewhere.put(held),
            None => owned.elsewhere.remove(&outcome.relay),
        }
        self.presentities.mark(id, turn);
        self.tend(id, turn);
    }

    /// Forgets the publications of relays that there are no more.
    pub(crate) fn drop_unrelayed(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        let Some(owned) = self.presentities.get_mut(id) else {
            return;
        };
        let relays = turn.directory.sip_relays();
        let is_changed = owned.elsewhere.retain(|held| {
            let mut relays = relays.iter();
            relays.any(|relay| relay.name == held.relay)
        });
        if is_changed {
            self.presentities.mark(id, turn);
            self.tend(id, turn);
        }
    }
}
