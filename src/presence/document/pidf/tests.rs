//! PIDF: documents sent to watchers (W:B2, D2) and documents accepted from clients (RFC 3863 §4;
//! W:G3).

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::presence::composition::{AlceoStatus, Extras, ImagicleStatus, Tracks};
use crate::presence::document::outline;

fn aor() -> Aor {
    Aor::new("123", "abc.com")
}

fn state(composed: &Composed) -> String {
    let mut out = Vec::new();
    write_state(&mut out, &aor(), composed, Rendering::GENERIC);
    String::from_utf8(out).unwrap()
}

fn document(composed: &Composed) -> Vec<u8> {
    let mut out = Vec::new();
    write_prolog(&mut out, Rendering::GENERIC, b"sip:123@abc.com");
    write_state(&mut out, &aor(), composed, Rendering::GENERIC);
    out
}

fn composed(
    availability: Availability,
    open: bool,
    activities: &[&str],
    note: Option<&str>,
) -> Composed {
    Composed {
        availability,
        open,
        activities: activities.iter().copied().map(Box::from).collect(),
        note: note.map(Arc::from),
        ..Composed::default()
    }
}

fn parsed(body: &str) -> RichPresence {
    match parse(body.as_bytes()) {
        Ok(Document::Pidf { statement, .. }) => statement,
        other => panic!("{other:?}: {body}"),
    }
}

fn said(open: Option<bool>, activities: &[&str], note: Option<&str>) -> RichPresence {
    let activities = activities.iter().copied().map(Box::from).collect();
    RichPresence {
        open,
        activities,
        note: note.map(Box::from),
        ..RichPresence::default()
    }
}

const HEAD: &str = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
    xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' xmlns:ce='urn:cisco:params:xml:ns:pidf:rpid' entity='sip:123@abc.com'>";

fn body(content: &str) -> String {
    format!("{HEAD}{content}</presence>")
}

#[test]
fn the_documents_of_each_availability() {
    let tuple = |basic: &str, note: &str| {
        format!(
            "<tuple id=\"t1\">\n<status>\n<basic>{basic}</basic>\n</status>\n<contact>sip:123@abc.com</contact>\n{note}</tuple>\n"
        )
    };
    let person = |activities: &str, note: &str| {
        format!(
            "<dm:person id=\"p1\">\n<rpid:activities>\n{activities}</rpid:activities>\n{note}</dm:person>\n"
        )
    };
    let end = "</presence>\n";
    assert_eq!(
        state(&composed(Availability::Offline, false, &[], None)),
        tuple("closed", "") + end
    );
    assert_eq!(
        state(&composed(Availability::Available, true, &[], None)),
        tuple("open", "") + end
    );
    assert_eq!(
        state(&composed(
            Availability::Away,
            true,
            &["lunch"],
            Some("back at 1 <pm>")
        )),
        tuple("open", "<note>back at 1 &lt;pm&gt;</note>\n")
            + &person(
                "<rpid:away/>\n<rpid:meal/>\n",
                "<dm:note>back at 1 &lt;pm&gt;</dm:note>\n"
            )
            + end
    );
    assert_eq!(
        state(&composed(Availability::Busy, true, &["meeting"], None)),
        tuple("open", "") + &person("<rpid:busy/>\n<rpid:meeting/>\n", "") + end
    );
    assert_eq!(
        state(&composed(Availability::DoNotDisturb, false, &[], None)),
        tuple("closed", "<note>Do not disturb</note>\n")
            + &person("<rpid:busy/>\n", "<dm:note>Do not disturb</dm:note>\n")
            + end
    );
}

#[test]
fn activities_unknown_to_the_schema() {
    let written = |availability, activities: &[&str]| {
        let text = state(&composed(availability, true, activities, None));
        let names = text.lines().filter_map(|line| {
            let name = line.strip_prefix("<rpid:")?.strip_suffix("/>")?;
            Some(name.to_owned())
        });
        names.collect::<Vec<_>>()
    };
    let available = Availability::Available;
    assert_eq!(written(available, &["lunch"]), ["meal"]);
    assert_eq!(written(available, &["lunch", "meal", "tv"]), ["meal", "tv"]);
    assert_eq!(written(available, &["unknown"]), ["unknown"]);
    assert_eq!(written(available, &["tv", "unknown"]), ["tv"]);
    assert_eq!(written(Availability::Away, &["unknown"]), ["away"]);
}

#[test]
fn the_whole_document() {
    let document = String::from_utf8(document(&composed(
        Availability::Available,
        true,
        &[],
        None,
    )))
    .unwrap();
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
        xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
        entity=\"sip:123@abc.com\">\n<tuple id=\"t1\">\n";
    assert!(document.starts_with(expected), "{document}");
    assert!(document.len() < 1024);
}

#[test]
fn what_is_written_fits_the_schema() {
    let states = [
        composed(Availability::Offline, false, &[], None),
        composed(
            Availability::DoNotDisturb,
            false,
            &["away", "vacation"],
            Some("until Monday"),
        ),
        composed(Availability::Available, true, &[], Some("here")),
        composed(Availability::Busy, true, &["meeting"], None),
    ];
    for state in states {
        for (element, attributes, children) in outline::elements(&document(&state)) {
            let (known, order): (&[&str], &[&str]) = match &*element {
                "presence" => (
                    &["xmlns", "xmlns:dm", "xmlns:rpid", "entity"],
                    &["tuple", "dm:person"],
                ),
                "tuple" => (&["id"], &["status", "contact", "note"]),
                "status" => (&[], &["basic"]),
                "dm:person" => (&["id"], &["rpid:activities", "dm:note"]),
                "rpid:activities" => (
                    &[],
                    &["rpid:away", "rpid:busy", "rpid:meeting", "rpid:vacation"],
                ),
                _ => (&[], &[]),
            };
            if element == "rpid:activities" {
                assert!(
                    !children.is_empty() && children.iter().all(|child| order.contains(&&**child))
                );
            } else {
                outline::assert_fits(&element, &attributes, known, &children, order);
            }
        }
    }
}

/// W:D2.6, D2.7, D3.2
#[test]
fn d2_7_the_extended_status_and_the_alternative_number() {
    let tuple = |extended, alternative: Option<&str>| {
        let composed = Composed {
            extended,
            extras: Arc::new(Extras {
                alternative: alternative.map(Box::from),
                ..Extras::default()
            }),
            ..composed(Availability::Available, true, &[], None)
        };
        let document = document(&composed);
        outline::elements(&document);
        let text = String::from_utf8(document).unwrap();
        text[text.find("<tuple").unwrap()..].to_owned()
    };
    assert_eq!(
        tuple(Some(Extended::Alceo(AlceoStatus::Ringing)), Some("+4912")),
        "<tuple id=\"t1\">\n<status>\n<basic>open</basic>\n\
        <x:extended xmlns:x=\"urn:x-lamplighter:extended-status\">ringing</x:extended>\n</status>\n\
        <contact>sip:+4912@abc.com</contact>\n</tuple>\n</presence>\n"
    );
    let tracks = Tracks {
        combined: ImagicleStatus::ForwardedToVoiceMail,
        telephony: Some(ImagicleStatus::Busy),
        rich: None,
    };
    assert_eq!(
        tuple(Some(Extended::Imagicle(tracks)), Some("tel:+4912")),
        "<tuple id=\"t1\">\n<status>\n<basic>open</basic>\n\
        <x:extended xmlns:x=\"urn:x-lamplighter:extended-status\" telephony=\"Busy\">\
        Forwarded to voice mail</x:extended>\n</status>\n\
        <contact>tel:+4912</contact>\n</tuple>\n</presence>\n"
    );
}

/// W:D2.5
#[test]
fn d2_5_a_telephone_number_is_an_alternative() {
    let alternative = |contacts: &[&str]| {
        let contacts = contacts
            .iter()
            .map(|uri| format!("<contact> {uri} </contact>"));
        let contacts: String = contacts.collect();
        parsed(&body(&format!("<tuple id='1'><status/>{contacts}</tuple>"))).alternative
    };
    assert_eq!(alternative(&["sip:123@10.0.0.7"]), None);
    assert_eq!(
        alternative(&["TEL:+4912", "tel:+4913"]).as_deref(),
        Some("TEL:+4912")
    );
    assert_eq!(alternative(&["tel", ""]), None);
    let long = format!("tel:{}", "1".repeat(URI_OCTETS_MAX));
    assert_eq!(alternative(&[&long]), None);
}

/// W:B2.9: the elements that eyeBeam reads are written next to the current ones.
#[test]
fn b2_9_legacy_namespaces() {
    let legacy = Rendering {
        legacy_namespaces: true,
        ..Rendering::GENERIC
    };
    let busy = composed(Availability::Busy, true, &["meeting"], None);
    let mut out = Vec::new();
    write_prolog(&mut out, legacy, b"sip:123@abc.com");
    write_state(&mut out, &aor(), &busy, legacy);
    outline::elements(&out);
    let text = String::from_utf8(out).unwrap();
    let person = "<dm:person id=\"p1\">\n<rpid:activities>\n<rpid:busy/>\n<rpid:meeting/>\n</rpid:activities>\n</dm:person>\n\
        <pp:person>\n<status>\n<ep:activities>\n<ep:busy/>\n<ep:meeting/>\n</ep:activities>\n</status>\n</pp:person>\n";
    assert!(text.contains(person), "{text}");
    assert!(
        text.contains(
            " xmlns:pp=\"urn:ietf:params:xml:ns:pidf:person\" \
            xmlns:ep=\"urn:ietf:params:xml:ns:pidf:rpid:rpid-person\" entity="
        ),
        "{text}"
    );
    assert_eq!(parsed(&text), said(Some(true), &["busy", "meeting"], None));
}

/// As published by ten real stacks (W:G3).
#[test]
fn real_clients() {
    let baresip = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"\n    \
        xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\"\n    xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"\n    \
        entity=\"sip:watcher@127.0.0.1:15060\">\n  <dm:person id=\"p4159\"><rpid:activities/></dm:person>\n  <tuple id=\"t4109\">\n    \
        <status>\n      <basic>open</basic>\n    </status>\n    <contact>sip:watcher@127.0.0.1:15060</contact>\n  </tuple>\n</presence>\n";
    assert_eq!(parsed(baresip), said(Some(true), &[], None));
    let purple = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"\n\
        xmlns:im=\"urn:ietf:params:xml:ns:pidf:im\"\nentity=\"sip:watcher@127.0.0.1\">\n<tuple id=\"bs35r9f\">\n<status>\n\
        <basic>closed</basic>\n</status>\n<note></note>\n</tuple>\n</presence>";
    assert_eq!(parsed(purple), said(Some(false), &[], None));
    let linphone = "<presence xmlns:pidfonline=\"http://www.linphone.org/xsds/pidfonline.xsd\" entity=\"sip:w@h\" \
        xmlns=\"urn:ietf:params:xml:ns:pidf\"><tuple id=\"b8k.r7\"><status><basic>open</basic><pidfonline:online/></status>\
        <contact priority=\"0.8\">sip:w@h</contact><timestamp>2026-11-22T04:05:00Z</timestamp></tuple></presence>";
    assert_eq!(parsed(linphone), said(Some(true), &[], None));
    let chan_sip = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:pp=\"urn:ietf:params:xml:ns:pidf:person\"\n\
        xmlns:es=\"urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status\"\nxmlns:ep=\"urn:ietf:params:xml:ns:pidf:rpid:rpid-person\"\n\
        entity=\"sip:1@h\">\n<pp:person><status>\n<ep:activities><ep:busy/></ep:activities>\n</status></pp:person>\n\
        <note>On the phone</note>\n<tuple id=\"1\">\n<contact priority=\"1\">sip:1@h</contact>\n<status><basic>open</basic></status>\n\
        </tuple>\n</presence>\n";
    assert_eq!(
        parsed(chan_sip),
        said(Some(true), &["busy"], Some("On the phone"))
    );
    let cisco = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
        xmlns:e=\"urn:ietf:params:xml:ns:pidf:status:rpid\" xmlns:ce=\"urn:cisco:params:xml:ns:pidf:rpid\" entity=\"sip:1@h\">\
        <dm:person><e:activities><e:busy/><ce:dnd/></e:activities></dm:person><tuple id=\"1\"><status><basic>open</basic></status>\
        </tuple></presence>";
    assert_eq!(parsed(cisco), said(Some(true), &["busy", "dnd"], None));
}

/// RFC 3863 §4
#[test]
fn e4_8_basic() {
    let tuple =
        |id: &str, status: &str| format!("<tuple id='{id}'><status>{status}</status></tuple>");
    let basic = |value: &str| format!("<basic>{value}</basic>");
    let open_of = |content: &str| {
        parse(body(content).as_bytes()).map(|document| match document {
            Document::Pidf { statement, .. } => statement.open,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(open_of(""), Ok(None));
    assert_eq!(open_of("<tuple id='1'/>"), Ok(None));
    assert_eq!(open_of(&tuple("1", "")), Ok(None));
    assert_eq!(open_of(&tuple("1", &basic("open"))), Ok(Some(true)));
    assert_eq!(open_of(&tuple("1", &basic("\n OPEN "))), Ok(Some(true)));
    assert_eq!(open_of(&tuple("1", &basic("Closed"))), Ok(Some(false)));
    assert_eq!(
        open_of(&(tuple("1", &basic("closed")) + &tuple("2", &basic("open")))),
        Ok(Some(true))
    );
    // Of two tuples with one id the last counts.
    assert_eq!(
        open_of(&(tuple("1", &basic("open")) + &tuple("1", &basic("closed")))),
        Ok(Some(false))
    );
    // A `basic` outside a known element.
    assert_eq!(
        open_of(&tuple("1", "<basic xmlns='u'>maybe</basic>")),
        Ok(None)
    );
    // baresip publishes `unknown` (W:G3).
    for bad in ["", "unknown", "openclosed"] {
        assert_eq!(open_of(&tuple("1", &basic(bad))), Ok(None), "{bad}");
    }
    assert_eq!(
        open_of(&tuple("1", &(basic("open") + &basic("open")))),
        Err(DocumentFault::Malformed)
    );
    assert_eq!(open_of("<timestamp>in the future</timestamp>"), Ok(None));
    // More tuples than the maximum.
    let many: String = (0..1000).map(|at| tuple(&at.to_string(), "")).collect();
    assert_eq!(
        open_of(&(tuple("x", &basic("open")) + &many)),
        Ok(Some(true))
    );
}

#[test]
fn e4_8_notes() {
    let note = |content: &str| parsed(&body(content)).note;
    let tuple =
        "<tuple id='1'><status><basic>open</basic></status><note>of the tuple</note></tuple>";
    assert_eq!(note(tuple).as_deref(), Some("of the tuple"));
    let person = format!(
        "{tuple}<dm:person id='p'><dm:note xml:lang='en'> of the person\n</dm:note></dm:person>"
    );
    assert_eq!(note(&person).as_deref(), Some("of the person"));
    assert_eq!(
        note("<note>first</note><note>second</note>").as_deref(),
        Some("first")
    );
    assert_eq!(
        note("<note> </note><note>second</note>").as_deref(),
        Some("second")
    );
    assert_eq!(note("<x:note xmlns:x='u'>somebody else's</x:note>"), None);
    // Counted in characters, not octets (W:E4.11).
    let long = "\u{1f600}".repeat(NOTE_CHARS_MAX);
    assert_eq!(
        note(&format!("<note>{long}</note>")).as_deref(),
        Some(&*long)
    );
    let too_long = body(&format!("<note>{long}x</note>"));
    assert_eq!(parse(too_long.as_bytes()), Err(DocumentFault::TooLarge));
}

#[test]
fn activities_in_any_place() {
    let activities = |content: &str| parsed(&body(content)).activities;
    let names = |names: &[&str]| names.iter().copied().map(Box::from).collect::<Vec<_>>();
    let both = "<rpid:activities><rpid:note>why</rpid:note><rpid:lunch/><rpid:away></rpid:away><rpid:lunch/></rpid:activities>";
    assert_eq!(
        activities(&format!("<dm:person id='p'>{both}</dm:person>")),
        names(&["lunch", "away"])
    );
    assert_eq!(
        activities(&format!("<tuple id='t'><status>{both}</status></tuple>")),
        names(&["lunch", "away"])
    );
    let draft = "<rpid:activities><rpid:activity> on-the-phone </rpid:activity></rpid:activities>";
    assert_eq!(activities(draft), names(&["on-the-phone"]));
    let foreign = "<rpid:activities><x:dnd xmlns:x='u'/><x:away xmlns:x='u'/></rpid:activities>";
    assert_eq!(activities(foreign), names(&["dnd"]));
    assert_eq!(
        activities("<rpid:mood><rpid:away/></rpid:mood>"),
        names(&[])
    );
    let many: String = (0..100).map(|at| format!("<rpid:a{at}/>")).collect();
    assert_eq!(
        activities(&format!("<rpid:activities>{many}</rpid:activities>")).len(),
        ACTIVITIES_MAX
    );
}

#[test]
fn the_root() {
    let document = parse(body("").as_bytes()).unwrap();
    assert_eq!(document.entity(), Some("sip:123@abc.com"));
    assert_eq!(
        parse(b"<presence xmlns='urn:ietf:params:xml:ns:pidf'/>")
            .unwrap()
            .entity(),
        None
    );
    let wrong = [
        "<presence/>",
        "<presence xmlns='u'/>",
        "<watcherinfo xmlns='urn:ietf:params:xml:ns:watcherinfo'/>",
        "",
    ];
    for document in wrong {
        assert_eq!(
            parse(document.as_bytes()),
            Err(DocumentFault::Malformed),
            "{document}"
        );
    }
}

fn any_availability() -> impl Strategy<Value = Availability> {
    prop_oneof![
        Just(Availability::DoNotDisturb),
        Just(Availability::Busy),
        Just(Availability::Away),
        Just(Availability::Available),
        Just(Availability::Offline),
    ]
}

proptest! {
    #[test]
    fn round_trip(
        availability in any_availability(),
        open in any::<bool>(),
        note in proptest::option::of("[a-z&<>'\"\u{fc}\u{1f600}]{1,20}"),
        activities in proptest::sample::subsequence(vec!["dinner", "meeting", "tv", "worship"], 0..4),
    ) {
        let composed = composed(availability, open, &activities, note.as_deref());
        let Ok(Document::Pidf { entity, statement }) = parse(&document(&composed)) else { panic!() };
        prop_assert_eq!(entity.as_deref(), Some("sip:123@abc.com"));
        prop_assert_eq!(statement.open, Some(open));
        let default = (availability == Availability::DoNotDisturb).then_some(DO_NOT_DISTURB_NOTE);
        prop_assert_eq!(statement.note.as_deref(), note.as_deref().or(default));
        let written: Vec<&str> = implied_activity(&composed).into_iter().chain(activities).collect();
        prop_assert_eq!(statement.activities.iter().map(|name| &**name).collect::<Vec<_>>(), written);
    }

    #[test]
    fn arbitrary_input_does_not_panic(pieces in proptest::collection::vec(
        proptest::sample::select(vec![
            HEAD, "</presence>", "<tuple id='1'>", "</tuple>", "<status>", "</status>", "<basic>", "open", "</basic>", "<note>", "</note>",
            "<rpid:activities>", "</rpid:activities>", "<rpid:away/>", "<dm:person>", "</dm:person>",
        ]),
        0..20,
    )) {
        let _ = parse(pieces.concat().as_bytes());
    }
}
