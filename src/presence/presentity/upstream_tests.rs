//! Contributions of upstreams: applied like publications, stale, preferred, recovered.

use super::*;
use crate::presence::call::{CallParts, CallState};
use crate::presence::composition::{Availability, UpstreamRules};
use crate::presence::document::Document;
use crate::presence::source::{CallSource, EntityTag, RichPresence, Source};

const HOUR: Duration = Duration::from_secs(3600);
const GRANTED: Duration = Duration::from_secs(600);

fn limits() -> PublicationLimits {
    PublicationLimits {
        expires_min: Duration::ZERO,
        expires_max: HOUR,
        expires_default: HOUR,
        publications_max: 4,
        calls_max: 4,
    }
}

/// A full document with these calls.
fn calls(calls: &[(&str, CallState)]) -> UpstreamNews {
    document(true, calls)
}

fn document(full: bool, calls: &[(&str, CallState)]) -> UpstreamNews {
    let dialogs = calls.iter().map(|(id, state)| {
        let parts = CallParts {
            call_id: id,
            local_tag: "l",
            remote_tag: "r",
            ..CallParts::new(id, *state)
        };
        parts.into()
    });
    UpstreamNews::Document(Document::DialogInfo {
        entity: None,
        full,
        dialogs: dialogs.collect(),
    })
}

fn declared(open: bool, activities: &[&str]) -> UpstreamNews {
    UpstreamNews::Document(Document::Pidf {
        entity: None,
        statement: RichPresence {
            open: Some(open),
            activities: activities.iter().map(|name| (*name).into()).collect(),
            ..RichPresence::default()
        },
    })
}

/// A presentity whose stale contributions count for an hour.
struct World {
    presentity: Presentity,
    now: Instant,
}

impl World {
    fn new(rules: UpstreamRules) -> Self {
        let now = Instant::now();
        let mut presentity = Presentity::default();
        let rules = Rules {
            upstreams: rules,
            ..Rules::default()
        };
        presentity.set_rules(Arc::new(rules), now);
        Self { presentity, now }
    }

    fn keeping() -> Self {
        Self::new(UpstreamRules {
            stale_kept: HOUR,
            ..UpstreamRules::default()
        })
    }

    fn says(&mut self, connector: &str, news: UpstreamNews) -> bool {
        let package = match &news {
            UpstreamNews::Document(document) => document.package(),
            _ => Package::Dialog,
        };
        let connector = Arc::from(connector);
        let source = (&connector, package);
        self.presentity
            .apply_upstream(source, news, GRANTED, &limits(), self.now)
    }

    fn waits(&mut self, time: Duration) {
        self.now += time;
        while let Some(at) = self.presentity.next_expiry().filter(|at| *at <= self.now) {
            self.presentity.expire(at);
        }
    }

    fn lamp(&self) -> CallState {
        composition::lamp(self.presentity.composed())
    }

    fn sources(&self) -> Vec<(String, bool)> {
        let explained = self.presentity.explain(self.now).into_iter();
        explained
            .map(|one| (one.source.to_string(), one.stale_since.is_some()))
            .collect()
    }
}

const BUSY: (&str, CallState) = ("1", CallState::Confirmed);
const RINGS: (&str, CallState) = ("2", CallState::Early);

#[test]
fn documents_are_applied_as_those_of_a_publication() {
    let mut world = World::keeping();
    assert!(world.says("pbx", calls(&[BUSY])));
    assert_eq!(world.lamp(), CallState::Confirmed);
    assert_eq!(world.sources(), [("upstream:pbx".to_owned(), false)]);
    assert_eq!(world.presentity.decider(), "upstream");
    world.says("pbx", document(false, &[RINGS]));
    assert_eq!(world.presentity.composed().calls.len(), 2);
    world.says("pbx", document(false, &[("1", CallState::Terminated)]));
    assert_eq!(world.lamp(), CallState::Early);
    assert!(world.says("pbx", calls(&[])));
    assert_eq!(world.lamp(), CallState::Terminated);
    assert!(!world.says("pbx", calls(&[])), "nothing changes");
    world.says("pbx", calls(&[BUSY]));
    assert_eq!(world.lamp(), CallState::Terminated, "it has a tombstone");
    world.waits(Duration::from_secs(33));
    assert!(world.says("pbx", calls(&[BUSY])));
    assert!(world.says("pbx", UpstreamNews::Gone));
    assert!(world.sources().is_empty());
    assert_eq!(world.lamp(), CallState::Terminated);
    for call in [BUSY, RINGS] {
        assert!(world.says("pbx", calls(&[call])), "the call went on");
        assert_eq!(world.lamp(), call.1);
        world.says("pbx", UpstreamNews::Gone);
    }
}

#[test]
fn no_publish_names_the_contribution_of_an_upstream() {
    let mut world = World::keeping();
    world.says("pbx", calls(&[BUSY]));
    let publication = Publication {
        package: Package::Dialog,
        condition: Condition::Matches(EntityTag(0)),
        expires: Some(0),
        document: None,
        publisher: 1,
        is_feeder: true,
        origin: None,
    };
    let refused =
        world
            .presentity
            .apply_publication(publication, EntityTag(9), &limits(), world.now);
    assert_eq!(refused.unwrap_err(), PublishRefused::ConditionFailed);
    assert_eq!(world.lamp(), CallState::Confirmed);
}

#[test]
fn what_is_stale_is_kept_for_a_while_and_then_unknown() {
    let mut world = World::keeping();
    world.says("pbx", calls(&[BUSY]));
    assert!(!world.says("pbx", UpstreamNews::Stale), "the lamp stays");
    assert_eq!(world.sources(), [("upstream:pbx".to_owned(), true)]);
    world.says("pbx", calls(&[BUSY]));
    assert_eq!(world.sources(), [("upstream:pbx".to_owned(), false)]);
    world.says("pbx", UpstreamNews::Stale);
    world.waits(Duration::from_secs(3590));
    assert_eq!(world.lamp(), CallState::Confirmed);
    world.waits(Duration::from_secs(20));
    assert_eq!(world.lamp(), CallState::Terminated);
    let activities = &world.presentity.composed().activities;
    assert_eq!(
        activities.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["unknown"]
    );
    world.waits(25 * HOUR);
    assert!(world.sources().is_empty(), "not for ever");
}

#[test]
fn a_domain_may_want_what_is_stale_to_be_unknown_at_once() {
    let mut world = World::new(UpstreamRules {
        stale_kept: Duration::ZERO,
        ..UpstreamRules::default()
    });
    world.says("pbx", calls(&[BUSY]));
    assert!(world.says("pbx", UpstreamNews::Stale));
    assert_eq!(world.lamp(), CallState::Terminated);
    assert_eq!(&*world.presentity.composed().activities[0], "unknown");
    assert!(world.says("pbx", calls(&[RINGS])));
    assert_eq!(world.lamp(), CallState::Early);
    assert!(world.presentity.composed().activities.is_empty());
}

#[test]
fn an_upstream_that_is_never_heard_again_ends_by_itself() {
    let mut world = World::keeping();
    world.says("pbx", calls(&[BUSY]));
    world.waits(GRANTED + HOUR + Duration::from_secs(3));
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn the_preferred_upstream_decides_while_it_has_news() {
    let mut world = World::new(UpstreamRules {
        telephony: Some("pbx".into()),
        stale_kept: Duration::ZERO,
        ..UpstreamRules::default()
    });
    world.says("other", calls(&[BUSY]));
    assert_eq!(
        world.lamp(),
        CallState::Confirmed,
        "the preferred one has none"
    );
    assert!(world.says("pbx", calls(&[])));
    assert_eq!(world.lamp(), CallState::Terminated);
    world.says("other", declared(true, &["away"]));
    assert_eq!(world.presentity.composed().availability, Availability::Away);
    let lamp = CallParts::new("3", CallState::Early);
    let local = StateUpdate::Call {
        source: CallSource::Operator,
        call: Some(Arc::new(lamp.into())),
        expires: None,
    };
    world.presentity.apply(local, world.now);
    let shown = |world: &World| world.presentity.composed().calls.len();
    assert_eq!(shown(&world), 1, "local sources are composed with it");
    assert!(world.says("pbx", UpstreamNews::Stale));
    assert_eq!(shown(&world), 2, "unknown is no news");
}

/// CUCM: a call is `closed` and `busy`.
#[test]
fn closed_and_busy_is_a_call() {
    let mut world = World::keeping();
    world.says("cucm", declared(false, &["busy"]));
    let composed = world.presentity.composed();
    assert_eq!(
        (composed.availability, composed.open),
        (Availability::Busy, true)
    );
    assert_eq!(world.lamp(), CallState::Confirmed);
    world.says("cucm", declared(false, &[]));
    let composed = world.presentity.composed();
    assert_eq!(
        (composed.availability, composed.open),
        (Availability::Offline, false)
    );
    world.says("cucm", declared(true, &[]));
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn a_restart_makes_it_stale_until_it_is_heard() {
    let mut world = World::keeping();
    world.says("pbx", calls(&[BUSY]));
    assert!(!world.presentity.suspect_upstreams(world.now));
    assert_eq!(world.sources(), [("upstream:pbx".to_owned(), true)]);
    assert_eq!(world.lamp(), CallState::Confirmed);
    assert_eq!(Source::Upstream("pbx".into()).to_string(), "upstream:pbx");
}
