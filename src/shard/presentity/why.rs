//! Explains the composed state of a presentity, for the operator.

use std::time::Instant;

use crate::presence::composition::lamp;
use crate::presence::presentity::Explained;
use crate::presence::source::Source;
use crate::presence::{Aor, Presentity};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::PresentityId;
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

    /// The statements of the operator about the presentity at a place of the table.
    pub(crate) fn stated(
        &self,
        id: PresentityId,
        turn: &Turn<'_>,
    ) -> Option<(Aor, Vec<Contribution>)> {
        let owned = self.presentities.owned.get(id)?;
        let domain = turn.directory.domain(owned.aor.domain());
        // In other domains, that no contact is registered is what the operator says.
        let is_registrar = domain.is_some_and(|domain| domain.is_registrar);
        let is_stated = |source: &Source| {
            source.is_operator() || (*source == Source::Registrar && !is_registrar)
        };
        let contributions = contributions(&owned.presentity, turn.now);
        let stated: Vec<_> = contributions
            .filter(|contribution| is_stated(&contribution.source))
            .collect();
        (!stated.is_empty()).then(|| (owned.aor.clone(), stated))
    }
}

fn explain(presentity: &Presentity, now: Instant) -> Why {
    let composed = presentity.composed();
    Why {
        availability: composed.availability,
        is_open: composed.open,
        lamp: lamp(composed),
        extended: composed.extended,
        rule: presentity.rule(),
        contributions: contributions(presentity, now).collect(),
    }
}

fn contributions(presentity: &Presentity, now: Instant) -> impl Iterator<Item = Contribution> {
    let contributions = presentity.explain(now).into_iter();
    contributions.map(move |explained: Explained| Contribution {
        source: explained.source,
        asserts: explained.asserts,
        age: now.saturating_duration_since(explained.since),
        remaining: explained
            .until
            .map(|until| until.saturating_duration_since(now)),
        stale: explained
            .stale_since
            .map(|since| now.saturating_duration_since(since)),
        decides: explained.decides,
    })
}
