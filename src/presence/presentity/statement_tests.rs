//! Statements that are not publications of calls or presence: how they are applied, shown and
//! removed.

use std::sync::Arc;
use std::time::Duration;

use crate::presence::call::CallState::{Confirmed, Early, Terminated};
use crate::presence::call::{Appearance, AppearanceState, CallDialog};
use crate::presence::composition::{Availability, Extras, ForwardedTo, Rules, Style};
use crate::presence::document::Document;
use crate::presence::event::Package;
use crate::presence::presentity::Condition;
use crate::presence::presentity::tests::{EXCHANGE, Stage, call_state, client, full, leg, number};
use crate::presence::profile::DoNotDisturbLamp;
use crate::presence::registration::{CONTACTS_MAX, ContactEnd, ContactEvent};
use crate::presence::source::{
    CallSource, Features, Forward, ForwardKind, MessageClass, MessageCounts, Messages,
    RichPresence, StateUpdate,
};

fn extras(stage: &Stage) -> &Extras {
    &stage.presentity.composed().extras
}

fn registered(contacts: &[(&str, u64)]) -> StateUpdate {
    let contacts = contacts
        .iter()
        .map(|(uri, seconds)| (Box::from(*uri), Duration::from_secs(*seconds)));
    StateUpdate::Registered(contacts.collect())
}

fn registrations(is_full: bool, contacts: &[(&str, bool, Option<u32>)]) -> Document {
    let contacts = contacts.iter().map(|(uri, is_active, expires)| {
        let end = (!is_active).then_some(ContactEnd::Rejected);
        (Box::from(*uri), end, *expires)
    });
    Document::Registrations {
        entity: None,
        full: is_full,
        contacts: contacts.collect(),
    }
}

fn contacts(stage: &Stage) -> Vec<(&str, u64, ContactEvent)> {
    extras(stage)
        .contacts
        .iter()
        .map(|contact| (&*contact.uri, contact.id, contact.event))
        .collect()
}

fn forward(kind: ForwardKind, is_active: bool, target: &str) -> StateUpdate {
    StateUpdate::Forward(Forward {
        kind,
        is_active,
        target: target.into(),
        ring_count: None,
    })
}

fn mailbox(new: u32) -> Messages {
    let counts = MessageCounts {
        new,
        ..MessageCounts::default()
    };
    Messages {
        are_waiting: new > 0,
        account: None,
        counts: vec![(MessageClass::Voice, counts)],
    }
}

/// Source, assertion in words, whether it expires, whether it decides.
fn explained(stage: &Stage) -> Vec<(String, String, bool, bool)> {
    let explained = stage.presentity.explain(stage.now);
    explained
        .into_iter()
        .map(|one| {
            (
                one.source.to_string(),
                one.asserts.to_string(),
                one.until.is_some(),
                one.decides,
            )
        })
        .collect()
}

// Registrations.

#[test]
fn a_contact_is_registered_refreshed_shortened_and_runs_out() {
    use ContactEvent::{Refreshed, Registered, Shortened};
    let mut stage = Stage::new();
    assert!(stage.say(registered(&[("sip:a", 100), ("sip:b", 50)])));
    assert_eq!(
        contacts(&stage),
        [("sip:a", 0, Registered), ("sip:b", 1, Registered)]
    );
    assert_eq!(stage.availability(), Availability::Available);
    stage.pass(40.0);
    assert!(stage.say(registered(&[("sip:a", 100)])));
    assert!(
        !stage.say(registered(&[("sip:a", 100)])),
        "a refresh like the last is no news"
    );
    assert!(stage.say(registered(&[("sip:b", 5)])));
    assert_eq!(
        contacts(&stage),
        [
            ("sip:a", 0, Refreshed),
            ("sip:b", 1, Shortened { expires: 5 })
        ]
    );
    // With grace (RFC 3903 §4.2, §6).
    stage.pass(6.9);
    assert_eq!(contacts(&stage).len(), 2);
    stage.pass(0.2);
    assert_eq!(contacts(&stage), [("sip:a", 0, Refreshed)]);
    stage.pass(100.0);
    assert_eq!(contacts(&stage), []);
    assert_eq!(stage.availability(), Availability::Unreachable);
    assert!(!stage.presentity.composed().open);
    // A contact that returns is a new contact.
    stage.say(registered(&[("sip:a", 100)]));
    assert_eq!(contacts(&stage), [("sip:a", 2, Registered)]);
}

#[test]
fn contacts_go_one_by_one_or_all_at_once() {
    let mut stage = Stage::new();
    stage.say(registered(&[
        ("sip:a", 100),
        ("sip:b", 100),
        ("sip:c", 100),
    ]));
    assert!(stage.say(registered(&[("sip:b", 0), ("sip:unknown", 0)])));
    assert_eq!(contacts(&stage).len(), 2);
    assert!(stage.say(StateUpdate::Unregistered));
    assert_eq!(stage.availability(), Availability::Unreachable);
    assert!(!stage.say(StateUpdate::Unregistered));
    assert_eq!(
        explained(&stage),
        [(
            "register".into(),
            "no contact is registered".into(),
            false,
            true
        )]
    );
    assert!(
        !stage.presentity.is_blank(),
        "it stays known that there is a registrar"
    );
}

/// RFC 3680 §5.2
#[test]
fn contacts_that_ended_are_remembered_for_their_watchers() {
    use ContactEnd::{Deactivated, Expired, Rejected, Unregistered};
    let ended = |stage: &Stage| -> Vec<(String, ContactEnd)> {
        let ended = extras(stage).ended_contacts.iter();
        ended.map(|one| (one.uri.to_string(), one.end)).collect()
    };
    let mut stage = Stage::new();
    stage.say(registered(&[("sip:a", 10), ("sip:b", 100)]));
    stage.pass(13.0);
    stage.say(registered(&[("sip:b", 0)]));
    assert_eq!(
        ended(&stage),
        [("sip:a".into(), Expired), ("sip:b".into(), Unregistered)]
    );
    // The watchers of ended contacts must have been notified.
    stage.pass(60.0);
    assert_eq!(ended(&stage), []);
    let contacts = [("sip:c", true, None), ("sip:d", true, None)];
    let mut tag = stage.initial(1, registrations(true, &contacts));
    stage.modify(&mut tag, registrations(false, &[("sip:c", false, None)]));
    assert_eq!(ended(&stage), [("sip:c".into(), Rejected)]);
    stage
        .publish(1, Package::Reg, Condition::Matches(tag), Some(0), None)
        .unwrap();
    assert_eq!(ended(&stage)[1], ("sip:d".into(), Deactivated));
    for place in 0..40 {
        let uri = format!("sip:{place}");
        stage.say(registered(&[(&uri, 100)]));
        stage.say(registered(&[(&uri, 0)]));
    }
    assert_eq!(ended(&stage).len(), 16, "the latest");
    assert_eq!(ended(&stage)[15].0, "sip:39");
}

#[test]
fn contacts_are_bounded() {
    let mut stage = Stage::new();
    for place in 0..CONTACTS_MAX + 4 {
        stage.say(registered(&[(&format!("sip:{place}"), 100)]));
    }
    assert_eq!(contacts(&stage).len(), CONTACTS_MAX);
    assert_eq!(contacts(&stage)[0].0, "sip:0", "the first stay");
    assert!(
        stage.say(registered(&[("sip:0", 100)])),
        "and are refreshed"
    );
}

/// RFC 3680
#[test]
fn a_reg_publication_changes_only_its_own_contacts() {
    let mut stage = Stage::new();
    stage.say(registered(&[("sip:own", 1000)]));
    let document = registrations(
        true,
        &[
            ("sip:a", true, None),
            ("sip:b", true, Some(50)),
            ("sip:c", false, None),
        ],
    );
    let mut tag = stage.initial(1, document);
    let uris = |stage: &Stage| -> String {
        let contacts = &extras(stage).contacts;
        contacts.iter().map(|contact| &contact.uri[4..]).collect()
    };
    assert_eq!(uris(&stage), "ownab");
    stage.pass(52.5);
    assert_eq!(
        uris(&stage),
        "owna",
        "a contact may end before its document"
    );
    stage.modify(&mut tag, registrations(false, &[("sip:d", true, None)]));
    assert_eq!(uris(&stage), "ownad");
    stage.modify(&mut tag, registrations(false, &[("sip:a", false, None)]));
    assert_eq!(uris(&stage), "ownd");
    stage.modify(
        &mut tag,
        registrations(true, &[("sip:e", true, Some(4000))]),
    );
    assert_eq!(uris(&stage), "owne");
    // An initial PUBLISH by the same publisher replaces the ones that it supersedes (W:B1.12).
    let id = extras(&stage).contacts[1].id;
    let tag = stage.initial(1, registrations(true, &[("sip:e", true, None)]));
    assert_eq!(
        (uris(&stage).as_str(), extras(&stage).contacts[1].id),
        ("owne", id)
    );
    stage
        .publish(1, Package::Reg, Condition::Matches(tag), Some(0), None)
        .unwrap();
    assert_eq!(uris(&stage), "own");
    stage.initial(1, registrations(true, &[("sip:f", true, None)]));
    let words = explained(&stage);
    assert!(words[0].0.starts_with("publish:") && words[0].1 == "sip:f is registered");
    assert_eq!(
        words[1],
        (
            "operator:registered:sip:own".into(),
            "registered".into(),
            true,
            true
        )
    );
    stage.pass(3602.5);
    assert_eq!(uris(&stage), "", "it goes with its publication");
}

#[test]
fn a_reg_publication_without_a_contact_says_unreachable() {
    let mut stage = Stage::new();
    stage.initial(1, registrations(true, &[]));
    assert_eq!(stage.availability(), Availability::Unreachable);
}

// Features.

#[test]
fn features_have_no_end() {
    let mut stage = Stage::new();
    assert!(stage.say(StateUpdate::DoNotDisturb(true)));
    assert!(!stage.say(StateUpdate::DoNotDisturb(true)));
    assert!(stage.say(forward(ForwardKind::NoAnswer, false, "0123")));
    assert!(stage.say(forward(ForwardKind::Immediate, true, "*97")));
    assert_eq!(stage.presentity.next_expiry(), None);
    stage.pass(1_000_000.0);
    assert_eq!(stage.availability(), Availability::DoNotDisturb);
    let kinds = extras(&stage).features.forwards.iter().map(|one| one.kind);
    assert!(kinds.eq([ForwardKind::Immediate, ForwardKind::NoAnswer]));
    let row = |source: &str, says: &str, decides| (source.into(), says.into(), false, decides);
    assert_eq!(
        explained(&stage),
        [
            row("feature:dnd", "do-not-disturb", true),
            row("feature:forward", "always to *97", false),
            row("feature:forward", "if unanswered to 0123, off", false),
        ]
    );
    assert!(stage.say(StateUpdate::DoNotDisturb(false)));
    assert_eq!(
        stage.availability(),
        Availability::Forwarded(ForwardedTo::Number)
    );
    assert!(stage.say(forward(ForwardKind::Immediate, false, "")));
    assert!(stage.say(forward(ForwardKind::NoAnswer, false, "")));
    assert!(stage.presentity.is_blank());
    assert_eq!(extras(&stage).features, Features::default());
}

/// W:D3.18
#[test]
fn d3_18_a_pbx_overrides_a_phone() {
    let mut stage = Stage::new();
    let imagicle = Rules {
        style: Style::Imagicle,
        ..Rules::default()
    };
    stage
        .presentity
        .set_rules(Arc::new(imagicle.clone()), stage.now);
    let phone = full([leg("own", "l", "r", Confirmed)]);
    stage.initial(1, phone);
    assert_eq!(stage.availability(), Availability::Busy);
    // The PBX reports no call, so there is none.
    let tag = stage.initial(EXCHANGE, full([]));
    assert_eq!(stage.availability(), Availability::Available);
    assert!(stage.presentity.composed().calls.is_empty());
    let early = full([leg("its", "l", "r", Early)]);
    let package = Package::Dialog;
    let matching = Condition::Matches(tag);
    let modified = stage.publish(EXCHANGE, package, matching, Some(3600), Some(Ok(early)));
    let tag = modified.unwrap().0.entity_tag;
    assert_eq!(stage.presentity.composed().calls.len(), 1);
    // Every other style accepts both.
    stage
        .presentity
        .set_rules(Arc::new(Rules::default()), stage.now);
    assert_eq!(stage.presentity.composed().calls.len(), 2);
    stage.presentity.set_rules(Arc::new(imagicle), stage.now);
    assert_eq!(stage.presentity.composed().calls.len(), 1);
    // When the PBX's publication ends, the phone's counts again.
    let removed = stage.publish(EXCHANGE, package, Condition::Matches(tag), Some(0), None);
    assert!(removed.is_ok());
    assert_eq!(stage.availability(), Availability::Busy);
}

/// W:D3.19: voice mail numbers change, and with them the state of users whose calls are forwarded
/// there.
#[test]
fn rules_count_from_the_moment_they_are_set() {
    let mut stage = Stage::new();
    stage.say(forward(ForwardKind::Immediate, true, "sip:*97@abc.com"));
    let rules = |pilot: &str| {
        Arc::new(Rules {
            style: Style::Imagicle,
            voicemail: vec![pilot.into()],
            ..Rules::default()
        })
    };
    let word = |stage: &Stage| {
        let extended = stage.presentity.composed().extended;
        extended.map(crate::presence::composition::Extended::as_str)
    };
    assert_eq!(word(&stage), None);
    assert!(stage.presentity.set_rules(rules("*98"), stage.now));
    assert_eq!(word(&stage), Some("Forwarded to phone number"));
    assert!(stage.presentity.set_rules(rules("*97"), stage.now));
    assert_eq!(word(&stage), Some("Forwarded to voice mail"));
    assert!(
        !stage.presentity.set_rules(rules("*97"), stage.now),
        "equal"
    );
    assert!(stage.presentity.set_rules(Arc::default(), stage.now));
    assert_eq!(word(&stage), None);
}

/// W:D2.5, D2.6
#[test]
fn an_alternative_number_is_shown_as_long_as_no_contact_is_registered() {
    let mut stage = Stage::new();
    let rules = Rules {
        style: Style::Alceo,
        alternative: Some("+39061234".into()),
        display: Some("Alice".into()),
        ..Rules::default()
    };
    let shown = |stage: &Stage| {
        let composed = stage.presentity.composed();
        (composed.open, composed.extras.alternative.clone())
    };
    assert!(stage.presentity.set_rules(Arc::new(rules), stage.now));
    assert_eq!(extras(&stage).display.as_deref(), Some("Alice"));
    assert_eq!(shown(&stage), (true, Some("+39061234".into())));
    assert_eq!(
        explained(&stage),
        [(
            "account:alternative".into(),
            "reachable at +39061234".into(),
            false,
            true
        )]
    );
    assert!(stage.presentity.is_blank() && !stage.presentity.is_present());
    stage.say(registered(&[("sip:a", 100)]));
    assert_eq!(shown(&stage), (true, None));
    stage.pass(200.0);
    assert_eq!(shown(&stage), (true, Some("+39061234".into())));
    // A client takes precedence over the account.
    let statement = RichPresence {
        alternative: Some("tel:+39335".into()),
        ..RichPresence::default()
    };
    stage.initial(
        1,
        Document::Pidf {
            entity: None,
            statement,
        },
    );
    assert_eq!(shown(&stage), (true, Some("tel:+39335".into())));
    stage.presentity.set_rules(
        Arc::new(Rules {
            style: Style::Alceo,
            ..Rules::default()
        }),
        stage.now,
    );
    assert_eq!(stage.verdict(), "available: an alternative number is known");
    let words = explained(&stage);
    assert_eq!(
        (&*words[0].1, words[0].3),
        ("neither open nor closed, reachable at tel:+39335", true)
    );
    stage.pass(3602.5);
    assert_eq!(shown(&stage), (false, None));
}

// The operator.

/// W:D3.4
#[test]
fn the_operators_note_overrides_others() {
    let mut stage = Stage::new();
    stage.initial(1, client(Some(true), &["lunch"], Some("back at one")));
    assert!(stage.say(StateUpdate::Note(Some("on a trip".into()))));
    assert_eq!(
        stage.presentity.composed().note.as_deref(),
        Some("on a trip")
    );
    assert_eq!(
        stage.availability(),
        Availability::Away,
        "a note is but a note"
    );
    assert!(stage.say(StateUpdate::Note(None)));
    assert_eq!(
        stage.presentity.composed().note.as_deref(),
        Some("back at one")
    );
    assert!(!stage.say(StateUpdate::Note(Some("".into()))));
}

#[test]
fn the_operators_presence_replaces_the_clients() {
    let mut stage = Stage::new();
    stage.initial(1, client(Some(true), &["dnd"], None));
    let statement = RichPresence {
        activities: vec!["meeting".into()],
        ..RichPresence::default()
    };
    assert!(stage.say(StateUpdate::Presence(Some(statement))));
    assert_eq!(stage.verdict(), "busy: the operator set it");
    assert!(stage.presentity.composed().open);
    assert_eq!(explained(&stage)[1].0, "operator:presence");
    assert!(stage.say(StateUpdate::Presence(Some(RichPresence::default()))));
    assert_eq!(
        stage.availability(),
        Availability::DoNotDisturb,
        "no word of his"
    );
    assert!(!stage.say(StateUpdate::Presence(None)));
    let forever = Duration::MAX;
    stage.say(StateUpdate::Registered(vec![("sip:a".into(), forever)]));
    assert_eq!(contacts(&stage).len(), 1, "no end is beyond the clock's");
}

/// W:C8.2: a night key is lit until it is turned off, a queue blinks until it is turned off.
#[test]
fn the_operators_lamp_is_a_separate_source() {
    let mut stage = Stage::new();
    let lamp = |call: Option<CallDialog>, seconds: Option<u64>| StateUpdate::Call {
        source: CallSource::Operator,
        call: call.map(Arc::new),
        expires: seconds.map(Duration::from_secs),
    };
    assert!(stage.say(lamp(Some(leg("night", "-", "-", Early)), None)));
    stage.pass(100_000.0);
    assert_eq!(stage.lamp(), Early);
    assert_eq!(
        explained(&stage),
        [(
            "operator:lamp".into(),
            "early recipient".into(),
            false,
            true
        )]
    );
    // In addition to the other source.
    stage.say(call_state(Some(number("123")), 100));
    stage.say(lamp(None, None));
    assert_eq!(stage.lamp(), Confirmed);
    stage.pass(100.0);
    assert_eq!(stage.lamp(), Terminated);
    assert!(stage.say(lamp(Some(leg("night", "-", "-", Confirmed)), Some(60))));
    stage.pass(60.0);
    assert!(stage.presentity.is_blank());
}

/// W:B1.17: a call reported by `call_state.htm` is trusted only for the time limit of its state.
#[test]
fn a_ringing_call_of_call_state_ends_after_three_minutes() {
    let mut stage = Stage::new();
    let ringing = Arc::new(leg("x", "-", "-", Early));
    stage.say(call_state(Some(ringing), 7200));
    stage.pass(181.0);
    assert_eq!(stage.lamp(), Terminated);
}

/// W:D4.3, D4.5
#[test]
fn which_addresses_are_present() {
    let mut stage = Stage::new();
    assert!(!stage.presentity.is_present());
    let mut feeder = stage.initial(1, full([]));
    assert!(stage.presentity.is_present(), "an extension without a call");
    let orbit = Rules {
        is_orbit: true,
        ..Rules::default()
    };
    stage.presentity.set_rules(Arc::new(orbit), stage.now);
    assert!(!stage.presentity.is_present(), "an orbit without one");
    stage.modify(&mut feeder, full([leg("parked", "l", "r", Confirmed)]));
    assert!(stage.presentity.is_present());
    stage.modify(&mut feeder, full([]));
    assert!(!stage.presentity.is_present());
    assert!(!stage.presentity.is_blank(), "but known");
}

// Mailboxes and appearances.

/// RFC 3842
#[test]
fn the_newest_report_on_a_mailbox_wins() {
    let mut stage = Stage::new();
    let waiting = |stage: &Stage| {
        let messages = extras(stage).messages.as_ref()?;
        Some(messages.counts[0].1.new)
    };
    assert_eq!(waiting(&stage), None);
    let tag = stage.initial(
        1,
        Document::Messages {
            messages: mailbox(2),
        },
    );
    assert_eq!(waiting(&stage), Some(2));
    stage.pass(1.0);
    assert!(stage.say(StateUpdate::Messages(Some(mailbox(3)))));
    assert!(!stage.say(StateUpdate::Messages(Some(mailbox(3)))));
    assert_eq!(waiting(&stage), Some(3));
    stage.pass(1.0);
    stage.initial(
        2,
        Document::Messages {
            messages: mailbox(0),
        },
    );
    assert_eq!(waiting(&stage), Some(0));
    assert_eq!(
        explained(&stage)[0].1,
        "messages waiting, voice 2 new 0 old"
    );
    assert_eq!(explained(&stage)[2].0, "operator:messages");
    assert_eq!(stage.availability(), Availability::Offline, "no presence");
    // By the publisher that lost its entity tag.
    stage.pass(1.0);
    stage.initial(
        1,
        Document::Messages {
            messages: mailbox(5),
        },
    );
    assert_eq!(waiting(&stage), Some(5));
    let gone = stage.publish(
        1,
        Package::MessageSummary,
        Condition::Matches(tag),
        None,
        None,
    );
    assert!(gone.is_err());
    stage.pass(4000.0);
    assert_eq!(waiting(&stage), Some(3), "publications end");
    assert!(stage.say(StateUpdate::Messages(None)));
    assert!(stage.presentity.is_blank());
}

/// W:C10.1
#[test]
fn appearances_are_kept_in_order_and_bounded() {
    let mut stage = Stage::new();
    let appearance = |index, state| {
        StateUpdate::Appearance(Appearance {
            index,
            state,
            party: None,
        })
    };
    assert!(stage.say(appearance(3, AppearanceState::Held)));
    assert!(stage.say(appearance(1, AppearanceState::Seized)));
    assert!(!stage.say(appearance(1, AppearanceState::Seized)));
    assert!(stage.say(appearance(1, AppearanceState::Active)));
    for outside in [0, 33, 255] {
        assert!(!stage.say(appearance(outside, AppearanceState::Active)));
    }
    assert!(stage.say(appearance(32, AppearanceState::Alerting)));
    let kept = |stage: &Stage| -> Vec<_> {
        let appearances = extras(stage).appearances.iter();
        appearances
            .map(|one| (one.index, one.state.as_str()))
            .collect()
    };
    assert_eq!(kept(&stage), [(1, "active"), (3, "held"), (32, "alerting")]);
    assert_eq!(explained(&stage)[1].1, "3 held");
    assert!(stage.say(appearance(3, AppearanceState::Idle)));
    assert!(!stage.say(appearance(3, AppearanceState::Idle)));
    stage.say(appearance(1, AppearanceState::Idle));
    stage.say(appearance(32, AppearanceState::Idle));
    assert!(stage.presentity.is_blank());
}

/// A change of a lamp must not allocate new extras.
#[test]
fn what_seldom_changes_is_shared() {
    let mut stage = Stage::new();
    stage.say(StateUpdate::DoNotDisturb(true));
    stage.say(registered(&[("sip:a", 1000)]));
    let before = Arc::clone(&stage.presentity.composed().extras);
    stage.say(call_state(Some(number("123")), 100));
    assert!(Arc::ptr_eq(&before, &stage.presentity.composed().extras));
    stage.pass(100.0);
    assert!(Arc::ptr_eq(&before, &stage.presentity.composed().extras));
}

/// `call_state.htm` is one source: a call clears its do-not-disturb, and vice versa; the phone's
/// do-not-disturb is kept.
#[test]
fn dnd_of_call_state_replaces_its_call() {
    let call = |state| StateUpdate::Call {
        source: CallSource::CallState,
        call: Some(Arc::new(leg("hook", "-", "-", state))),
        expires: Some(Duration::from_secs(600)),
    };
    let dnd = |seconds| StateUpdate::CallStateDoNotDisturb(Duration::from_secs(seconds));
    let mut stage = Stage::new();
    let becomes = |stage: &mut Stage, said, availability: Availability| {
        stage.say(said);
        assert_eq!(stage.availability(), availability);
    };
    becomes(&mut stage, call(Confirmed), Availability::Busy);
    becomes(&mut stage, dnd(60), Availability::DoNotDisturb);
    becomes(&mut stage, call(Early), Availability::Ringing);
    becomes(&mut stage, dnd(60), Availability::DoNotDisturb);
    becomes(&mut stage, dnd(0), Availability::Available);
    becomes(
        &mut stage,
        StateUpdate::DoNotDisturb(true),
        Availability::DoNotDisturb,
    );
    becomes(&mut stage, dnd(60), Availability::DoNotDisturb);
    becomes(&mut stage, dnd(0), Availability::DoNotDisturb);
    becomes(
        &mut stage,
        StateUpdate::DoNotDisturb(false),
        Availability::Available,
    );
    becomes(&mut stage, dnd(60), Availability::DoNotDisturb);
    stage.pass(61.0);
    assert_eq!(stage.availability(), Availability::Available);
}

/// The lamp shown by `why` is that of the phones.
#[test]
fn do_not_disturb_lights_the_lamp_where_the_domain_says_so() {
    for (shows, expected) in [
        (DoNotDisturbLamp::None, Terminated),
        (DoNotDisturbLamp::Confirmed, Confirmed),
        (DoNotDisturbLamp::Early, Early),
    ] {
        let mut stage = Stage::new();
        let rules = Rules {
            do_not_disturb: shows,
            ..Rules::default()
        };
        stage.presentity.set_rules(Arc::new(rules), stage.now);
        stage.say(StateUpdate::DoNotDisturb(true));
        assert_eq!(stage.lamp(), expected);
        // Any call takes precedence over it.
        stage.say(call_state(Some(number("123")), 100));
        assert_eq!(stage.lamp(), Confirmed);
        stage.say(call_state(None, 100));
        stage.say(StateUpdate::DoNotDisturb(false));
        assert_eq!(stage.lamp(), Terminated);
    }
}
