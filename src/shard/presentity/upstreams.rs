//! What connectors' servers report on presentities that are owned here.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::peer_systems::PeerSystemId;
use crate::presence::Aor;
use crate::presence::presentity::{PublicationLimits, UpstreamNews};
use crate::shard::contract::connector::{
    DIFFERENCES_LOGGED_MAX, UpstreamDifference, UpstreamReport,
};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::presentities::Owned;
use crate::shard::presentity::{Compositor, OWNED};

impl Compositor {
    /// As owner: the news of an upstream. Without room for the presentity they are dropped, and counted.
    pub(crate) fn handle_upstream(&mut self, report: UpstreamReport, turn: &mut Turn<'_>) {
        let aor = &report.aor;
        let says_something = matches!(report.news, UpstreamNews::Document(_));
        if !says_something && self.presentities.find(aor).is_none() {
            return;
        }
        let Some(id) = self.own(aor, turn) else {
            turn.counters.requests_over_limit += 1;
            return;
        };
        let Some(owned) = self.presentities.get_mut(id).expected(OWNED) else {
            return;
        };
        let limits = PublicationLimits {
            expires_min: Duration::ZERO,
            expires_max: Duration::MAX,
            expires_default: report.expires,
            publications_max: turn.options.publications_per_presentity_max,
            calls_max: turn.options.calls_per_presentity_max,
        };
        let has_expired = owned.presentity.expire(turn.now);
        let source = (&report.connector, report.package);
        let is_audit = report.is_audit && owned.presentity.hears_upstream(source);
        if report.is_sole && !matches!(report.news, UpstreamNews::Stale) {
            owned.presentity.forget_other_packages(source, turn.now);
        }
        let is_changed =
            owned
                .presentity
                .apply_upstream(source, report.news, report.expires, &limits, turn.now);
        if is_audit && is_changed {
            note_difference(&report.connector, aor, turn);
        }
        self.presentities.mark(id, turn);
        self.after_contribution(id, is_changed || has_expired, turn);
        if says_something {
            self.inform_at_first_statement(id, turn);
        }
    }

    /// What is held of connectors: each with the presentity about which it said something.
    pub(crate) fn said_by_connectors(&self) -> Vec<(Arc<str>, Aor)> {
        let said = |owned: &Owned| {
            let connectors = owned.presentity.upstream_connectors().cloned();
            let said = connectors.map(|name| (name, owned.aor.clone()));
            said.collect::<Vec<_>>()
        };
        let owned = self.presentities.owned.iter();
        owned.flat_map(|(_, owned)| said(owned)).collect()
    }

    /// Whether a shard has watchers of a presentity that are not that peer system.
    pub(crate) fn is_watched(&self, aor: &Aor, but: Option<PeerSystemId>) -> bool {
        let owned = self.presentities.find(aor);
        let owned = owned.and_then(|id| self.presentities.owned.get(id));
        owned.is_some_and(|owned| owned.is_watched(but))
    }

    /// The presentities of a domain that a shard has such watchers of, in order.
    pub(crate) fn watched_in(&self, domain: &str, but: Option<PeerSystemId>) -> Vec<Aor> {
        let owned = self.presentities.owned.iter();
        let watched =
            owned.filter(|(_, owned)| owned.is_watched(but) && owned.aor.domain() == domain);
        let mut aors: Vec<Aor> = watched.map(|(_, owned)| owned.aor.clone()).collect();
        aors.sort_unstable();
        aors
    }
}

/// What was held was wrong until the refresh.
fn note_difference(connector: &Arc<str>, aor: &Aor, turn: &mut Turn<'_>) {
    turn.counters.connector_differences += 1;
    if turn.out.differences.len() < DIFFERENCES_LOGGED_MAX {
        turn.out.differences.push(UpstreamDifference {
            connector: Arc::clone(connector),
            aor: aor.clone(),
        });
    }
}
