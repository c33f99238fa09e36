//! The life of a presentity, one story per test: races that other servers lose, the rules of W:B1.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::presence::call::CallState::{Confirmed, Early, Proceeding, Terminated, Trying};
use crate::presence::call::{CallDialog, CallParts, CallState, Direction, Party};
use crate::presence::composition::{Availability, lamp};
use crate::presence::document::{Document, DocumentFault};
use crate::presence::event::Package;
use crate::presence::presentity::{
    Assertion, Condition, Presentity, Publication, PublicationLimits, PublishRefused, Published,
};
use crate::presence::source::{CallSource, EntityTag, RichPresence, Source, StateUpdate};

pub(super) const LIMITS: PublicationLimits = PublicationLimits {
    expires_min: Duration::from_secs(60),
    expires_max: Duration::from_secs(7200),
    expires_default: Duration::from_secs(3600),
    publications_max: 4,
    calls_max: 4,
};

/// A leg with its Call-ID as `id`. A tag is `-` if unknown.
pub(super) fn leg(
    call_id: &str,
    local_tag: &str,
    remote_tag: &str,
    state: CallState,
) -> CallDialog {
    CallDialog::from(parts(call_id, local_tag, remote_tag, state))
}

/// As [`leg`], to be changed.
fn parts<'a>(
    call_id: &'a str,
    local_tag: &'a str,
    remote_tag: &'a str,
    state: CallState,
) -> CallParts<'a> {
    CallParts {
        call_id,
        local_tag: local_tag.trim_matches('-'),
        remote_tag: remote_tag.trim_matches('-'),
        direction: Some(Direction::Recipient),
        ..CallParts::new(call_id, state)
    }
}

/// A leg of a source that reports only an `id`.
fn leg_by_id(id: &str, state: CallState) -> CallDialog {
    CallDialog::from(CallParts {
        id,
        ..parts("", "", "", state)
    })
}

fn outgoing(mut leg: CallDialog) -> CallDialog {
    leg.direction = Some(Direction::Initiator);
    leg
}

pub(super) fn full(dialogs: impl Into<Vec<CallDialog>>) -> Document {
    Document::DialogInfo {
        entity: None,
        full: true,
        dialogs: dialogs.into(),
    }
}

fn partial(dialogs: impl Into<Vec<CallDialog>>) -> Document {
    Document::DialogInfo {
        entity: None,
        full: false,
        dialogs: dialogs.into(),
    }
}

pub(super) fn client(open: Option<bool>, activities: &[&str], note: Option<&str>) -> Document {
    let activities = activities.iter().copied().map(Box::from).collect();
    Document::Pidf {
        entity: None,
        statement: RichPresence {
            open,
            activities,
            note: note.map(Box::from),
            alternative: None,
        },
    }
}

/// A feeder.
pub(super) const EXCHANGE: u64 = u64::MAX;

/// A presentity and the time.
pub(super) struct Stage {
    pub(super) presentity: Presentity,
    pub(super) now: Instant,
    tags: u128,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            presentity: Presentity::default(),
            now: Instant::now(),
            tags: 0,
        }
    }

    pub(super) fn publish(
        &mut self,
        publisher: u64,
        package: Package,
        condition: Condition,
        expires: Option<u32>,
        document: Option<Result<Document, DocumentFault>>,
    ) -> Result<(Published, bool), PublishRefused> {
        self.tags += 1;
        let publication = Publication {
            package,
            condition,
            expires,
            document,
            publisher,
            is_feeder: publisher == EXCHANGE,
            origin: None,
        };
        self.presentity
            .apply_publication(publication, EntityTag(self.tags), &LIMITS, self.now)
    }

    /// Sends an initial PUBLISH. Returns its entity tag.
    pub(super) fn initial(&mut self, publisher: u64, document: Document) -> EntityTag {
        let package = document.package();
        self.publish(
            publisher,
            package,
            Condition::None,
            Some(3600),
            Some(Ok(document)),
        )
        .unwrap()
        .0
        .entity_tag
    }

    /// Modifies the publication and stores its new tag.
    pub(super) fn modify(&mut self, entity_tag: &mut EntityTag, document: Document) -> bool {
        let condition = Condition::Matches(*entity_tag);
        let (published, changed) = self
            .publish(
                1,
                document.package(),
                condition,
                Some(3600),
                Some(Ok(document)),
            )
            .unwrap();
        *entity_tag = published.entity_tag;
        changed
    }

    pub(super) fn refresh(
        &mut self,
        entity_tag: &mut EntityTag,
        package: Package,
        expires: u32,
    ) -> bool {
        let (published, changed) = self
            .publish(
                1,
                package,
                Condition::Matches(*entity_tag),
                Some(expires),
                None,
            )
            .unwrap();
        *entity_tag = published.entity_tag;
        changed
    }

    pub(super) fn say(&mut self, said: StateUpdate) -> bool {
        self.presentity.apply(said, self.now)
    }

    /// Advances the time, and calls `expire` as the shard's timers do.
    pub(super) fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
        while self
            .presentity
            .next_expiry()
            .is_some_and(|next| next <= self.now)
        {
            self.presentity.expire(self.now);
        }
    }

    pub(super) fn lamp(&self) -> CallState {
        lamp(self.presentity.composed())
    }

    pub(super) fn availability(&self) -> Availability {
        self.presentity.composed().availability
    }

    /// `busy: a call is confirmed`
    pub(super) fn verdict(&self) -> String {
        format!("{}: {}", self.availability(), self.presentity.rule())
    }
}

// Races that other servers lose, numbered like the dialogues `history/2.1-01` and so on.

#[test]
fn race_1_early_after_terminated_from_another_publication() {
    let mut stage = Stage::new();
    stage.initial(1, full([leg("x", "l", "r", Early)]));
    assert_eq!(stage.lamp(), Early);
    stage.initial(2, full([leg("x", "l", "r", Terminated)]));
    assert_eq!(stage.lamp(), Terminated);
    for state in [Trying, Proceeding, Early, Confirmed] {
        stage.initial(3, full([leg("x", "l", "r", state)]));
        assert_eq!(stage.lamp(), Terminated, "a late {state:?}");
    }
    // And before its first tag was known.
    stage.initial(4, full([leg("x", "l", "-", Trying)]));
    assert_eq!(stage.lamp(), Terminated);
}

#[test]
fn race_1_terminated_before_early_wins() {
    let mut stage = Stage::new();
    stage.initial(1, full([leg("x", "l", "r", Terminated)]));
    stage.initial(2, full([leg("x", "l", "r", Early)]));
    assert_eq!(stage.lamp(), Terminated);
    // Another call is not affected.
    stage.initial(2, full([leg("y", "l", "r", Early)]));
    assert_eq!(stage.lamp(), Early);
}

#[test]
fn race_2_a_tombstone_lasts_32_seconds_in_its_own_publication_too() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    assert!(stage.modify(&mut feeder, full([leg("x", "l", "r", Terminated)])));
    assert!(!stage.modify(&mut feeder, full([leg("x", "l", "r", Early)])));
    stage.pass(31.9);
    assert!(!stage.modify(&mut feeder, full([leg("x", "l", "r", Early)])));
    stage.pass(0.2);
    assert!(
        stage.modify(&mut feeder, full([leg("x", "l", "r", Early)])),
        "it is forgotten after all"
    );
}

#[test]
fn race_3_a_rejected_trying_call_lights_for_ten_seconds() {
    let mut stage = Stage::new();
    stage.initial(1, full([outgoing(leg("x", "l", "-", Trying))]));
    assert_eq!(stage.availability(), Availability::Busy);
    stage.pass(9.9);
    assert_eq!(stage.lamp(), Confirmed, "one's own call shows as confirmed");
    stage.pass(0.2);
    assert_eq!(stage.lamp(), Terminated);
    assert_eq!(stage.availability(), Availability::Available);
    assert!(!stage.presentity.is_blank(), "the publication lives on");
}

#[test]
fn race_4_early_without_a_final_ends_after_three_minutes() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(1, full([leg("x", "l", "r", Early)]));
    stage.pass(100.0);
    // A refresh without a body reports nothing.
    assert!(!stage.refresh(&mut feeder, Package::Dialog, 7200));
    stage.pass(79.0);
    assert_eq!(stage.lamp(), Early);
    stage.pass(2.0);
    assert_eq!(stage.lamp(), Terminated);
    // A refresh with a body does.
    stage.modify(&mut feeder, full([leg("y", "l", "r", Early)]));
    stage.pass(170.0);
    assert!(!stage.modify(&mut feeder, full([leg("y", "l", "r", Early)])));
    stage.pass(170.0);
    assert_eq!(stage.lamp(), Early);
}

#[test]
fn race_5_attended_transfer_ends_one_call_of_two() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(
        1,
        full([leg("x", "l", "r", Confirmed), leg("y", "l", "r", Confirmed)]),
    );
    assert_eq!(stage.presentity.composed().calls.len(), 2);
    stage.modify(&mut feeder, partial([leg("x", "l", "r", Terminated)]));
    assert_eq!(stage.lamp(), Confirmed);
    // The same in an initial PUBLISH of the same publisher, even with a full document: it is
    // another publication.
    stage.initial(1, full([leg("z", "l", "r", Terminated)]));
    assert_eq!(stage.lamp(), Confirmed);
    stage.modify(&mut feeder, partial([leg("y", "l", "r", Terminated)]));
    assert_eq!(stage.lamp(), Terminated);
}

#[test]
fn race_5_terminated_in_a_separate_publication_keeps_the_other_call() {
    let mut stage = Stage::new();
    stage.initial(
        1,
        full([leg("x", "l", "r", Confirmed), leg("y", "l", "r", Confirmed)]),
    );
    stage.initial(1, full([leg("x", "l", "r", Terminated)]));
    assert_eq!(stage.presentity.composed().calls.len(), 1);
    assert_eq!(stage.presentity.composed().calls[0].call_id(), "y");
}

#[test]
fn race_6_a_loser_of_the_fork_never_clears_the_winner() {
    for loser in [
        leg("x", "l", "b", Terminated),
        leg("x", "-", "-", Terminated),
    ] {
        let mut stage = Stage::new();
        stage.initial(1, full([leg("x", "l", "a", Early)]));
        stage.initial(1, full([leg("x", "l", "b", Early)]));
        stage.initial(1, full([leg("x", "l", "a", Confirmed)]));
        assert_eq!(
            stage.lamp(),
            Confirmed,
            "the other branch is no second call"
        );
        // From the same feeder, and from another one.
        for publisher in [1, 2] {
            stage.initial(publisher, full([loser.clone()]));
            assert_eq!(stage.lamp(), Confirmed, "{loser:?}");
        }
    }
}

#[test]
fn race_6_branches_within_one_publication_under_one_id() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(1, partial([leg("x", "l", "-", Trying)]));
    stage.modify(&mut feeder, partial([leg("x", "l", "a", Early)]));
    assert_eq!(
        stage.presentity.composed().calls.len(),
        1,
        "trying became early"
    );
    stage.modify(&mut feeder, partial([leg("x", "l", "b", Early)]));
    let ids: Vec<_> = stage
        .presentity
        .composed()
        .calls
        .iter()
        .map(|call| call.id().to_owned())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1], "watchers tell the branches apart");
    stage.modify(&mut feeder, partial([leg("x", "l", "b", Terminated)]));
    assert_eq!(stage.lamp(), Early);
    stage.modify(&mut feeder, partial([leg("x", "l", "a", Confirmed)]));
    assert_eq!(stage.lamp(), Confirmed);
}

#[test]
fn race_6_full_documents_that_name_the_branches_in_turn() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(1, full([leg("x", "l", "a", Early)]));
    stage.modify(&mut feeder, full([leg("x", "l", "b", Early)]));
    stage.modify(&mut feeder, full([leg("x", "l", "a", Confirmed)]));
    assert_eq!(stage.lamp(), Confirmed);
}

#[test]
fn race_7_crossing_calls_leave_nothing_behind() {
    let mut stage = Stage::new();
    let mut one = stage.initial(1, full([outgoing(leg("x", "l", "r", Early))]));
    let mut other = stage.initial(2, full([leg("y", "l", "r", Early)]));
    assert_eq!(stage.lamp(), Early);
    stage.modify(&mut one, full([leg("x", "l", "r", Terminated)]));
    assert_eq!(stage.lamp(), Early);
    stage.modify(&mut other, full([leg("y", "l", "r", Terminated)]));
    // The termination report repeats what was known.
    stage.initial(
        3,
        full([
            leg("y", "l", "r", Early),
            outgoing(leg("x", "l", "r", Early)),
        ]),
    );
    assert_eq!(stage.lamp(), Terminated);
}

#[test]
fn race_8_only_confirmed_confirms_and_it_does_not_go_back() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(1, full([leg("x", "l", "-", Proceeding)]));
    assert_eq!(
        (stage.lamp(), stage.availability()),
        (Proceeding, Availability::Ringing)
    );
    stage.modify(&mut feeder, full([leg("x", "l", "r", Early)]));
    assert_eq!(
        (stage.lamp(), stage.availability()),
        (Early, Availability::Ringing)
    );
    stage.modify(&mut feeder, full([leg("x", "l", "r", Confirmed)]));
    assert_eq!(
        (stage.lamp(), stage.availability()),
        (Confirmed, Availability::Busy)
    );
    assert!(!stage.modify(&mut feeder, full([leg("x", "l", "r", Early)])));
    assert_eq!(stage.lamp(), Confirmed);
    stage.pass(1000.0);
    assert_eq!(
        stage.lamp(),
        Confirmed,
        "answered calls last as long as their publication"
    );
}

#[test]
fn race_9_terminated_at_one_node_is_terminated_at_all() {
    let mut stage = Stage::new();
    let mut one = stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    let mut other = stage.initial(2, full([leg("x", "l", "r", Confirmed)]));
    assert_eq!(
        stage.presentity.composed().calls.len(),
        1,
        "one leg, two witnesses"
    );
    stage.modify(&mut one, full([leg("x", "l", "r", Terminated)]));
    assert_eq!(stage.lamp(), Terminated);
    assert!(!stage.modify(&mut other, full([leg("x", "l", "r", Confirmed)])));
    assert_eq!(stage.lamp(), Terminated);
}

#[test]
fn race_11_calls_expire_with_a_dead_publisher() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    stage.refresh(&mut feeder, Package::Dialog, 60);
    stage.pass(61.9);
    assert_eq!(stage.lamp(), Confirmed, "the grace");
    stage.pass(0.2);
    assert_eq!(stage.lamp(), Terminated);
    // It was only late: calls that it publishes again are accepted, a late report of ringing is
    // not.
    stage.initial(1, full([leg("x", "l", "r", Early)]));
    assert_eq!(stage.lamp(), Terminated);
    stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    assert_eq!(stage.lamp(), Confirmed);
}

// W:B1

#[test]
fn b1_4_conditions_that_do_not_hold() {
    let mut stage = Stage::new();
    let mut dialog = stage.initial(1, full([leg("x", "l", "r", Early)]));
    let bad = || Some(Err(DocumentFault::Malformed));
    for condition in [Condition::Foreign, Condition::Matches(EntityTag(999))] {
        // The condition is checked first.
        let refused = stage.publish(1, Package::Dialog, condition, Some(1), bad());
        assert_eq!(refused, Err(PublishRefused::ConditionFailed));
    }
    let other_package = stage.publish(1, Package::Presence, Condition::Matches(dialog), None, None);
    assert_eq!(other_package, Err(PublishRefused::ConditionFailed));
    // A tag can be used once (RFC 3903 §6).
    let old = dialog;
    stage.refresh(&mut dialog, Package::Dialog, 60);
    let again = stage.publish(1, Package::Dialog, Condition::Matches(old), None, None);
    assert_eq!(again, Err(PublishRefused::ConditionFailed));
    // And only until it expires.
    stage.now += Duration::from_secs(62);
    let late = stage.publish(1, Package::Dialog, Condition::Matches(dialog), None, None);
    assert_eq!(late, Err(PublishRefused::ConditionFailed));
    assert_eq!(
        stage.presentity.next_expiry(),
        Some(stage.now),
        "the change is still to be reported"
    );
    assert!(stage.presentity.expire(stage.now));
    assert_eq!(stage.lamp(), Terminated);
}

#[test]
fn b1_5_what_is_granted() {
    let table = [
        (None, Ok(3600)),
        (Some(0), Ok(0)),
        (
            Some(59),
            Err(PublishRefused::TooBrief(Duration::from_secs(60))),
        ),
        (Some(60), Ok(60)),
        (Some(43_201), Ok(7200)),
        (Some(u32::MAX), Ok(7200)),
    ];
    for (requested, granted) in table {
        let mut stage = Stage::new();
        let document = Some(Ok(full([leg("x", "l", "r", Early)])));
        let outcome = stage.publish(1, Package::Dialog, Condition::None, requested, document);
        assert_eq!(
            outcome.map(|(published, _)| published.expires.as_secs()),
            granted,
            "{requested:?}"
        );
    }
}

#[test]
fn b1_6_bodies_that_are_refused() {
    let mut stage = Stage::new();
    let initial =
        |stage: &mut Stage, body| stage.publish(1, Package::Presence, Condition::None, None, body);
    assert_eq!(initial(&mut stage, None), Err(PublishRefused::NoBody));
    for fault in [
        DocumentFault::Malformed,
        DocumentFault::TooLarge,
        DocumentFault::WrongEntity,
    ] {
        assert_eq!(
            initial(&mut stage, Some(Err(fault))),
            Err(PublishRefused::Document(fault))
        );
    }
    let other_package = Some(Ok(full([])));
    let refused = Err(PublishRefused::Document(DocumentFault::UnsupportedType));
    assert_eq!(initial(&mut stage, other_package), refused);
    assert!(stage.presentity.is_blank());
}

#[test]
fn b1_7_modify_refresh_remove_and_nothing() {
    let mut stage = Stage::new();
    let once = Some(Ok(client(Some(true), &[], None)));
    let (published, changed) = stage
        .publish(1, Package::Presence, Condition::None, Some(0), once)
        .unwrap();
    assert_eq!(
        (published.entity_tag, published.expires, changed),
        (EntityTag(1), Duration::ZERO, false)
    );
    assert!(stage.presentity.is_blank());

    let mut tag = stage.initial(1, client(Some(true), &[], None));
    assert_eq!(stage.availability(), Availability::Available);
    assert!(
        !stage.modify(&mut tag, client(Some(true), &[], None)),
        "the same again is no news"
    );
    assert!(stage.modify(&mut tag, client(Some(true), &["lunch"], None)));
    assert_eq!(stage.availability(), Availability::Away);
    assert!(!stage.refresh(&mut tag, Package::Presence, 60));

    // A body in a PUBLISH that removes the publication is ignored.
    let bad = Some(Err(DocumentFault::Malformed));
    let (published, changed) = stage
        .publish(1, Package::Presence, Condition::Matches(tag), Some(0), bad)
        .unwrap();
    assert_eq!((published.expires, changed), (Duration::ZERO, true));
    assert_eq!(stage.availability(), Availability::Offline);
    assert!(stage.presentity.is_blank());
}

#[test]
fn b1_7_a_removed_dialog_publication_leaves_tombstones() {
    let mut stage = Stage::new();
    let tag = stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    stage
        .publish(1, Package::Dialog, Condition::Matches(tag), Some(0), None)
        .unwrap();
    assert_eq!(stage.lamp(), Terminated);
    assert!(!stage.presentity.is_blank());
    stage.initial(2, full([leg("x", "l", "r", Confirmed)]));
    assert_eq!(stage.lamp(), Terminated);
}

/// A call rings, in a publication of that many seconds.
fn ringing_for(seconds: u32) -> Stage {
    let mut stage = Stage::new();
    let ringing = Some(Ok(full([leg("x", "l", "r", Early)])));
    stage
        .publish(1, Package::Dialog, Condition::None, Some(seconds), ringing)
        .unwrap();
    stage
}

#[test]
fn the_legs_of_an_expired_publication_are_buried_at_its_expiry() {
    // A process that was down learns late that a publication has expired. Its publisher is heard
    // at once if the tombstones would be over by now.
    for (late, lamp) in [(31.0, Terminated), (32.0, Early)] {
        let mut stage = ringing_for(60);
        stage.pass(62.0 + late);
        assert_eq!(stage.lamp(), Terminated);
        stage.initial(2, full([leg("x", "l", "r", Early)]));
        assert_eq!(stage.lamp(), lamp, "{late} s late");
    }
}

#[test]
fn a_leg_that_expires_after_its_publication_leaves_a_tombstone() {
    // Both have expired when the process learns of it.
    for (lifetime, lamp) in [(170, Terminated), (180, Early)] {
        let mut stage = ringing_for(lifetime);
        stage.pass(185.0);
        stage.initial(2, full([leg("x", "l", "r", Early)]));
        assert_eq!(stage.lamp(), lamp, "{lifetime} s");
    }
}

#[test]
fn b1_9_a_publication_ends_two_seconds_late() {
    let mut stage = Stage::new();
    let mut tag = stage.initial(1, client(Some(true), &[], None));
    stage.refresh(&mut tag, Package::Presence, 60);
    assert_eq!(
        stage.presentity.next_expiry(),
        Some(stage.now + Duration::from_secs(62))
    );
    stage.pass(61.0);
    assert!(
        !stage.refresh(&mut tag, Package::Presence, 60),
        "in time after all"
    );
    stage.pass(62.0);
    assert!(stage.presentity.is_blank());
    assert_eq!(stage.presentity.next_expiry(), None);
}

#[test]
fn b1_12_a_publisher_without_its_tag_replaces_what_it_left() {
    let mut stage = Stage::new();
    let lost = stage.initial(1, client(Some(true), &["dnd"], None));
    stage.initial(1, client(Some(true), &[], None));
    assert_eq!(stage.availability(), Availability::Available);
    let gone = stage.publish(1, Package::Presence, Condition::Matches(lost), None, None);
    assert_eq!(gone, Err(PublishRefused::ConditionFailed));
    // Another publisher adds to it.
    stage.initial(2, client(Some(false), &["dnd"], None));
    assert_eq!(stage.availability(), Availability::DoNotDisturb);
    assert_eq!(stage.presentity.explain(stage.now).len(), 2);
}

#[test]
fn b1_12_a_feeder_keeps_its_calls_apart_but_not_its_leftovers() {
    let mut stage = Stage::new();
    let one = stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    stage.initial(1, full([leg("y", "l", "r", Confirmed)]));
    assert_eq!(stage.presentity.explain(stage.now).len(), 2);
    assert_eq!(stage.presentity.composed().calls.len(), 2);
    stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    assert_eq!(stage.presentity.composed().calls.len(), 2);
    // A superseded publication has no content, but still exists (RFC 3903 §4).
    let explained = stage.presentity.explain(stage.now);
    assert_eq!(explained.len(), 3);
    assert_eq!(explained[0].asserts.to_string(), "no call");
    let alive = stage.publish(1, Package::Dialog, Condition::Matches(one), None, None);
    assert!(alive.is_ok());
    // The successor does not move a call back to an earlier state, and ends the calls that it does
    // not list.
    stage.initial(
        1,
        full([leg("x", "l", "r", Confirmed), leg("z", "l", "r", Early)]),
    );
    stage.initial(1, full([leg("x", "l", "r", Early)]));
    let calls: Vec<_> = stage
        .presentity
        .composed()
        .calls
        .iter()
        .map(|call| (call.call_id(), call.state))
        .collect();
    assert_eq!(calls, [("x", Confirmed), ("y", Confirmed)]);
}

#[test]
fn a_publication_too_many_is_refused_and_changes_nothing() {
    let mut stage = Stage::new();
    for publisher in 0..4 {
        stage.initial(publisher, client(Some(true), &[], None));
    }
    let one_more = |stage: &mut Stage, publisher| {
        let document = Some(Ok(client(Some(false), &["dnd"], None)));
        stage.publish(
            publisher,
            Package::Presence,
            Condition::None,
            None,
            document,
        )
    };
    assert_eq!(one_more(&mut stage, 9), Err(PublishRefused::TooMany));
    let calls = Some(Ok(full([leg("x", "a", "b", Confirmed)])));
    let refused = stage.publish(9, Package::Dialog, Condition::None, None, calls);
    assert_eq!(refused, Err(PublishRefused::TooMany));
    assert!(!stage.presentity.is_known_by_calls());
    assert_eq!(stage.availability(), Availability::Available);
    assert!(
        one_more(&mut stage, 3).is_ok(),
        "one that replaces takes no more room"
    );
}

#[test]
fn publications_without_a_call_make_room() {
    let mut stage = Stage::new();
    for call in 0..20 {
        let name = call.to_string();
        stage.initial(1, full([leg(&name, "l", "r", Early)]));
        stage.initial(1, full([leg(&name, "l", "r", Terminated)]));
    }
    assert_eq!(stage.lamp(), Terminated);
    assert!(stage.presentity.explain(stage.now).len() <= LIMITS.publications_max);
}

// Legs.

#[test]
fn b3_14_a_full_document_ends_only_its_own_legs() {
    let mut stage = Stage::new();
    let mut one = stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    stage.initial(2, full([leg("y", "l", "r", Confirmed)]));
    stage.modify(&mut one, full([]));
    let calls = |stage: &Stage| {
        stage
            .presentity
            .composed()
            .calls
            .iter()
            .map(|call| call.call_id().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(calls(&stage), ["y"]);
    // A leg that is no longer listed is over for the other publications as well.
    stage.initial(3, full([leg("x", "l", "r", Early)]));
    assert_eq!(calls(&stage), ["y"]);
    // A partial document ends nothing.
    stage.modify(&mut one, partial([]));
    assert_eq!(calls(&stage), ["y"]);
}

#[test]
fn the_id_stays_when_tags_become_known() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(
        1,
        partial([CallParts {
            id: "a",
            ..parts("x", "-", "-", Trying)
        }
        .into()]),
    );
    let id = |stage: &Stage| stage.presentity.composed().calls[0].id().to_owned();
    for (renamed, local, remote, state) in [
        ("a", "l", "-", Proceeding),
        ("b", "l", "r", Early),
        ("c", "l", "r", Confirmed),
    ] {
        stage.modify(
            &mut feeder,
            partial([CallParts {
                id: renamed,
                ..parts("x", local, remote, state)
            }
            .into()]),
        );
        assert_eq!(stage.presentity.composed().calls.len(), 1);
        assert_eq!(id(&stage), "a");
    }
    // A report with fewer details about the same leg removes none.
    stage.modify(&mut feeder, partial([leg("x", "-", "-", Confirmed)]));
    assert_eq!(stage.presentity.composed().calls[0].remote_tag(), "r");
}

#[test]
fn a_party_and_its_privacy_are_remembered() {
    let caller = Party {
        identity: "sip:12@abc.com",
        display: "Twelve",
        ..Party::default()
    };
    let held = Party {
        rendering: Some(false),
        ..Party::default()
    };
    let mut stage = Stage::new();
    let early = CallParts {
        remote: caller,
        remote_is_private: true,
        ..parts("x", "l", "r", Early)
    };
    let mut feeder = stage.initial(1, full([early.into()]));
    stage.modify(
        &mut feeder,
        full([CallParts {
            local: held,
            direction: None,
            ..parts("x", "l", "r", Confirmed)
        }
        .into()]),
    );
    let call = Arc::clone(&stage.presentity.composed().calls[0]);
    assert_eq!((call.remote(), call.remote_is_private), (caller, true));
    assert_eq!(
        (call.direction, call.local().rendering),
        (Some(Direction::Recipient), Some(false))
    );
    assert!(
        stage.modify(&mut feeder, full([leg("x", "l", "r", Confirmed)])),
        "held no more"
    );
    let call = &stage.presentity.composed().calls[0];
    assert_eq!(call.local().rendering, None);
}

#[test]
fn legs_without_a_call_id_go_by_publisher_and_id() {
    let mut stage = Stage::new();
    let mut one = stage.initial(1, full([leg_by_id("1", Early)]));
    let mut other = stage.initial(2, full([leg_by_id("1", Early)]));
    let calls = stage.presentity.composed().calls.clone();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].id(), calls[1].id());
    stage.modify(&mut one, full([leg_by_id("1", Terminated)]));
    assert_eq!(stage.lamp(), Early, "the other phone still rings");
    stage.modify(&mut other, full([leg_by_id("1", Confirmed)]));
    assert_eq!(stage.lamp(), Confirmed);
    stage.modify(&mut other, full([leg_by_id("1", Terminated)]));
    assert!(
        stage.modify(&mut other, full([leg_by_id("1", Early)])),
        "the next call under the same id"
    );
}

#[test]
fn without_a_call_id_ringing_after_an_answered_call_is_another_call() {
    let mut stage = Stage::new();
    let mut answered = parts("", "", "", Confirmed);
    answered.id = "1";
    answered.remote.identity = "sip:7@abc.com";
    let mut exchange = stage.initial(1, full([CallDialog::from(answered)]));
    stage.modify(&mut exchange, full([leg_by_id("1", Early)]));
    assert_eq!(stage.lamp(), Early);
    let calls = stage.presentity.composed().calls.clone();
    assert_eq!((calls.len(), calls[0].remote().identity), (1, ""));
}

#[test]
fn the_end_of_a_leg_without_a_call_id_covers_reports_outside_its_publication() {
    let mut stage = Stage::new();
    let mut first = stage.initial(1, full([leg_by_id("1", Confirmed)]));
    stage.modify(&mut first, full([leg_by_id("1", Terminated)]));
    stage.initial(1, full([leg_by_id("1", Early)]));
    assert_eq!(stage.lamp(), Terminated, "sent before the end, perhaps");
    stage.pass(5.0);
    stage.initial(1, full([leg_by_id("1", Early)]));
    assert_eq!(stage.lamp(), Early);
}

#[test]
fn too_many_legs_keep_the_significant_and_new() {
    let mut stage = Stage::new();
    let busy: Vec<_> = (0..6)
        .map(|call: u32| leg(&call.to_string(), "l", "r", Confirmed))
        .collect();
    let mut feeder = stage.initial(1, partial(busy));
    assert_eq!(stage.presentity.composed().calls.len(), LIMITS.calls_max);
    assert!(stage.modify(&mut feeder, partial([leg("ring", "l", "r", Early)])));
    assert_eq!(stage.lamp(), Early);
    assert_eq!(stage.presentity.composed().calls.len(), LIMITS.calls_max);
    assert!(
        !stage.modify(&mut feeder, partial([leg("try", "l", "-", Trying)])),
        "it is less than all there are"
    );
}

#[test]
fn tombstones_are_bounded() {
    let mut stage = Stage::new();
    let mut feeder = stage.initial(1, full([]));
    for call in 0..1000 {
        stage.modify(
            &mut feeder,
            partial([leg(&call.to_string(), "l", "r", Terminated)]),
        );
    }
    assert!(!stage.modify(&mut feeder, partial([leg("999", "l", "r", Early)])));
    assert!(
        stage.modify(&mut feeder, partial([leg("0", "l", "r", Early)])),
        "the oldest is forgotten"
    );
    stage.pass(3700.0);
    assert!(stage.presentity.is_blank());
}

#[test]
fn a_first_tag_replaces_the_leg_without_tags_unless_answered() {
    let mut stage = Stage::new();
    stage.initial(1, full([leg("x", "l", "-", Trying)]));
    stage.initial(2, full([leg("x", "l", "r", Terminated)]));
    assert_eq!(stage.lamp(), Terminated, "it had not got its tag yet");
    stage.initial(1, full([leg("y", "l", "-", Confirmed)]));
    stage.initial(2, full([leg("y", "l", "r", Terminated)]));
    assert_eq!(
        stage.lamp(),
        Confirmed,
        "a branch that another feeder knows of"
    );
    // The other way round: a leg whose tag becomes known is found to have ended.
    let mut feeder = stage.initial(5, partial([leg("w", "l", "-", Early)]));
    stage.modify(&mut feeder, partial([leg("y", "l", "-", Terminated)]));
    assert_eq!(stage.lamp(), Early);
    stage.initial(6, full([leg("v", "l", "r", Terminated)]));
    stage.modify(&mut feeder, partial([leg("v", "l", "-", Early)]));
    stage.modify(&mut feeder, partial([leg("v", "l", "r", Early)]));
    stage.modify(&mut feeder, partial([leg("w", "l", "-", Terminated)]));
    assert_eq!(stage.lamp(), Terminated);
    stage.pass(40.0);
    // A winner that is reported after the loser's end is not mistaken for a late report of the
    // loser.
    stage.initial(3, full([leg("z", "-", "-", Terminated)]));
    stage.initial(4, full([leg("z", "l", "r", Early)]));
    assert_eq!(stage.lamp(), Early);
}

// W:D1

pub(super) fn number(digits: &str) -> Arc<CallDialog> {
    let call = CallParts {
        remote: Party {
            identity: digits,
            ..Party::default()
        },
        remote_is_private: true,
        ..CallParts::new("call_state", Confirmed)
    };
    Arc::new(call.into())
}

/// A call of `call_state.htm`, valid for that many seconds.
pub(super) fn call_state(call: Option<Arc<CallDialog>>, seconds: u64) -> StateUpdate {
    StateUpdate::Call {
        source: CallSource::CallState,
        call,
        expires: Some(Duration::from_secs(seconds)),
    }
}

#[test]
fn d1_call_state() {
    let mut stage = Stage::new();
    assert!(stage.say(call_state(Some(number("123")), 100)));
    assert_eq!(
        (stage.lamp(), stage.availability()),
        (Confirmed, Availability::Busy)
    );
    // The same number again only restarts the timer (W:D1.7).
    stage.pass(60.0);
    let since = stage.presentity.explain(stage.now)[0].since;
    assert!(!stage.say(call_state(Some(number("123")), 100)));
    assert_eq!(stage.presentity.explain(stage.now)[0].since, since);
    let end = stage.now + Duration::from_secs(100);
    assert_eq!(stage.presentity.next_expiry(), Some(end));
    stage.pass(60.0);
    assert_eq!(stage.lamp(), Confirmed);
    // Another number replaces it.
    assert!(stage.say(call_state(Some(number("456")), 100)));
    assert_eq!(stage.presentity.composed().calls.len(), 1);
    // It is combined with the reports of a PBX (W:D1.12).
    let mut pbx = stage.initial(1, full([leg("x", "l", "r", Confirmed)]));
    assert_eq!(stage.presentity.composed().calls.len(), 2);
    assert!(stage.say(call_state(None, 100)));
    assert_eq!(stage.lamp(), Confirmed);
    stage.say(call_state(Some(number("456")), 100));
    stage.modify(&mut pbx, full([]));
    assert_eq!(stage.lamp(), Confirmed);
    // It ends by itself (W:D1.6), and at once when it has expired.
    stage.pass(100.0);
    assert_eq!(stage.lamp(), Terminated);
    assert!(!stage.say(call_state(Some(number("456")), 0)));
    assert_eq!(stage.lamp(), Terminated);
}

#[test]
fn states_that_alternate_are_reused() {
    let mut stage = Stage::new();
    stage.initial(1, client(Some(true), &["lunch"], Some("back at one")));
    let call = number("123");
    let mut seen = Vec::new();
    for _ in 0..4 {
        for call in [Some(Arc::clone(&call)), None] {
            assert!(stage.say(call_state(call, 100)));
            // A watcher's shard keeps each state until the next.
            seen.push(Arc::as_ptr(stage.presentity.composed()));
        }
    }
    assert!(
        seen.iter().zip(&seen[2..]).all(|(one, later)| one == later),
        "two are enough"
    );
    let held = Arc::clone(stage.presentity.composed());
    stage.say(call_state(Some(call), 100));
    let before = (*held).clone();
    stage.say(call_state(None, 100));
    assert_eq!(*held, before, "a state that is held never changes");
}

// Why.

#[test]
fn every_contribution_is_explained() {
    let mut stage = Stage::new();
    assert_eq!(stage.verdict(), "offline: no source has reported anything");
    let caller = Party {
        identity: "sip:12@abc.com",
        ..Party::default()
    };
    let tag = stage.initial(1, client(Some(true), &["lunch"], Some("back at one")));
    assert_eq!(stage.verdict(), "away: a client published it");
    stage.initial(
        2,
        full([CallParts {
            remote: caller,
            ..parts("x", "l", "r", Early)
        }
        .into()]),
    );
    let end = stage.now + Duration::from_secs(100);
    stage.say(call_state(Some(number("123")), 100));
    let explained = stage.presentity.explain(stage.now);
    let said: Vec<_> = explained
        .iter()
        .map(|one| (one.asserts.to_string(), one.decides))
        .collect();
    assert_eq!(
        said,
        [
            ("open, lunch: back at one".to_owned(), false),
            ("early recipient from sip:12@abc.com".to_owned(), true),
            ("confirmed with a private party".to_owned(), false),
        ]
    );
    assert_eq!(explained[0].source, Source::Client(tag));
    assert!(matches!(explained[1].source, Source::Publish(_)));
    assert_eq!(
        (&explained[2].source, explained[2].until),
        (&Source::CallState, Some(end))
    );
    assert_eq!(stage.verdict(), "ringing: an incoming call is unanswered");
    stage.initial(3, full([]));
    assert_eq!(
        stage.presentity.explain(stage.now)[2].asserts,
        Assertion::Calls(Vec::new())
    );
}

#[test]
fn the_verdict_agrees_with_every_contribution() {
    let mut stage = Stage::new();
    let tag = stage.initial(1, full([]));
    assert_eq!(stage.verdict(), "available: no call");
    let explained = stage.presentity.explain(stage.now);
    assert_eq!(
        (&explained[0].asserts, explained[0].decides),
        (&Assertion::Calls(Vec::new()), true)
    );

    stage
        .publish(1, Package::Dialog, Condition::Matches(tag), Some(0), None)
        .unwrap();
    assert_eq!(
        stage.verdict(),
        "available: no call since the last reported call ended"
    );
    assert!(stage.presentity.explain(stage.now).is_empty());

    let mut stage = Stage::new();
    stage.say(StateUpdate::Note(Some("back at one".into())));
    assert_eq!(stage.presentity.explain(stage.now).len(), 1);
    assert_eq!(
        stage.verdict(),
        "offline: no source speaks of calls or availability"
    );
}

#[test]
fn a_user_known_by_calls_is_available_between_them() {
    let mut stage = Stage::new();
    let is_open = |stage: &Stage| stage.presentity.composed().open;
    assert!(!is_open(&stage));
    stage.say(call_state(Some(number("123")), 100));
    assert!(is_open(&stage));
    stage.say(call_state(None, 100));
    assert_eq!(stage.lamp(), Terminated);
    assert!(is_open(&stage));
    stage.pass(86_400.0);
    assert!(is_open(&stage));
    assert!(stage.presentity.is_blank() && stage.presentity.is_known_by_calls());
    // A registrar takes precedence.
    stage.say(StateUpdate::Unregistered);
    assert_eq!(stage.availability(), Availability::Unreachable);
    assert!(!is_open(&stage));
}

// Ways to report the end of a call.

/// Reports by initial PUBLISHes of one publisher, in order, each with its tags, and what the lamp
/// shows in the end.
#[test]
fn calls_ended_by_initial_publishes() {
    type Reports<'a> = &'a [(CallState, &'a str, &'a str)];
    let table: [(&str, Reports<'_>, CallState, CallState); 14] = [
        (
            "no tags at all",
            &[(Early, "-", "-"), (Terminated, "-", "-")],
            Terminated,
            Terminated,
        ),
        (
            "early with tags, ended without",
            &[(Early, "l", "r"), (Terminated, "-", "-")],
            Terminated,
            Terminated,
        ),
        (
            "answered with tags, ended without",
            &[(Confirmed, "l", "r"), (Terminated, "-", "-")],
            Terminated,
            Terminated,
        ),
        (
            "trying with one tag, ended without",
            &[(Trying, "l", "-"), (Terminated, "-", "-")],
            Terminated,
            Terminated,
        ),
        (
            "without tags, ended with",
            &[(Confirmed, "-", "-"), (Terminated, "l", "r")],
            Terminated,
            Terminated,
        ),
        (
            "ended with one of two tags",
            &[(Confirmed, "l", "r"), (Terminated, "l", "-")],
            Terminated,
            Terminated,
        ),
        // With other tags: a PBX means the call, a phone another leg.
        (
            "ended with another tag",
            &[(Confirmed, "l", "a"), (Terminated, "l", "b")],
            Terminated,
            Confirmed,
        ),
        (
            "early, ended with another tag",
            &[(Early, "l", "a"), (Terminated, "l", "b")],
            Terminated,
            Early,
        ),
        (
            "a winner with another tag than the early branch",
            &[
                (Early, "l", "a"),
                (Confirmed, "l", "b"),
                (Terminated, "l", "b"),
            ],
            Terminated,
            // A report of the PBX ends the early branch as well; a phone's report does not.
            Early,
        ),
        // A loser never clears the winner, whether reported before or after it.
        (
            "a loser's end",
            &[
                (Early, "l", "a"),
                (Early, "l", "b"),
                (Confirmed, "l", "a"),
                (Terminated, "l", "b"),
            ],
            Confirmed,
            Confirmed,
        ),
        (
            "a loser's end first",
            &[
                (Early, "l", "a"),
                (Early, "l", "b"),
                (Terminated, "l", "b"),
                (Confirmed, "l", "a"),
            ],
            Confirmed,
            Confirmed,
        ),
        // Reports that arrive late.
        (
            "early after the answer",
            &[(Confirmed, "l", "r"), (Early, "l", "r")],
            Confirmed,
            Confirmed,
        ),
        (
            "early of another branch after the answer",
            &[(Confirmed, "l", "a"), (Early, "l", "b")],
            Confirmed,
            Confirmed,
        ),
        (
            "early after the end without tags",
            &[(Terminated, "-", "-"), (Early, "l", "r")],
            Terminated,
            Terminated,
        ),
    ];
    for (story, reports, by_exchange, by_phone) in table {
        for (publisher, expected) in [(EXCHANGE, by_exchange), (1, by_phone)] {
            let mut stage = Stage::new();
            for (state, local_tag, remote_tag) in reports {
                stage.initial(publisher, full([leg("x", local_tag, remote_tag, *state)]));
            }
            assert_eq!(stage.lamp(), expected, "{story}, publisher {publisher}");
        }
    }
}

#[test]
fn an_initial_publish_without_calls_ends_only_that_publishers_calls() {
    for publisher in [EXCHANGE, 1] {
        let mut stage = Stage::new();
        let mut first = stage.initial(publisher, full([leg("x", "l", "r", Confirmed)]));
        stage.initial(publisher, full([leg("y", "l", "r", Early)]));
        stage.initial(3, full([leg("z", "l", "r", Confirmed)]));
        stage.initial(publisher, partial([]));
        assert_eq!(
            stage.presentity.composed().calls.len(),
            3,
            "it says nothing"
        );
        stage.initial(publisher, full([]));
        let calls = &stage.presentity.composed().calls;
        assert_eq!((calls.len(), calls[0].call_id()), (1, "z"));
        // The publication still exists, and may report its call again.
        stage.modify(&mut first, full([leg("x", "l", "r", Confirmed)]));
        assert_eq!(stage.presentity.composed().calls.len(), 2);
    }
}

#[test]
fn an_initial_publish_with_expires_0_only_ends_calls() {
    let mut stage = Stage::new();
    let passing = |stage: &mut Stage, document| {
        let document = Some(Ok(document));
        let published = stage.publish(1, Package::Dialog, Condition::None, Some(0), document);
        published.unwrap().0.expires
    };
    stage.initial(
        1,
        full([leg("x", "l", "r", Confirmed), leg("y", "l", "r", Confirmed)]),
    );
    let ends = [
        leg("x", "l", "r", Terminated),
        leg("w", "l", "r", Confirmed),
    ];
    assert_eq!(passing(&mut stage, full(ends)), Duration::ZERO);
    let calls = &stage.presentity.composed().calls;
    assert_eq!((calls.len(), calls[0].call_id()), (1, "y"));
    assert_eq!(
        stage.presentity.explain(stage.now).len(),
        1,
        "nothing is stored"
    );
    stage.initial(2, full([leg("x", "l", "r", Early)]));
    assert_eq!(stage.lamp(), Confirmed, "late news of a call that is over");
    passing(&mut stage, full([]));
    assert_eq!(stage.lamp(), Terminated);
}

#[test]
fn a_publish_that_ends_or_shortens_is_never_too_brief() {
    let mut stage = Stage::new();
    let publish = |stage: &mut Stage, condition, seconds, document: Option<Document>| {
        let document = document.map(Ok);
        let published = stage.publish(1, Package::Dialog, condition, Some(seconds), document);
        published.map(|(published, _)| published.entity_tag)
    };
    let too_brief = Err(PublishRefused::TooBrief(LIMITS.expires_min));
    let live = full([leg("x", "l", "r", Early)]);
    let over = full([leg("x", "l", "r", Terminated)]);
    assert_eq!(
        publish(&mut stage, Condition::None, 11, Some(live)),
        too_brief
    );
    assert!(publish(&mut stage, Condition::None, 11, Some(over)).is_ok());
    assert!(publish(&mut stage, Condition::None, 11, Some(full([]))).is_ok());

    let live = full([leg("z", "l", "r", Early)]);
    let tag = publish(&mut stage, Condition::None, 60, Some(live.clone())).unwrap();
    let tag = publish(&mut stage, Condition::Matches(tag), 11, Some(live)).unwrap();
    stage.pass(5.0);
    let longer = publish(&mut stage, Condition::Matches(tag), 11, None);
    assert_eq!(longer, too_brief, "six seconds were left");
    assert!(publish(&mut stage, Condition::Matches(tag), 6, None).is_ok());
}

#[test]
fn the_ends_of_two_branches_without_tags_are_both_remembered() {
    let branch = |id: &str, remote_tag: &str, state| {
        let local_tag = if remote_tag == "-" { "-" } else { "l" };
        CallDialog::from(CallParts {
            id,
            ..parts("x", local_tag, remote_tag, state)
        })
    };
    let mut stage = Stage::new();
    stage.initial(
        1,
        full([
            branch("one", "-", Terminated),
            branch("two", "-", Terminated),
        ]),
    );
    stage.initial(
        1,
        full([branch("one", "a", Early), branch("two", "b", Early)]),
    );
    assert_eq!(stage.lamp(), Terminated, "late news of both");
}
