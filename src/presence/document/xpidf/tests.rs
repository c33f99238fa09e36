//! xpidf: documents sent to old phones (W:B2.11, C2.6) and documents published by them (W:B1.14).

use std::sync::Arc;

use super::*;
use crate::presence::call::{CallDialog, CallParts, CallState, Party};
use crate::presence::document::outline;

fn call(rendering: Option<bool>) -> Arc<CallDialog> {
    let call = CallParts {
        local: Party {
            rendering,
            ..Party::default()
        },
        ..CallParts::new("1", CallState::Confirmed)
    };
    Arc::new(call.into())
}

fn written(composed: &Composed) -> Vec<u8> {
    let mut out = Vec::new();
    write_prolog(&mut out, b"sip:1000@abc.com");
    write_state(&mut out, &Aor::new("1000", "abc.com"), composed);
    out
}

/// W:B2.11
#[test]
fn b2_11_the_document() {
    let available = Composed {
        availability: Availability::Available,
        open: true,
        ..Composed::default()
    };
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <!DOCTYPE presence PUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\">\n\
        <presence>\n<presentity uri=\"sip:1000@abc.com;method=SUBSCRIBE\"/>\n<atom id=\"a1\">\n\
        <address uri=\"sip:1000@abc.com;user=ip\" priority=\"0.800000\">\n<status status=\"open\"/>\n\
        <msnsubstatus substatus=\"online\"/>\n</address>\n</atom>\n</presence>\n";
    let document = written(&available);
    assert_eq!(String::from_utf8_lossy(&document), expected);
    assert_eq!(outline::elements(&document).len(), 6);
}

/// W:B2.11, C2.6
#[test]
fn c2_6_each_state_has_its_words() {
    let table = [
        (Availability::Offline, false, None, "closed offline"),
        (Availability::Offline, true, None, "open online"),
        (Availability::Away, true, None, "open away"),
        (Availability::Away, false, None, "closed offline"),
        (Availability::DoNotDisturb, false, None, "closed busy"),
        (Availability::Busy, true, None, "inuse busy"),
        (Availability::Busy, true, Some(None), "inuse onthephone"),
        (Availability::Ringing, true, Some(None), "inuse onthephone"),
        (
            Availability::Busy,
            true,
            Some(Some(false)),
            "closed onthephone",
        ),
    ];
    for (availability, open, rendering, expected) in table {
        let composed = Composed {
            availability,
            open,
            calls: rendering.map(call).into_iter().collect(),
            ..Composed::default()
        };
        let (status, substatus) = status(&composed);
        assert_eq!(format!("{status} {substatus}"), expected);
        assert!(parse(&written(&composed)).is_ok());
    }
}

fn polycom(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE presence\nPUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\">\n\
        <presence>\n<presentity uri=\"sip:1002@abc.com;method=SUBSCRIBE\" />\n{content}</presence>\n"
    )
}

fn address(status: &str, substatus: &str) -> String {
    format!(
        "<atom id=\"1004\">\n<address uri=\"sip:192.168.0.86;user=ip\" priority=\"0.800000\">\n\
        <status status=\"{status}\" />\n<msnsubstatus substatus=\"{substatus}\" />\n</address>\n</atom>\n"
    )
}

/// As published by a Polycom VVX (W:B1.14).
#[test]
fn b1_14_what_phones_publish() {
    let table: [(String, Option<bool>, &[&str]); 10] = [
        (address("open", "online"), Some(true), &[]),
        (
            address("inuse", "onthephone"),
            Some(true),
            &["on-the-phone"],
        ),
        (address("inuse", ""), Some(true), &["busy"]),
        (address("inuse", "busy"), Some(true), &["busy"]),
        (address("open", "outtolunch"), Some(true), &["lunch"]),
        (address("open", "berightback"), Some(true), &["away"]),
        (address("closed", "offline"), Some(false), &[]),
        (
            address("closed", "offline") + &address("open", "away"),
            Some(true),
            &["away"],
        ),
        (
            address("open", "away") + &address("closed", "away"),
            Some(true),
            &["away"],
        ),
        (String::new(), None, &[]),
    ];
    for (content, open, activities) in table {
        let document = parse(polycom(&content).as_bytes()).unwrap();
        let Document::Pidf { entity, statement } = document else {
            panic!()
        };
        assert_eq!(entity.as_deref(), Some("sip:1002@abc.com"));
        assert_eq!(statement.open, open, "{content}");
        let read: Vec<&str> = statement.activities.iter().map(|name| &**name).collect();
        assert_eq!(read, activities, "{content}");
    }
}

/// W:E4.1
#[test]
fn other_roots_and_definitions_are_refused() {
    let bad = [
        "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>",
        "<atom/>",
        "<!DOCTYPE presence [<!ENTITY a 'b'>]><presence/>",
        "",
    ];
    for document in bad {
        assert_eq!(
            parse(document.as_bytes()),
            Err(DocumentFault::Malformed),
            "{document}"
        );
    }
    let many = address("open", "online") + &address("open", "busy").repeat(ADDRESSES_MAX);
    let Ok(Document::Pidf { statement, .. }) = parse(polycom(&many).as_bytes()) else {
        panic!()
    };
    assert_eq!(statement.activities.len(), 1);
}
