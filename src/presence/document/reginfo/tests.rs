//! reginfo: documents sent to watchers and documents from registrars (RFC 3680).

use std::sync::Arc;

use super::*;
use crate::presence::composition::Extras;
use crate::presence::document::outline;
use crate::presence::registration::RegisteredContact;

fn written(contacts: Vec<RegisteredContact>, privacy: Privacy) -> Vec<u8> {
    let composed = Composed {
        extras: Arc::new(Extras {
            contacts,
            ..Extras::default()
        }),
        ..Composed::default()
    };
    let mut out = Vec::new();
    write_prolog(&mut out, 4);
    write_state(&mut out, &Aor::new("joe", "abc.com"), &composed, privacy);
    out
}

fn contact(uri: &str, id: u64, event: ContactEvent) -> RegisteredContact {
    RegisteredContact {
        uri: uri.into(),
        id,
        event,
    }
}

/// RFC 3680
#[test]
fn b7_4_the_document() {
    let contacts = vec![
        contact("sip:joe@10.0.0.7;ob&x", 3, ContactEvent::Refreshed),
        contact("sip:joe@10.0.0.8", 7, ContactEvent::Registered),
    ];
    let document = written(contacts.clone(), Privacy::Pickup);
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"4\" state=\"full\">\n\
        <registration aor=\"sip:joe@abc.com\" id=\"r1\" state=\"active\">\n\
        <contact id=\"c3\" state=\"active\" event=\"refreshed\">\n<uri>sip:joe@10.0.0.7;ob&amp;x</uri>\n</contact>\n\
        <contact id=\"c7\" state=\"active\" event=\"registered\">\n<uri>sip:joe@10.0.0.8</uri>\n</contact>\n\
        </registration>\n</reginfo>\n";
    assert_eq!(String::from_utf8_lossy(&document), expected);
    assert_eq!(outline::elements(&document).len(), 6);
    let read = parse(&document).unwrap();
    assert_eq!(
        read,
        Document::Registrations {
            entity: Some("sip:joe@abc.com".into()),
            full: true,
            contacts: vec![
                ("sip:joe@10.0.0.7;ob&x".into(), None, None),
                ("sip:joe@10.0.0.8".into(), None, None),
            ],
        }
    );
    // W:B9.4
    let shy = String::from_utf8(written(contacts, Privacy::Party)).unwrap();
    assert!(shy.contains("state=\"active\">\n</registration>") && !shy.contains("10.0.0"));
    let nobody = String::from_utf8(written(Vec::new(), Privacy::Pickup)).unwrap();
    assert!(nobody.contains("id=\"r1\" state=\"init\">\n</registration>"));
}

/// [`ReadContact`], in a short notation.
type Told = (String, Option<ContactEnd>, Option<u32>);

fn read(content: &str) -> Result<Vec<Told>, DocumentFault> {
    let body = format!(
        "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"1\" state=\"partial\">{content}</reginfo>"
    );
    parse(body.as_bytes()).map(|document| match document {
        Document::Registrations { full, contacts, .. } => {
            assert!(!full);
            let plain = |(uri, end, expires): ReadContact| (String::from(uri), end, expires);
            contacts.into_iter().map(plain).collect()
        }
        other => panic!("{other:?}"),
    })
}

/// As sent by Kamailio's registrar.
#[test]
fn real_registrars() {
    let kamailio = "\n<registration aor=\"sip:joe@abc.com\" id=\"0x7f3e8b10\" state=\"active\">\n\
        <contact id=\"0x7f3e8b50\" state=\"active\" event=\"registered\" expires=\"3600\" callid=\"x\" cseq=\"2\">\n\
        <uri>sip:joe@10.0.0.7:5062;transport=udp</uri>\n<unknown-param name=\"+sip.instance\">\"x\"</unknown-param>\n</contact>\n\
        <contact id=\"2\" state=\"terminated\" event=\"expired\" expires=\"0\"><uri>sip:joe@10.0.0.8</uri></contact>\n\
        </registration>\n";
    assert_eq!(
        read(kamailio).unwrap(),
        [
            (
                "sip:joe@10.0.0.7:5062;transport=udp".to_owned(),
                None,
                Some(3600)
            ),
            (
                "sip:joe@10.0.0.8".to_owned(),
                Some(ContactEnd::Expired),
                Some(0)
            ),
        ]
    );
}

#[test]
fn ended_contacts_and_contacts_of_other_users() {
    let contact = |uri: &str| format!("<contact><uri>{uri}</uri></contact>");
    let over = format!(
        "<registration state=\"terminated\">{}</registration>",
        contact("sip:a@b")
    );
    assert_eq!(
        read(&over).unwrap(),
        [("sip:a@b".to_owned(), Some(ContactEnd::Unregistered), None)]
    );
    let two = format!(
        "<registration>{}</registration><registration aor=\"sip:else@b\">{}</registration>",
        contact("sip:a@b"),
        contact("sip:c@d")
    );
    assert_eq!(read(&two).unwrap(), [("sip:a@b".to_owned(), None, None)]);
    let many = format!(
        "<registration>{}</registration>",
        contact("sip:a@b").repeat(100)
    );
    assert_eq!(read(&many).unwrap().len(), CONTACTS_MAX);
    assert_eq!(
        read("<registration><contact/></registration>"),
        Err(DocumentFault::Malformed)
    );
    let long = format!(
        "<registration>{}</registration>",
        contact(&"x".repeat(URI_OCTETS_MAX + 1))
    );
    assert_eq!(read(&long), Err(DocumentFault::TooLarge));
    assert_eq!(parse(b"<reginfo/>"), Err(DocumentFault::Malformed));
}

/// RFC 3680 §5.1, §5.2
#[test]
fn an_ended_contact_is_reported_once() {
    let aor = Aor::new("joe", "abc.com");
    let written = |contacts: &[RegisteredContact], ended: &[EndedContact], shown: &mut _| {
        let composed = Composed {
            extras: Arc::new(Extras {
                contacts: contacts.to_vec(),
                ended_contacts: ended.to_vec(),
                ..Extras::default()
            }),
            ..Composed::default()
        };
        let mut out = Vec::new();
        write_since(&mut out, &aor, &composed, Privacy::Pickup, shown);
        String::from_utf8(out).unwrap()
    };
    let shortened = ContactEvent::Shortened { expires: 60 };
    let one = [contact("sip:joe@10.0.0.7", 3, shortened)];
    let ended = |id, end| EndedContact {
        uri: "sip:joe@10.0.0.7".into(),
        id,
        end,
    };
    // A contact that ended before this subscription began is not reported.
    let ends = [
        ended(2, ContactEnd::Unregistered),
        ended(3, ContactEnd::Expired),
    ];
    let mut shown = ShownContacts::default();
    let first = written(&one, &ends[..1], &mut shown);
    assert!(
        first.contains("<contact id=\"c3\" state=\"active\" event=\"shortened\" expires=\"60\">")
    );
    assert!(!first.contains("c2"));
    let last = written(&[], &ends, &mut shown);
    assert!(last.contains("id=\"r1\" state=\"terminated\">"));
    assert!(last.contains("<contact id=\"c3\" state=\"terminated\" event=\"expired\">"));
    assert!(!last.contains("c2"));
    let after = written(&[], &ends, &mut shown);
    assert!(after.contains("state=\"init\">\n</registration>"));
}

#[test]
fn what_ended_a_contact() {
    for (event, end) in [
        ("expired", ContactEnd::Expired),
        ("deactivated", ContactEnd::Deactivated),
        ("probation", ContactEnd::Deactivated),
        ("rejected", ContactEnd::Rejected),
        ("unregistered", ContactEnd::Unregistered),
        ("", ContactEnd::Unregistered),
    ] {
        let content = format!(
            "<registration><contact state=\"terminated\" event=\"{event}\"><uri>sip:a@b</uri></contact></registration>"
        );
        let expected = [("sip:a@b".to_owned(), Some(end), None)];
        assert_eq!(read(&content).unwrap(), expected, "{event}");
    }
}
