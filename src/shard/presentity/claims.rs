//! Grants of shared-line appearances (line-seize) for lines this shard owns.

use std::collections::HashMap;

use crate::presence::Aor;
use crate::presence::call::{Appearance, AppearanceState};
use crate::presence::source::StateUpdate;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Address;
use crate::shard::contract::mail::{Claim, Mail, SeizeRefused};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::{Compositor, OWNED};

/// The granted appearances of the lines this shard owns.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Claim number by line and appearance. By it a late release of an earlier claim is ignored. Removed when the holding subscription ends.
    held: HashMap<(Aor, u8), u64>,
    /// Number of claims granted so far.
    made: u64,
}

// As the line's owner.
impl Compositor {
    /// Mail from a phone's shard: a request to seize an appearance.
    pub(crate) fn handle_seize(
        &mut self,
        aor: Aor,
        index: u8,
        reply_to: (Address, u64),
        turn: &mut Turn<'_>,
    ) {
        let outcome = self.claim(&aor, index, turn);
        let (shard, request) = reply_to;
        turn.send(shard, Mail::SeizeOutcome { request, outcome });
    }

    /// The first claim to an idle appearance is granted.
    fn claim(&mut self, aor: &Aor, index: u8, turn: &mut Turn<'_>) -> Result<Claim, SeizeRefused> {
        if self.appearance(aor, index) != AppearanceState::Idle {
            turn.counters.appearances_refused += 1;
            return Err(SeizeRefused::Taken);
        }
        if !self.say_appearance(aor, index, AppearanceState::Seized, turn) {
            return Err(SeizeRefused::TooMany);
        }
        turn.counters.appearances_seized += 1;
        self.claims.made += 1;
        let number = self.claims.made;
        self.claims.held.insert((aor.clone(), index), number);
        let aor = aor.clone();
        Ok(Claim { aor, index, number })
    }

    /// A phone holds an appearance no longer: it is idle, unless it does something by now.
    pub(crate) fn handle_release(&mut self, claim: &Claim, turn: &mut Turn<'_>) {
        let key = (claim.aor.clone(), claim.index);
        if self.claims.held.get(&key) != Some(&claim.number) {
            // Another phone has claimed the appearance since.
            return;
        }
        self.claims.held.remove(&key);
        if self.appearance(&claim.aor, claim.index) == AppearanceState::Seized {
            self.say_appearance(&claim.aor, claim.index, AppearanceState::Idle, turn);
        }
    }

    fn appearance(&mut self, aor: &Aor, index: u8) -> AppearanceState {
        let id = self.presentities.find(aor);
        let owned = id.and_then(|id| self.presentities.get_mut(id).expected(OWNED));
        // A line that no source has reported on is idle.
        owned.map_or(AppearanceState::Idle, |owned| {
            AppearanceState::of(&owned.presentity.composed().extras.appearances, index)
        })
    }

    fn say_appearance(
        &mut self,
        aor: &Aor,
        index: u8,
        state: AppearanceState,
        turn: &mut Turn<'_>,
    ) -> bool {
        let update = StateUpdate::Appearance(Appearance {
            index,
            state,
            party: None,
        });
        self.take_statement(aor, (update, None), turn)
    }
}
