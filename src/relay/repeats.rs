//! States that are told again although nothing has changed: what they bring about at the target runs out.
//!
//! Guarantee: one state of a person at most, so as many as there are presentities.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::presence::Aor;
use crate::relay::state::State;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    states: BTreeMap<(Instant, u64), State>,
    keys: HashMap<Aor, (Instant, u64)>,
    numbers: u64,
}

impl Repeats {
    /// The state is told again at that time, instead of an earlier state of the person; None: no state of the person is.
    pub(super) fn put(&mut self, state: &State, at: Option<Instant>) {
        if let Some(key) = self.keys.remove(&state.aor) {
            self.states.remove(&key);
        }
        if let Some(at) = at {
            self.numbers += 1;
            let key = (at, self.numbers);
            self.keys.insert(state.aor.clone(), key);
            self.states.insert(key, state.clone());
        }
    }

    /// Takes a state whose time has come.
    pub(super) fn take(&mut self, now: Instant) -> Option<State> {
        let due = self.states.first_entry();
        let state = due.filter(|due| due.key().0 <= now)?.remove();
        self.keys.remove(&state.aor);
        Some(state)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::relay::state::tests::state;

    #[test]
    fn the_newest_state_of_a_person_is_told_again_when_its_time_has_come() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        repeats.put(&state("1", "a"), at(1));
        repeats.put(&state("2", "b"), at(2));
        repeats.put(&state("1", "c"), at(3));
        let notes = |repeats: &mut Repeats, seconds: u64| {
            let now = now + Duration::from_secs(seconds);
            let due = std::iter::from_fn(|| repeats.take(now));
            due.map(|state| state.note.to_string()).collect::<Vec<_>>()
        };
        assert!(notes(&mut repeats, 1).is_empty());
        assert_eq!(notes(&mut repeats, 3), ["b", "c"]);
        repeats.put(&state("1", "d"), at(1));
        repeats.put(&state("1", "e"), None);
        assert!(notes(&mut repeats, 9).is_empty());
        assert!(repeats.keys.is_empty() && repeats.states.is_empty());
    }
}
