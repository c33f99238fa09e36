//! Contributions of upstreams: what our subscriptions to PBXs and presence servers report.
//!
//! An upstream has one contribution for each package. It is a publication that no PUBLISH names, and is
//! applied as one is: full and partial documents, legs with tombstones, a declaration. Beside it stands
//! which connector it is of, and since when it is stale.
//!
//! A contribution is stale from the time that its connector is not heard any more, and after a restart
//! until the connector is heard again. It counts for as long as the rules say
//! ([`UpstreamRules::stale_kept`]), then its calls end and it says `unknown` (RFC 4480 §3.2), so that no
//! lamp stays red for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::presence::composition::activity::ON_THE_PHONE;
use crate::presence::composition::{Declaration, Rules, UpstreamRules};
use crate::presence::document::Document;
use crate::presence::event::Package;
use crate::presence::fixed_hash::SipHash13;
use crate::presence::origin::Origin;
use crate::presence::presentity::publishing::{Holding, StoredPublication};
use crate::presence::presentity::{Presentity, PublicationLimits};
use crate::presence::source::{EntityTag, RichPresence};
use crate::presence::wall_clock;

/// How long a contribution says `unknown` before it is dropped.
const UNKNOWN_KEPT: Duration = Duration::from_secs(24 * 3600);
/// The activity that is said then.
const UNKNOWN: &str = "unknown";
/// The activity by which some PBXs report a call.
const BUSY: &str = "busy";

/// What an upstream says about a presentity.
#[derive(Clone, Debug)]
pub enum UpstreamNews {
    /// Its state.
    Document(Document),
    /// It cannot be heard any more.
    Stale,
    /// It does not report on the presentity any more.
    Gone,
}

/// Which publications are of upstreams.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Upstreams(Vec<Upstream>);

/// A publication of an upstream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Upstream {
    /// The number of the publication.
    publication: u64,
    pub(super) connector: Arc<str>,
    package: Package,
    /// Since when the connector is not heard.
    #[serde(with = "wall_clock::optional_instant")]
    pub(super) stale_since: Option<Instant>,
    /// What it said is not counted any more.
    is_unknown: bool,
}

impl Upstreams {
    /// The upstream that a publication is of; None if a PUBLISH made it.
    pub(super) fn of(&self, publication: u64) -> Option<&Upstream> {
        self.0.iter().find(|one| one.publication == publication)
    }

    /// The publications, each with the system that it came from.
    pub(super) fn origins(&self) -> impl Iterator<Item = (u64, Origin)> {
        let all = self.0.iter();
        all.map(|upstream| (upstream.publication, Origin::of(&upstream.connector)))
    }

    /// Whether a publication does not count because a preferred upstream has news on that track (W:D3.9).
    pub(super) fn is_hushed(&self, publication: u64, rules: &Rules) -> bool {
        let Some(upstream) = self.of(publication) else {
            return false;
        };
        let preferred = match upstream.package {
            Package::Dialog => &rules.upstreams.telephony,
            _ => &rules.upstreams.rich,
        };
        let Some(preferred) = preferred else {
            return false;
        };
        let is_first = |one: &Upstream| {
            one.connector == *preferred && one.package == upstream.package && !one.is_unknown
        };
        upstream.connector != *preferred && self.0.iter().any(is_first)
    }

    fn place(&self, connector: &str, package: Package) -> Option<usize> {
        let mut all = self.0.iter();
        all.position(|one| *one.connector == *connector && one.package == package)
    }

    /// Drops the entries of publications that are gone.
    pub(super) fn keep(&mut self, publications: &[StoredPublication]) {
        let is_there = |number| publications.iter().any(|entity| entity.number == number);
        self.0.retain(|one| is_there(one.publication));
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Presentity {
    /// Applies what an upstream says. `expires` is how long its subscription lasts from now on. Returns
    /// whether the composed state changed.
    pub fn apply_upstream(
        &mut self,
        (connector, package): (&Arc<str>, Package),
        news: UpstreamNews,
        expires: Duration,
        limits: &PublicationLimits,
        now: Instant,
    ) -> bool {
        self.drop_expired(now);
        let place = self.upstreams.place(connector, package);
        match (news, place) {
            (UpstreamNews::Document(document), place) => {
                let place = place.unwrap_or_else(|| self.add_upstream(connector, package));
                let until = now + expires + self.rules.upstreams.stale_kept;
                self.take_upstream_document(place, document, (until, limits), now);
            }
            (UpstreamNews::Stale, Some(place)) => self.upstream_stale(place, now),
            (UpstreamNews::Gone, Some(place)) => self.remove_upstream(place),
            (_, None) => return self.stale_since.is_some() && self.recompose(),
        }
        self.extras_are_stale |= package != Package::Dialog;
        self.recompose()
    }

    /// Whether an upstream has a contribution that is not stale.
    #[must_use]
    pub fn hears_upstream(&self, (connector, package): (&Arc<str>, Package)) -> bool {
        let place = self.upstreams.place(connector, package);
        place.is_some_and(|place| self.upstreams.0[place].stale_since.is_none())
    }

    /// What a connector said in other packages than this one is gone. The news that show it are applied next.
    pub fn forget_other_packages(
        &mut self,
        (connector, package): (&Arc<str>, Package),
        now: Instant,
    ) {
        let is_other = |one: &Upstream| one.connector == *connector && one.package != package;
        while let Some(place) = self.upstreams.0.iter().position(is_other) {
            self.remove_upstream(place);
            self.extras_are_stale = true;
            self.stale_since.get_or_insert(now);
        }
    }

    /// The connectors that said something about it.
    pub fn upstream_connectors(&self) -> impl Iterator<Item = &Arc<str>> {
        self.upstreams.0.iter().map(|one| &one.connector)
    }

    /// After a restart: no upstream has been heard yet. Returns whether the composed state changed.
    pub fn suspect_upstreams(&mut self, now: Instant) -> bool {
        if self.upstreams.0.is_empty() {
            return false;
        }
        for place in 0..self.upstreams.0.len() {
            self.upstream_stale(place, now);
        }
        self.extras_are_stale = true;
        self.recompose()
    }

    /// Contributions that were stale for too long say `unknown` from now on.
    pub(super) fn forget_stale_upstreams(&mut self, now: Instant) {
        for place in 0..self.upstreams.0.len() {
            let upstream = &self.upstreams.0[place];
            let number = upstream.publication;
            let is_over =
                |entity: &StoredPublication| entity.number == number && entity.end() <= now;
            if !upstream.is_unknown && self.publications.iter().any(is_over) {
                self.upstream_unknown(place, now);
            }
        }
    }

    /// Adds an upstream with a publication that says nothing yet. Returns its place.
    fn add_upstream(&mut self, connector: &Arc<str>, package: Package) -> usize {
        self.upstreams.0.push(Upstream {
            publication: self.publication_next,
            connector: Arc::clone(connector),
            package,
            stale_since: None,
            is_unknown: false,
        });
        self.publication_next += 1;
        self.upstreams.0.len() - 1
    }

    fn take_upstream_document(
        &mut self,
        place: usize,
        document: Document,
        (until, limits): (Instant, &PublicationLimits),
        now: Instant,
    ) {
        let upstream = &mut self.upstreams.0[place];
        (upstream.stale_since, upstream.is_unknown) = (None, false);
        let mut entity = StoredPublication {
            number: upstream.publication,
            package: upstream.package,
            entity_tag: EntityTag::UNPUBLISHED,
            publisher: SipHash13::of(upstream.connector.as_bytes()),
            is_feeder: true,
            since: now,
            until,
            holding: Holding::Legs,
        };
        if upstream.package == Package::Dialog {
            let origin = Origin::of(&upstream.connector);
            self.know_by_calls(Some(origin));
        }
        self.apply_document(&mut entity, understood(document), limits, now);
        let mut known = self.publications.iter_mut();
        match known.find(|known| known.number == entity.number) {
            Some(known) => *known = entity,
            None => self.publications.push(entity),
        }
    }

    fn upstream_stale(&mut self, place: usize, now: Instant) {
        let UpstreamRules { stale_kept, .. } = self.rules.upstreams;
        let upstream = &mut self.upstreams.0[place];
        if upstream.stale_since.is_some() {
            return;
        }
        upstream.stale_since = Some(now);
        let number = upstream.publication;
        if stale_kept.is_zero() {
            return self.upstream_unknown(place, now);
        }
        let mut publications = self.publications.iter_mut();
        if let Some(entity) = publications.find(|entity| entity.number == number) {
            entity.until = entity.until.min(now + stale_kept);
        }
    }

    fn upstream_unknown(&mut self, place: usize, now: Instant) {
        let upstream = &mut self.upstreams.0[place];
        upstream.is_unknown = true;
        upstream.stale_since.get_or_insert(now);
        let number = upstream.publication;
        self.calls.lose(number);
        self.extras_are_stale = true;
        let unknown = RichPresence {
            activities: vec![UNKNOWN.into()],
            ..RichPresence::default()
        };
        let mut publications = self.publications.iter_mut();
        if let Some(entity) = publications.find(|entity| entity.number == number) {
            entity.holding = Holding::Declaration(Declaration::new(unknown, now));
            entity.until = now + UNKNOWN_KEPT;
        }
    }

    fn remove_upstream(&mut self, place: usize) {
        let number = self.upstreams.0.remove(place).publication;
        self.publications.retain(|entity| entity.number != number);
        self.calls.lose(number);
    }
}

/// A document as a PBX means it. CUCM reports a call as `closed` and `busy`: the user is busy, and can be
/// called again afterwards.
fn understood(mut document: Document) -> Document {
    if let Document::Pidf { statement, .. } = &mut document
        && statement.open == Some(false)
    {
        let says = |name: &str| statement.activities.iter().any(|known| **known == *name);
        let (is_busy, is_on_the_phone) = (says(BUSY), says(ON_THE_PHONE));
        if is_busy || is_on_the_phone {
            statement.open = Some(true);
        }
        if is_busy && !is_on_the_phone {
            statement.activities.push(ON_THE_PHONE.into());
        }
    }
    document
}
