//! Explains the composed state of a presentity, for the operator.

use std::time::Instant;

use crate::presence::composition::lamp;
use crate::presence::presentity::Explained;
use crate::presence::{Aor, Presentity};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::report::{Contribution, Why};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::{Compositor, OWNED};

impl Compositor {
    pub(crate) fn why(&mut self, aor: &Aor, turn: &Turn<'_>) -> Why {
        let id = self.presentities.find(aor);
        match id.and_then(|id| self.presentities.get_mut(id).expected(OWNED)) {
            Some(owned) => explain(&owned.presentity, turn.now),
            // No source has reported, but the configuration may decide.
            None => {
                let mut presentity = Presentity::default();
                presentity.set_rules(turn.directory.rules_of(aor), turn.now);
                explain(&presentity, turn.now)
            }
        }
    }
}

fn explain(presentity: &Presentity, now: Instant) -> Why {
    let composed = presentity.composed();
    let age = |contribution: Explained| Contribution {
        source: contribution.source,
        asserts: contribution.asserts,
        age: now.saturating_duration_since(contribution.since),
        remaining: contribution
            .until
            .map(|until| until.saturating_duration_since(now)),
        decides: contribution.decides,
    };
    Why {
        availability: composed.availability,
        is_open: composed.open,
        lamp: lamp(composed),
        extended: composed.extended,
        rule: presentity.rule(),
        contributions: presentity.explain(now).into_iter().map(age).collect(),
    }
}
