//! The composed state in each style, as tables: inputs by name, the verdict, `basic`, the value of
//! the style.

use std::sync::Arc;
use std::time::Instant;

use crate::presence::call::{CallDialog, CallParts, CallState, Direction};
use crate::presence::composition::{
    Circumstances, Composed, Contributor, Declaration, Extended, Extras, Rules, Style, Verdict,
    compose, implied_activity, lamp,
};
use crate::presence::registration::{ContactEvent, RegisteredContact};
use crate::presence::source::{CallSource, Forward, ForwardKind, RichPresence};

const FEED: Contributor = Contributor::Publication(0);
const CLIENT: Contributor = Contributor::Publication(1);

/// Composes the inputs of a line.
fn composed(style: Style, facts: &str) -> (Composed, Verdict) {
    let mut extras = Extras::default();
    let mut calls = Vec::new();
    let mut declarations = Vec::new();
    let (mut has_registrar, mut call_source, mut note) = (false, None, None);
    let mut is_known_by_calls = false;
    for fact in facts.split_whitespace() {
        let word = |open, activity: &str, words: Option<&str>| {
            let statement = RichPresence {
                open,
                activities: Some(activity)
                    .filter(|name| !name.is_empty())
                    .into_iter()
                    .map(Box::from)
                    .collect(),
                note: words.map(Box::from),
                alternative: None,
            };
            Declaration::new(statement, Instant::now())
        };
        match fact {
            "dnd" => extras.features.do_not_disturb = true,
            "voicemail" => extras
                .features
                .forwards
                .push(forward(ForwardKind::Immediate, "sip:*97@abc.com")),
            "number" => extras
                .features
                .forwards
                .push(forward(ForwardKind::Immediate, "0123")),
            "when-busy" => extras
                .features
                .forwards
                .push(forward(ForwardKind::Busy, "*97")),
            "registered" => {
                has_registrar = true;
                extras.contacts.push(RegisteredContact {
                    uri: "sip:123@10.0.0.9".into(),
                    id: 0,
                    event: ContactEvent::Registered,
                });
            }
            "unregistered" => has_registrar = true,
            "alternative" => extras.alternative = Some("+39061234".into()),
            "ringing" => calls.push((FEED, call("r", Direction::Recipient, CallState::Early))),
            "talking" => calls.push((FEED, call("t", Direction::Recipient, CallState::Confirmed))),
            "calling" => calls.push((FEED, call("c", Direction::Initiator, CallState::Trying))),
            "http" => calls.push((
                Contributor::Call(CallSource::CallState),
                call("h", Direction::Recipient, CallState::Confirmed),
            )),
            "feed" => call_source = Some(FEED),
            "called-before" => is_known_by_calls = true,
            "noted" => note = Some(Arc::from("back soon")),
            "open" => declarations.push((CLIENT, word(Some(true), "", None))),
            "closed" => declarations.push((CLIENT, word(Some(false), "", Some("On holiday")))),
            "operator-away" => {
                declarations.push((Contributor::OperatorPresence, word(None, "away", None)))
            }
            "operator-closed" => {
                declarations.push((Contributor::OperatorPresence, word(Some(false), "", None)))
            }
            activity => declarations.push((CLIENT, word(None, activity, Some(activity)))),
        }
    }
    let rules = Rules {
        style,
        voicemail: vec!["*97".into()],
        ..Rules::default()
    };
    let extras = Arc::new(extras);
    let circumstances = Circumstances {
        rules: &rules,
        extras: &extras,
        alternative_by: Contributor::Account,
        note: note.as_ref(),
        has_registrar,
        call_source: call_source.or_else(|| calls.first().map(|(by, _)| *by)),
        is_known_by_calls: is_known_by_calls || call_source.is_some() || !calls.is_empty(),
        has_call_state_dnd: false,
    };
    let mut composed = Composed::default();
    let calls = calls.iter().map(|(by, call)| (*by, call));
    let declarations = declarations.iter().map(|(by, said)| (*by, said));
    let verdict = compose(
        calls,
        declarations,
        &circumstances,
        &Composed::default(),
        &mut composed,
    );
    assert_eq!(verdict.availability, composed.availability);
    (composed, verdict)
}

fn forward(kind: ForwardKind, target: &str) -> Forward {
    Forward {
        kind,
        is_active: true,
        target: target.into(),
        ring_count: None,
    }
}

fn call(id: &str, direction: Direction, state: CallState) -> Arc<CallDialog> {
    let call = CallParts {
        call_id: id,
        local_tag: "l",
        remote_tag: "r",
        direction: Some(direction),
        ..CallParts::new(id, state)
    };
    Arc::new(call.into())
}

/// The verdict and `basic`: `busy open`.
fn outcome(style: Style, facts: &str) -> String {
    let (composed, _) = composed(style, facts);
    let basic = if composed.open { "open" } else { "closed" };
    format!("{} {basic}", composed.availability)
}

fn word(style: Style, facts: &str) -> &'static str {
    composed(style, facts)
        .0
        .extended
        .map_or("", Extended::as_str)
}

/// Every pair of `facts`, which are in order of precedence, and the strongest of all.
fn check_precedence(style: Style, facts: &[(&str, &str)]) {
    for (place, (strong, availability)) in facts.iter().enumerate() {
        assert_eq!(
            composed(style, strong).0.availability.to_string(),
            *availability,
            "{strong}"
        );
        for (weak, _) in &facts[place..] {
            for both in [format!("{strong} {weak}"), format!("{weak} {strong}")] {
                let (composed, _) = composed(style, &both);
                assert_eq!(
                    composed.availability.to_string(),
                    *availability,
                    "{style:?} {both}"
                );
            }
        }
    }
}

/// The order of the style `standard`.
#[test]
fn standard_precedence_pair_by_pair() {
    check_precedence(
        Style::Standard,
        &[
            ("dnd", "do-not-disturb"),
            ("donotdisturb", "do-not-disturb"),
            ("voicemail", "forwarded to voice mail"),
            ("ringing", "ringing"),
            ("talking", "busy"),
            ("calling", "busy"),
            ("meeting", "busy"),
            ("away", "away"),
            ("open", "available"),
            ("registered", "available"),
        ],
    );
    // A user who is unreachable is neither in a call nor open.
    check_precedence(
        Style::Standard,
        &[
            ("dnd", "do-not-disturb"),
            ("number", "forwarded to a number"),
            ("unregistered", "unreachable"),
            ("meeting", "busy"),
            ("away", "away"),
            ("closed", "offline"),
        ],
    );
}

#[test]
fn standard() {
    let table = [
        ("", "offline closed"),
        // Registrations, W:D2.5.
        ("registered", "available open"),
        ("unregistered", "unreachable closed"),
        ("unregistered alternative", "available open"),
        ("alternative", "available open"),
        ("registered closed", "offline closed"),
        ("registered closed talking", "busy closed"),
        ("unregistered closed", "unreachable closed"),
        ("unregistered open", "available open"),
        ("unregistered talking", "busy open"),
        ("unregistered http", "busy open"),
        ("unregistered on-the-phone", "busy open"),
        ("unregistered away", "unreachable closed"),
        ("registered away", "away open"),
        // Features of the user, W:C9.3.
        ("dnd", "do-not-disturb closed"),
        ("dnd registered open talking", "do-not-disturb closed"),
        ("voicemail", "forwarded to voice mail closed"),
        ("voicemail registered", "forwarded to voice mail open"),
        ("number", "forwarded to a number open"),
        ("number closed", "forwarded to a number closed"),
        ("number unregistered", "forwarded to a number open"),
        ("when-busy talking", "busy open"),
        // The operator's statement.
        ("operator-away", "away closed"),
        ("operator-away open", "away open"),
        ("operator-closed open", "offline closed"),
        ("operator-away donotdisturb", "away closed"),
        ("operator-away on-the-phone", "busy open"),
        ("operator-away ringing", "ringing open"),
        // A user whose calls are reported is present also while idle, unless a registrar or the
        // user's own declaration says otherwise.
        ("feed", "available open"),
        ("called-before", "available open"),
        ("called-before away", "away open"),
        ("called-before closed", "offline closed"),
        ("called-before unregistered", "unreachable closed"),
        ("called-before dnd", "do-not-disturb closed"),
    ];
    for (facts, expected) in table {
        assert_eq!(outcome(Style::Standard, facts), expected, "{facts:?}");
        assert_eq!(word(Style::Standard, facts), "", "{facts:?}");
    }
}

/// W:D2.13
#[test]
fn alceo_precedence_pair_by_pair() {
    check_precedence(
        Style::Alceo,
        &[
            ("dnd", "do-not-disturb"),
            ("closed", "do-not-disturb"),
            ("ringing", "ringing"),
            ("talking", "busy"),
            ("registered meeting", "busy"),
            ("registered away", "away"),
            ("registered", "available"),
        ],
    );
    check_precedence(
        Style::Alceo,
        &[
            ("donotdisturb", "do-not-disturb"),
            ("unregistered", "unreachable"),
            ("meeting", "unreachable"),
            ("away", "unreachable"),
            ("voicemail", "unreachable"),
        ],
    );
}

/// W:D2.7-D2.12
#[test]
fn alceo() {
    let table = [
        // A user is reachable if there is a registration, an alternative number, a call, or a
        // client that is open.
        ("", "unreachable closed", "unreachable"),
        ("feed", "unreachable closed", "unreachable"),
        ("unregistered", "unreachable closed", "unreachable"),
        ("registered", "available open", "available"),
        ("alternative", "available open", "available"),
        ("unregistered alternative", "available open", "available"),
        ("unregistered open", "available open", "available"),
        ("unregistered number", "available open", "available"),
        (
            "unregistered voicemail",
            "unreachable closed",
            "unreachable",
        ),
        ("alternative away", "away open", "available"),
        ("unregistered away", "unreachable closed", "unreachable"),
        // Calls.
        ("registered talking", "busy open", "busy"),
        ("unregistered talking", "busy open", "busy"),
        ("http", "busy open", "busy"),
        ("registered on-the-phone", "busy open", "busy"),
        ("registered ringing", "ringing open", "ringing"),
        ("registered talking ringing", "ringing open", "ringing"),
        // This style has no value for forwarded calls.
        ("registered voicemail talking", "busy open", "busy"),
        // Declared unavailable: reachable or not.
        ("registered dnd", "do-not-disturb closed", "donotdisturb"),
        ("unregistered dnd", "do-not-disturb closed", "donotdisturb"),
        ("dnd", "do-not-disturb closed", "donotdisturb"),
        (
            "unregistered donotdisturb",
            "do-not-disturb closed",
            "donotdisturb",
        ),
        ("registered closed", "do-not-disturb closed", "donotdisturb"),
        (
            "unregistered closed",
            "do-not-disturb closed",
            "donotdisturb",
        ),
        ("closed talking", "do-not-disturb closed", "donotdisturb"),
        // One of two clients is open.
        ("closed open", "available open", "available"),
    ];
    for (facts, expected, extended) in table {
        assert_eq!(outcome(Style::Alceo, facts), expected, "{facts:?}");
        assert_eq!(word(Style::Alceo, facts), extended, "{facts:?}");
    }
}

/// W:D2.11, D2.14
#[test]
fn alceo_carries_the_comment_and_mirrors_to_rpid() {
    let (composed, verdict) = composed(Style::Alceo, "registered closed");
    assert_eq!(composed.note.as_deref(), Some("On holiday"));
    assert_eq!(implied_activity(&composed), Some("busy"));
    assert_eq!(
        verdict.to_string(),
        "do-not-disturb: a client published closed"
    );
    let noted = self::composed(Style::Alceo, "registered closed noted").0;
    assert_eq!(
        noted.note.as_deref(),
        Some("back soon"),
        "the operator's goes before"
    );
    let busy = self::composed(Style::Alceo, "registered talking").0;
    assert_eq!(implied_activity(&busy), Some("on-the-phone"));
}

/// W:D3.17
#[test]
fn imagicle_precedence_pair_by_pair() {
    check_precedence(
        Style::Imagicle,
        &[
            ("dnd", "do-not-disturb"),
            ("donotdisturb", "do-not-disturb"),
            ("number", "forwarded to a number"),
            ("ringing", "ringing"),
            ("http", "busy"),
            ("meeting", "busy"),
            ("away", "away"),
            ("registered", "available"),
            ("closed", "offline"),
        ],
    );
    check_precedence(
        Style::Imagicle,
        &[
            ("dnd", "do-not-disturb"),
            ("voicemail", "forwarded to voice mail"),
            ("unregistered", "unreachable"),
            ("away", "away"),
            ("closed", "offline"),
        ],
    );
}

/// W:D3.2, D3.3, D3.14, D3.17-D3.19: the value for the whole state, for the telephony track, for
/// the rich track.
#[test]
fn imagicle() {
    let table = [
        ("", "offline closed", "Offline / - / -"),
        // Only telephony.
        ("feed", "available open", "Available / Available / -"),
        ("registered", "available open", "Available / Available / -"),
        (
            "unregistered",
            "unreachable closed",
            "Offline / Offline / -",
        ),
        ("http", "busy open", "Busy / Busy / -"),
        ("feed ringing", "ringing open", "Busy / Busy / -"),
        (
            "voicemail",
            "forwarded to voice mail open",
            "Forwarded to voice mail / Forwarded to voice mail / -",
        ),
        (
            "number",
            "forwarded to a number open",
            "Forwarded to phone number / Forwarded to phone number / -",
        ),
        (
            "number talking",
            "forwarded to a number open",
            "Forwarded to phone number / Forwarded to phone number / -",
        ),
        (
            "number dnd",
            "do-not-disturb closed",
            "Do not disturb / Do not disturb / -",
        ),
        ("when-busy talking", "busy open", "Busy / Busy / -"),
        // Only rich presence.
        ("open", "available open", "Available / - / Available"),
        ("away", "away open", "Away / - / Away"),
        ("meeting", "busy open", "Busy / - / Busy"),
        (
            "donotdisturb",
            "do-not-disturb closed",
            "Do not disturb / - / Do not disturb",
        ),
        ("closed", "offline closed", "Offline / - / Offline"),
        // Both.
        ("talking away", "busy open", "Busy / Busy / Away"),
        ("feed away", "away open", "Away / Available / Away"),
        (
            "feed closed",
            "available open",
            "Available / Available / Offline",
        ),
        (
            "number donotdisturb",
            "do-not-disturb closed",
            "Do not disturb / Forwarded to phone number / Do not disturb",
        ),
        // A client's on-the-phone belongs to the telephony track, and is ignored if a better source
        // reports calls.
        ("on-the-phone", "busy open", "Busy / Busy / Offline"),
        (
            "feed on-the-phone",
            "available open",
            "Available / Available / Offline",
        ),
        // The operator's statement replaces those of the clients.
        ("operator-away meeting", "away open", "Away / - / Away"),
        ("operator-away donotdisturb", "away open", "Away / - / Away"),
        ("operator-away talking", "busy open", "Busy / Busy / Away"),
    ];
    for (facts, expected, tracks) in table {
        assert_eq!(outcome(Style::Imagicle, facts), expected, "{facts:?}");
        let Some(Extended::Imagicle(known)) = composed(Style::Imagicle, facts).0.extended else {
            panic!("{facts}");
        };
        let track = |status: Option<super::ImagicleStatus>| {
            status.map_or("-", super::ImagicleStatus::as_str)
        };
        let said = format!(
            "{} / {} / {}",
            known.combined.as_str(),
            track(known.telephony),
            track(known.rich)
        );
        assert_eq!(said, tracks, "{facts:?}");
    }
}

/// W:D3.17: the details of the call are kept.
#[test]
fn forwarding_does_not_hide_a_confirmed_call() {
    for style in [Style::Standard, Style::Imagicle] {
        let (composed, verdict) = composed(style, "voicemail talking");
        assert_eq!(lamp(&composed), CallState::Confirmed);
        assert_eq!(implied_activity(&composed), Some("on-the-phone"));
        assert_eq!(verdict.decider, Contributor::Forward);
        assert_eq!(
            verdict.to_string(),
            "forwarded to voice mail: every call is forwarded"
        );
    }
}

/// W:D3.18: if a better source reports no call, a client's claim does not light the lamp.
#[test]
fn on_the_phone_beside_call_reports_lights_no_lamp() {
    for (style, facts, shown) in [
        (Style::Imagicle, "feed on-the-phone", CallState::Terminated),
        (Style::Imagicle, "on-the-phone", CallState::Confirmed),
        (Style::Standard, "feed on-the-phone", CallState::Confirmed),
        (Style::Alceo, "feed on-the-phone", CallState::Confirmed),
    ] {
        assert_eq!(lamp(&composed(style, facts).0), shown, "{style:?} {facts}");
    }
    let ignored = composed(Style::Imagicle, "feed on-the-phone").0;
    assert!(ignored.activities.is_empty() && implied_activity(&ignored).is_none());
}

/// Which source decides, and why.
#[test]
fn the_decider_is_named_in_every_style() {
    use Style::{Alceo, Imagicle, Standard};
    let table = [
        (
            Standard,
            "registered",
            Contributor::Contact(0),
            "available: a contact is registered",
        ),
        (
            Standard,
            "unregistered",
            Contributor::Registrar,
            "unreachable: no contact is registered, no alternative number is known",
        ),
        (
            Standard,
            "unregistered alternative",
            Contributor::Account,
            "available: an alternative number is known",
        ),
        (
            Standard,
            "dnd",
            Contributor::DoNotDisturb,
            "do-not-disturb: it is switched on (by phone, operator or API)",
        ),
        (
            Standard,
            "number",
            Contributor::Forward,
            "forwarded to a number: every call is forwarded",
        ),
        (
            Standard,
            "operator-away",
            Contributor::OperatorPresence,
            "away: the operator set it",
        ),
        (
            Standard,
            "http",
            Contributor::Call(CallSource::CallState),
            "busy: a call is confirmed",
        ),
        (
            Standard,
            "on-the-phone",
            CLIENT,
            "busy: a client published on-the-phone",
        ),
        (
            Standard,
            "dnd donotdisturb",
            Contributor::DoNotDisturb,
            "do-not-disturb: it is switched on (by phone, operator or API)",
        ),
        (
            Alceo,
            "",
            Contributor::NoSource,
            "unreachable: no contact is registered, no alternative number is known",
        ),
        (
            Alceo,
            "alternative",
            Contributor::Account,
            "available: an alternative number is known",
        ),
        (
            Alceo,
            "number",
            Contributor::Forward,
            "available: every call is forwarded",
        ),
        (Imagicle, "feed", FEED, "available: no call"),
        (Imagicle, "feed closed", FEED, "available: no call"),
        (
            Imagicle,
            "talking meeting",
            FEED,
            "busy: a call is confirmed",
        ),
        (
            Imagicle,
            "feed meeting",
            CLIENT,
            "busy: a client published it",
        ),
        (
            Imagicle,
            "on-the-phone",
            CLIENT,
            "busy: a client published on-the-phone",
        ),
    ];
    for (style, facts, decider, words) in table {
        let (_, verdict) = composed(style, facts);
        assert_eq!(
            (verdict.decider, &*verdict.to_string()),
            (decider, words),
            "{style:?} {facts}"
        );
    }
}

#[test]
fn an_unknown_user_composes_like_one_without_sources() {
    for style in [Style::Standard, Style::Alceo, Style::Imagicle] {
        assert_eq!(Composed::of_unknown(style), composed(style, "").0);
    }
}
