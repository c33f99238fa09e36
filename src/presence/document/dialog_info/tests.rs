//! dialog-info: documents sent to phones (W:C0, B3.12) and documents accepted from sources (RFC
//! 4235 §4).

use std::sync::Arc;

use proptest::prelude::*;

use super::reading::{DIALOGS_MAX, DISPLAY_CHARS_MAX, NAME_OCTETS_MAX};
use super::*;
use crate::presence::call::{ANONYMOUS, Party};
use crate::presence::composition::{Extras, lamp};
use crate::presence::document::{Document, DocumentFault, Format};

fn aor() -> Aor {
    Aor::new("123", "abc.com")
}

fn call() -> CallParts<'static> {
    CallParts {
        id: "d1",
        call_id: "f81d4fae@10.0.0.1",
        local_tag: "lt",
        remote_tag: "rt",
        direction: Some(Direction::Recipient),
        state: CallState::Early,
        local: Party {
            identity: "sip:123@10.0.0.7",
            target: "sip:123@10.0.0.7:5062",
            ..Party::default()
        },
        remote: Party {
            identity: "sip:bob@abc.com",
            display: "Bob \"<B>\" & Co",
            target: "sip:bob@10.0.0.9",
            rendering: None,
        },
        remote_is_private: false,
    }
}

fn composed(calls: impl IntoIterator<Item = impl Into<CallDialog>>) -> Composed {
    Composed {
        calls: calls
            .into_iter()
            .map(|call| Arc::new(call.into()))
            .collect(),
        ..Composed::default()
    }
}

fn view(privacy: Privacy) -> View {
    View {
        format: Format::DialogInfo,
        privacy,
        rendering: Rendering::GENERIC,
    }
}

fn dialogs(call: impl Into<CallDialog>, privacy: Privacy) -> String {
    let mut out = Vec::new();
    write_dialogs(&mut out, &aor(), &composed([call]), view(privacy));
    String::from_utf8(out).unwrap()
}

/// The state and direction of each dialog written for that rendering, `idle` for the idle dialog.
fn shown(composed: &Composed, rendering: Rendering) -> Vec<String> {
    let mut out = Vec::new();
    write_prolog(&mut out, 0, b"sip:123@abc.com");
    let view = View {
        rendering,
        ..view(Privacy::Pickup)
    };
    write_dialogs(&mut out, &aor(), composed, view);
    let Ok(Document::DialogInfo { dialogs, .. }) = parse(&out) else {
        panic!("{}", String::from_utf8_lossy(&out));
    };
    let words = |dialog: &CallDialog| match (dialog.id(), dialog.direction) {
        ("idle", None) => "idle".to_owned(),
        (_, Some(Direction::Initiator)) => format!("{} out", dialog.state.as_str()),
        _ => dialog.state.as_str().to_owned(),
    };
    dialogs.iter().map(words).collect()
}

fn document(composed: &Composed, privacy: Privacy) -> Vec<u8> {
    let mut out = Vec::new();
    write_prolog(&mut out, 7, b"sip:123@abc.com");
    write_dialogs(&mut out, &aor(), composed, view(privacy));
    out
}

fn parsed(body: &str) -> (bool, Vec<CallDialog>) {
    match parse(body.as_bytes()) {
        Ok(Document::DialogInfo { full, dialogs, .. }) => (full, dialogs),
        other => panic!("{other:?}: {body}"),
    }
}

/// The digest is independent of the rest; nothing else in a document depends on it.
fn without_id(document: &str) -> String {
    let id = std::str::from_utf8(&shown_id(&aor(), &call().into()))
        .unwrap()
        .to_owned();
    document.replace(&id, "ID")
}

#[test]
fn c0_9_the_idle_document() {
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"7\" state=\"full\" entity=\"sip:123@abc.com\">\n\
        <dialog id=\"idle\">\n<state>terminated</state>\n</dialog>\n</dialog-info>\n";
    for privacy in [Privacy::StateOnly, Privacy::Pickup] {
        assert_eq!(
            String::from_utf8(document(&Composed::default(), privacy)).unwrap(),
            expected
        );
    }
}

#[test]
fn b3_12_each_level_adds_to_the_one_before() {
    let state_only = "<dialog id=\"ID\" direction=\"recipient\">\n<state>early</state>\n</dialog>\n</dialog-info>\n";
    assert_eq!(without_id(&dialogs(call(), Privacy::StateOnly)), state_only);

    let local = "<local>\n<identity>sip:123@abc.com</identity>\n<target uri=\"sip:123@abc.com\"/>\n</local>\n";
    let anonymous = format!(
        "<dialog id=\"ID\" direction=\"recipient\">\n<state>early</state>\n{local}<remote>\n\
        <identity display=\"Anonymous\">sip:anonymous@anonymous.invalid</identity>\n</remote>\n</dialog>\n</dialog-info>\n"
    );
    assert_eq!(
        without_id(&dialogs(call(), Privacy::AnonymousParty)),
        anonymous
    );

    let identity =
        "<identity display=\"Bob &quot;&lt;B&gt;&quot; &amp; Co\">sip:bob@abc.com</identity>\n";
    let party = format!(
        "<dialog id=\"ID\" direction=\"recipient\">\n<state>early</state>\n{local}<remote>\n{identity}</remote>\n\
        </dialog>\n</dialog-info>\n"
    );
    assert_eq!(without_id(&dialogs(call(), Privacy::Party)), party);

    let pickup = format!(
        "<dialog id=\"ID\" call-id=\"f81d4fae@10.0.0.1\" local-tag=\"lt\" remote-tag=\"rt\" direction=\"recipient\">\n\
        <state>early</state>\n{local}<remote>\n{identity}<target uri=\"sip:bob@10.0.0.9\"/>\n</remote>\n\
        </dialog>\n</dialog-info>\n"
    );
    assert_eq!(without_id(&dialogs(call(), Privacy::Pickup)), pickup);
}

#[test]
fn a_private_party_is_shown_to_no_watcher() {
    let private = CallParts {
        remote_is_private: true,
        ..call()
    };
    for privacy in [
        Privacy::StateOnly,
        Privacy::AnonymousParty,
        Privacy::Party,
        Privacy::Pickup,
    ] {
        let document = dialogs(private, privacy);
        assert!(
            !document.to_lowercase().contains("bob") && !document.contains("10.0.0.9"),
            "{document}"
        );
    }
    let pickup = dialogs(private, Privacy::Pickup);
    assert!(pickup.contains("sip:anonymous@anonymous.invalid"));
    assert!(
        pickup.contains("remote-tag=\"rt\""),
        "it can be picked up all the same"
    );
}

#[test]
fn c0_4_an_outgoing_call_shows_as_confirmed() {
    for state in [
        CallState::Trying,
        CallState::Proceeding,
        CallState::Early,
        CallState::Confirmed,
    ] {
        let own = CallParts {
            direction: Some(Direction::Initiator),
            state,
            ..call()
        };
        let document = dialogs(own, Privacy::StateOnly);
        assert!(
            document.contains(" direction=\"initiator\">\n<state>confirmed</state>"),
            "{document}"
        );
        assert_eq!(lamp(&composed([own])), CallState::Confirmed);
    }
}

#[test]
fn c0_7_all_three_ids_or_none() {
    for missing in 0..3 {
        let mut partial = call();
        *[
            &mut partial.call_id,
            &mut partial.local_tag,
            &mut partial.remote_tag,
        ][missing] = "";
        let document = dialogs(partial, Privacy::Pickup);
        assert!(
            !document.contains("call-id") && !document.contains("-tag"),
            "{document}"
        );
    }
}

#[test]
fn c0_5_always_a_full_uri() {
    let table = [
        ("+4912", "sip:+4912@abc.com"),
        ("*98#", "sip:*98%23@abc.com"),
        ("bob@b.com", "sip:bob@b.com"),
        ("SIP:bob@b.com;x=1", "SIP:bob@b.com;x=1"),
        ("tel:+4912", "tel:+4912"),
        ("bob:5", "sip:bob%3A5@abc.com"),
    ];
    for (identity, expected) in table {
        let remote = Party {
            identity,
            ..Party::default()
        };
        let document = dialogs(CallParts { remote, ..call() }, Privacy::Pickup);
        assert!(
            document.contains(&format!("<identity>{expected}</identity>")),
            "{document}"
        );
    }
}

#[test]
fn b3_10_hold() {
    let held = CallParts {
        state: CallState::Confirmed,
        local: Party {
            rendering: Some(false),
            ..Party::default()
        },
        ..call()
    };
    let param = "<param pname=\"+sip.rendering\" pval=\"no\"/>";
    assert!(!dialogs(held, Privacy::StateOnly).contains(param));
    let document = document(&composed([held]), Privacy::AnonymousParty);
    assert!(String::from_utf8_lossy(&document).contains(param));
    let Ok(Document::DialogInfo { dialogs, .. }) = parse(&document) else {
        panic!()
    };
    assert_eq!(dialogs[0].local().rendering, Some(false));
}

#[test]
fn b3_5_the_id_is_stable_unique_and_opaque() {
    let id = |call: &CallParts<'_>, aor: &Aor| {
        String::from_utf8(shown_id(aor, &CallDialog::from(*call)).to_vec()).unwrap()
    };
    let first = id(&call(), &aor());
    let later = CallParts {
        state: CallState::Confirmed,
        remote_tag: "rt2",
        remote_is_private: true,
        ..call()
    };
    assert_eq!(id(&later, &aor()), first);
    assert_ne!(id(&CallParts { id: "d2", ..call() }, &aor()), first);
    assert_ne!(
        id(
            &CallParts {
                call_id: "other",
                ..call()
            },
            &aor()
        ),
        first
    );
    assert_ne!(id(&call(), &Aor::new("124", "abc.com")), first);
    // Fields with the same concatenation have different digests.
    let ab_c = CallParts {
        id: "ab",
        call_id: "c",
        ..call()
    };
    let a_bc = CallParts {
        id: "a",
        call_id: "bc",
        ..call()
    };
    assert_ne!(id(&ab_c, &aor()), id(&a_bc, &aor()));
    assert!(first.len() == 16 && first.bytes().all(|octet| octet.is_ascii_hexdigit()));
}

#[test]
fn an_unknown_party_is_not_written() {
    let unknown = CallParts {
        remote: Party::default(),
        ..call()
    };
    assert!(!dialogs(unknown, Privacy::Party).contains("remote>"));
    assert!(dialogs(unknown, Privacy::AnonymousParty).contains("anonymous.invalid"));
}

#[test]
fn only_the_first_call_is_written_and_the_body_is_small() {
    let second = CallParts {
        id: "d2",
        call_id: "second",
        ..call()
    };
    let document = document(&composed([call(), second]), Privacy::Pickup);
    assert_eq!(
        document
            .windows(8)
            .filter(|octets| octets == b"<dialog ")
            .count(),
        1
    );
    assert!(document.len() < 1024, "{}", document.len());
}

#[test]
fn hostile_values_do_not_break_out() {
    let nasty = "a\"><b>&'\u{0}\u{1b}]]>\n";
    let remote = Party {
        identity: &format!("sip:{nasty}"),
        display: nasty,
        target: nasty,
        rendering: None,
    };
    let hostile = CallParts {
        call_id: nasty,
        local_tag: nasty,
        remote,
        ..call()
    };
    let mut out = Vec::new();
    write_prolog(&mut out, 0, b"sip:\"><evil/>\xff@h");
    write_dialogs(
        &mut out,
        &aor(),
        &composed([hostile]),
        view(Privacy::Pickup),
    );
    let Ok(Document::DialogInfo {
        entity, dialogs, ..
    }) = parse(&out)
    else {
        panic!()
    };
    assert_eq!(entity.as_deref(), Some("sip:\"><evil/>\u{fffd}@h"));
    assert_eq!(dialogs[0].remote().display, "a\"><b>&']]>");
}

/// The order of children and the attributes allowed by the schema of RFC 4235.
#[test]
fn b3_11_what_is_written_fits_the_schema() {
    let held = Party {
        rendering: Some(false),
        display: "Me",
        ..Party::default()
    };
    let calls = [
        call(),
        CallParts {
            local: held,
            ..call()
        },
        CallParts {
            remote_is_private: true,
            ..call()
        },
    ];
    for call in calls {
        for privacy in [
            Privacy::StateOnly,
            Privacy::AnonymousParty,
            Privacy::Party,
            Privacy::Pickup,
        ] {
            let document = document(&composed([call]), privacy);
            for (element, attributes, children) in
                crate::presence::document::outline::elements(&document)
            {
                let (known, order): (&[&str], &[&str]) = match &*element {
                    "dialog-info" => (&["xmlns", "version", "state", "entity"], &["dialog"]),
                    "dialog" => (
                        &["id", "call-id", "local-tag", "remote-tag", "direction"],
                        &["state", "local", "remote"],
                    ),
                    "state" => (&[], &[]),
                    "local" | "remote" => (&[], &["identity", "target"]),
                    "identity" => (&["display"], &[]),
                    "target" => (&["uri"], &["param"]),
                    "param" => (&["pname", "pval"], &[]),
                    other => panic!("{other}"),
                };
                crate::presence::document::outline::assert_fits(
                    &element,
                    &attributes,
                    known,
                    &children,
                    order,
                );
            }
        }
    }
}

fn outgoing(id: &str, state: CallState) -> CallParts<'_> {
    CallParts {
        id,
        call_id: id,
        direction: Some(Direction::Initiator),
        state,
        ..call()
    }
}

/// W:C0.2, C0.12
#[test]
fn c0_2_the_idle_forms() {
    let empty = Rendering {
        idle: Idle::Empty,
        ..Rendering::GENERIC
    };
    let dark = Rendering {
        unregistered: Unregistered::Empty,
        ..Rendering::GENERIC
    };
    let offline = Composed::default();
    let available = Composed {
        availability: Availability::Available,
        ..Composed::default()
    };
    assert_eq!(shown(&offline, Rendering::GENERIC), ["idle"]);
    assert_eq!(shown(&offline, empty), [""; 0]);
    assert_eq!(shown(&available, empty), [""; 0]);
    // No source reports anything, and no registrar in particular.
    assert_eq!(shown(&offline, dark), ["idle"]);
    assert_eq!(shown(&available, dark), ["idle"]);
    let unreachable = Composed {
        availability: Availability::Unreachable,
        ..Composed::default()
    };
    assert_eq!(shown(&unreachable, dark), ["idle"]);
    let unregistered = Composed {
        is_unregistered: true,
        ..unreachable
    };
    assert_eq!(shown(&unregistered, dark), [""; 0]);
    assert_eq!(shown(&unregistered, Rendering::GENERIC), ["idle"]);
    assert_eq!(shown(&composed([call()]), dark), ["early"]);
}

/// W:C0.3, C0.4, B3.15
#[test]
fn c0_3_which_calls_are_shown() {
    let answered = CallParts {
        id: "d2",
        call_id: "c2",
        state: CallState::Confirmed,
        ..call()
    };
    // In the order of the composed state.
    let state = composed([call(), answered, outgoing("d3", CallState::Early)]);
    let all = Rendering {
        all_dialogs: true,
        ..Rendering::GENERIC
    };
    let answered_first = Rendering {
        ringing_over_in_use: false,
        ..Rendering::GENERIC
    };
    let as_it_is = Rendering {
        caller_early_is_confirmed: false,
        ..Rendering::GENERIC
    };
    assert_eq!(shown(&state, Rendering::GENERIC), ["early"]);
    assert_eq!(shown(&state, all), ["early", "confirmed", "confirmed out"]);
    assert_eq!(shown(&state, answered_first), ["confirmed"]);
    let all_answered_first = Rendering {
        all_dialogs: true,
        ..answered_first
    };
    assert_eq!(
        shown(&state, all_answered_first),
        ["confirmed", "early", "confirmed out"]
    );
    let calling = composed([outgoing("d3", CallState::Early)]);
    assert_eq!(shown(&calling, Rendering::GENERIC), ["confirmed out"]);
    assert_eq!(shown(&calling, as_it_is), ["early out"]);
}

/// W:C8.1: only a call that can be retrieved by calling the orbit blinks.
#[test]
fn c8_1_a_parked_call_may_blink() {
    let held = |target: &str| {
        let local = Party {
            rendering: Some(false),
            ..Party::default()
        };
        let remote = Party {
            target,
            ..Party::default()
        };
        composed([CallParts {
            state: CallState::Confirmed,
            local,
            remote,
            ..call()
        }])
    };
    let blinking = Rendering {
        parked_is_early: true,
        ..Rendering::GENERIC
    };
    for target in ["sip:123@ABC.com", "sip:123@abc.com;user=phone", "123"] {
        assert_eq!(shown(&held(target), blinking), ["early"], "{target}");
        assert_eq!(shown(&held(target), Rendering::GENERIC), ["confirmed"]);
    }
    for target in ["sip:bob@10.0.0.9", "", "sip:1234@abc.com"] {
        assert_eq!(shown(&held(target), blinking), ["confirmed"], "{target}");
    }
}

/// RFC 4235 §4.1.6
#[test]
fn b3_9_both_spellings_for_phones_that_need_them() {
    let held = composed([CallParts {
        local: Party {
            rendering: Some(false),
            ..Party::default()
        },
        ..call()
    }]);
    let both = View {
        rendering: Rendering {
            parameter_value: ParameterValue::Both,
            ..Rendering::GENERIC
        },
        ..view(Privacy::Party)
    };
    let mut out = Vec::new();
    write_dialogs(&mut out, &aor(), &held, both);
    let param = "<param pname=\"+sip.rendering\" pval=\"no\" pvalue=\"no\"/>\n";
    assert!(String::from_utf8(out).unwrap().contains(param));
}

#[test]
fn the_users_name_stands_in_for_a_missing_display() {
    let mut named = composed([call()]);
    named.extras = Arc::new(Extras {
        display: Some("Ann & Co".into()),
        ..Extras::default()
    });
    let body = |composed: &Composed, privacy| {
        let document = document(composed, privacy);
        String::from_utf8(document).unwrap()
    };
    let identity = "<local>\n<identity display=\"Ann &amp; Co\">sip:123@abc.com</identity>";
    assert!(body(&named, Privacy::Party).contains(identity));
    assert!(!body(&named, Privacy::AnonymousParty).contains("Ann"));
    let own = CallParts {
        local: Party {
            display: "Desk",
            ..Party::default()
        },
        ..call()
    };
    named.calls = composed([own]).calls;
    assert!(body(&named, Privacy::Party).contains("<identity display=\"Desk\">"));
}

/// RFC 4235 §4.3
#[test]
fn b3_8_partial_documents_hold_changes_and_each_end_once() {
    let view = View {
        rendering: Rendering {
            all_dialogs: true,
            ..Rendering::GENERIC
        },
        ..view(Privacy::StateOnly)
    };
    let second = outgoing("d2", CallState::Confirmed);
    let mut shown_before = ShownDialogs::default();
    let mut scratch = b"kept".to_vec();
    shown_before.note_full(&mut scratch, &aor(), &composed([call()]), view);
    assert_eq!(scratch, b"kept");
    let mut changes = |calls: &[CallParts<'_>]| {
        let mut out = Vec::new();
        write_partial_prolog(&mut out, 5, b"sip:123@abc.com");
        let state = composed(calls.iter().copied());
        write_changes(&mut out, &aor(), &state, view, &mut shown_before);
        let Ok(Document::DialogInfo { full, dialogs, .. }) = parse(&out) else {
            panic!("{}", String::from_utf8_lossy(&out));
        };
        assert!(!full);
        dialogs
            .iter()
            .map(|dialog| (dialog.id().to_owned(), dialog.state))
            .collect::<Vec<_>>()
    };
    let id = |call: &CallParts<'_>| {
        String::from_utf8(shown_id(&aor(), &CallDialog::from(*call)).to_vec()).unwrap()
    };
    let answered = CallParts {
        state: CallState::Confirmed,
        ..call()
    };
    assert_eq!(changes(&[call()]), []);
    assert_eq!(
        changes(&[call(), second]),
        [(id(&second), CallState::Confirmed)]
    );
    assert_eq!(
        changes(&[answered, second]),
        [(id(&answered), CallState::Confirmed)]
    );
    assert_eq!(
        changes(std::slice::from_ref(&second)),
        [(id(&answered), CallState::Terminated)]
    );
    assert_eq!(changes(std::slice::from_ref(&second)), []);
    assert_eq!(changes(&[]), [(id(&second), CallState::Terminated)]);
    assert_eq!(changes(&[]), []);
}

const HEAD: &str = "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='1' state='full' entity='sip:123@abc.com'>";

fn body(dialogs: &str) -> String {
    format!("{HEAD}{dialogs}</dialog-info>")
}

#[test]
fn a_document_as_a_source_writes_it() {
    let (full, dialogs) = parsed(
        "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"3\" state=\"partial\" \
        entity=\"sip:123@abc.com\">\n <dialog id=\"42\" call-id=\"c@h\" local-tag=\"l\" remote-tag=\"r\" direction=\"initiator\">\n\
        <state event=\"rejected\" code=\"486\"> Terminated\n</state><duration>-1</duration><x:new xmlns:x='u'><state>early</state></x:new>\n\
        <local><identity display=\"A &amp; B\"> sip:123@abc.com </identity><target uri=\"sip:123@h\">\
        <param pname=\"+sip.byeless\" pval=\"true\"/><param pname=\"+sip.rendering\" pvalue=\"no\"/></target></local>\
        <remote><identity>sip:bob@b.com</identity></remote></dialog></dialog-info>",
    );
    assert!(!full);
    let expected = CallParts {
        id: "42",
        call_id: "c@h",
        local_tag: "l",
        remote_tag: "r",
        direction: Some(Direction::Initiator),
        state: CallState::Terminated,
        local: Party {
            identity: "sip:123@abc.com",
            display: "A & B",
            target: "sip:123@h",
            rendering: Some(false),
        },
        remote: Party {
            identity: "sip:bob@b.com",
            ..Party::default()
        },
        remote_is_private: false,
    };
    assert_eq!(dialogs, [CallDialog::from(expected)]);
}

/// RFC 4235 §4
#[test]
fn e4_7_the_root() {
    let root = |attributes: &str| {
        format!("<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' {attributes}/>")
    };
    let table = [
        ("", true, None),
        (
            "version='x' state='full' entity='sip:a@b'",
            true,
            Some("sip:a@b"),
        ),
        ("state=' PARTIAL '", false, None),
        ("state='FOO' entity=' '", true, None),
    ];
    for (attributes, expected_full, expected_entity) in table {
        let Ok(Document::DialogInfo {
            entity,
            full,
            dialogs,
        }) = parse(root(attributes).as_bytes())
        else {
            panic!()
        };
        assert_eq!(
            (full, entity.as_deref(), dialogs.len()),
            (expected_full, expected_entity, 0),
            "{attributes}"
        );
    }
    let wrong = [
        "<dialog-info/>",
        "<x xmlns='urn:ietf:params:xml:ns:dialog-info'/>",
        "<dialog-info xmlns=''/>",
    ];
    for document in wrong {
        assert_eq!(
            parse(document.as_bytes()),
            Err(DocumentFault::Malformed),
            "{document}"
        );
    }
}

/// RFC 4235 §4
#[test]
fn e4_7_dialogs() {
    let states = |dialogs: &str| {
        parsed(&body(dialogs))
            .1
            .iter()
            .map(|dialog| format!("{} {:?}", dialog.id(), dialog.state))
            .collect::<Vec<_>>()
    };
    let one = "<dialog id='1'><state>early</state></dialog>";
    assert_eq!(states(one), ["1 Early"]);
    assert_eq!(
        states("<dialog id=' 1 '><state>\n CONFIRMED </state></dialog>"),
        ["1 Confirmed"]
    );
    assert_eq!(
        states("<dialog id='1'><state>ringing</state></dialog>"),
        [""; 0]
    );
    assert_eq!(states("<dialog id='1'/>"), [""; 0]);
    assert_eq!(
        states("<dialog id='1'><local><state>early</state></local></dialog>"),
        [""; 0]
    );
    assert_eq!(
        states("<other><dialog><state>early</state></dialog></other>"),
        [""; 0]
    );
    let twice = format!(
        "{one}<dialog id='2'><state>trying</state></dialog><dialog id='1'><state>confirmed</state></dialog>"
    );
    assert_eq!(states(&twice), ["2 Trying", "1 Confirmed"]);
    for bad in [
        "<dialog><state>early</state></dialog>",
        "<dialog id=''/>",
        "<dialog id='  '/>",
    ] {
        assert_eq!(
            parse(body(bad).as_bytes()),
            Err(DocumentFault::Malformed),
            "{bad}"
        );
    }
    let long = format!("<dialog id='{}'/>", "x".repeat(NAME_OCTETS_MAX + 1));
    assert_eq!(parse(body(&long).as_bytes()), Err(DocumentFault::TooLarge));
}

#[test]
fn e4_7_fifty_dialogs_are_enough() {
    let many: String = (0..1000)
        .map(|at| format!("<dialog id='{at}'><state>early</state></dialog>"))
        .collect();
    let (_, dialogs) = parsed(&body(&many));
    assert_eq!(dialogs.len(), DIALOGS_MAX);
    assert_eq!(dialogs[49].id(), "49");
}

#[test]
fn e4_7_directions() {
    let of = |attribute: &str| {
        parsed(&body(&format!(
            "<dialog id='1' {attribute}><state>early</state></dialog>"
        )))
        .1[0]
            .direction
    };
    assert_eq!(of("direction='receiver'"), Some(Direction::Recipient));
    assert_eq!(of("direction='recipient'"), Some(Direction::Recipient));
    assert_eq!(of("direction='initiator'"), Some(Direction::Initiator));
    assert_eq!(of("direction='both'"), None);
    assert_eq!(of(""), None);
}

#[test]
fn long_names_are_cut_at_characters() {
    let dialog = |display: &str, uri: &str| {
        let remote = format!("<remote><identity display='{display}'>{uri}</identity></remote>");
        let dialog = format!("<dialog id='1'><state>early</state>{remote}</dialog>");
        parsed(&body(&dialog)).1.remove(0)
    };
    let long = "\u{1f600}".repeat(DISPLAY_CHARS_MAX + 9);
    let display = dialog(&long, "sip:a@b").remote().display.chars().count();
    assert_eq!(display, DISPLAY_CHARS_MAX);
    let long = "x".repeat(NAME_OCTETS_MAX + 1);
    assert_eq!(dialog("A", &long).remote().identity, "");
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9&<>'\" \u{fc}\u{1f600}-]{0,12}".prop_map(|word| word.trim().to_owned())
}

/// Identity, display name and target of a party, and its rendering.
type AnyParty = ([String; 3], Option<bool>);

fn any_party() -> impl Strategy<Value = AnyParty> {
    (word(), word(), word(), proptest::option::of(Just(false))).prop_map(
        |(user, display, target, rendering)| {
            let target = match target.is_empty() {
                true => target,
                false => format!("sip:{target}@h"),
            };
            ([format!("sip:{user}@h"), display, target], rendering)
        },
    )
}

fn party(([identity, display, target], rendering): &AnyParty) -> Party<'_> {
    Party {
        identity,
        display,
        target,
        rendering: *rendering,
    }
}

prop_compose! {
    fn any_call()(
        id in "[a-z0-9]{1,8}", call_id in word(), local_tag in word(), remote_tag in word(),
        direction in proptest::option::of(prop_oneof![Just(Direction::Initiator), Just(Direction::Recipient)]),
        state in prop_oneof![
            Just(CallState::Trying), Just(CallState::Proceeding), Just(CallState::Early), Just(CallState::Confirmed)
        ],
        local in any_party(), remote in any_party(), remote_is_private in any::<bool>(),
    ) -> CallDialog {
        CallDialog::from(CallParts {
            state,
            id: &id,
            call_id: &call_id,
            local_tag: &local_tag,
            remote_tag: &remote_tag,
            direction,
            local: party(&local),
            remote: party(&remote),
            remote_is_private,
        })
    }
}

proptest! {
    /// Reading a written document gives the state that the watcher is allowed to see.
    #[test]
    fn round_trip(call in any_call()) {
        let document = document(&composed([call.clone()]), Privacy::Pickup);
        let Ok(Document::DialogInfo { entity, full, dialogs }) = parse(&document) else {
            panic!("{}", String::from_utf8_lossy(&document));
        };
        prop_assert_eq!((entity.as_deref(), full, dialogs.len()), (Some("sip:123@abc.com"), true, 1));
        let read = &dialogs[0];
        prop_assert_eq!((read.state, read.direction), (call.lamp_state(), call.direction));
        prop_assert_eq!(read.local().rendering, call.local().rendering);
        prop_assert_eq!(read.local().identity, "sip:123@abc.com");
        let keys = [call.call_id(), call.local_tag(), call.remote_tag()];
        if keys.iter().all(|key| !key.is_empty()) {
            prop_assert_eq!([read.call_id(), read.local_tag(), read.remote_tag()], keys);
        } else {
            prop_assert_eq!(read.call_id(), "");
        }
        if call.remote_is_private {
            prop_assert_eq!(read.remote().identity, ANONYMOUS);
        } else {
            let remote = Party { rendering: None, ..call.remote() };
            prop_assert_eq!(read.remote(), remote);
        }
    }

    #[test]
    fn arbitrary_input_does_not_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            HEAD, "</dialog-info>", "<dialog id='1'>", "<dialog>", "</dialog>", "<state>", "early", "</state>", "<local>", "</local>",
            "<identity display='x'>", "</identity>", "<target uri='u'>", "</target>", "<param pname='+sip.rendering' pval='no'/>",
        ]),
        0..20,
    )) {
        let _ = parse(pieces.concat().as_bytes());
    }
}

#[test]
fn a_document_of_unknown_states_alone_does_not_say_that_there_is_no_call() {
    let document = |dialogs: &str| {
        format!(
            "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
             state=\"full\" entity=\"sip:123@abc.com\">{dialogs}</dialog-info>"
        )
    };
    let unknown = "<dialog id=\"a\"><state>musing</state></dialog><dialog id=\"b\"/>";
    let known = "<dialog id=\"c\"><state>early</state></dialog>";
    for (dialogs, expected) in [
        (String::new(), (true, 0)),
        (unknown.to_owned(), (false, 0)),
        (format!("{unknown}{known}"), (true, 1)),
    ] {
        let Ok(Document::DialogInfo { full, dialogs, .. }) = parse(document(&dialogs).as_bytes())
        else {
            panic!("{dialogs}");
        };
        assert_eq!((full, dialogs.len()), expected);
    }
}
