//! The documents that peers and operators send. What is read is within its limits, and whatever it
//! says, the documents that it makes us write are well-formed and can be read again.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lamplighter::presence::document::{
    self, Document, DocumentFault, Format, Reader, View, feature_event, message_summary, pidf,
    pres_rules, reginfo, resource_lists, xpidf,
};
use lamplighter::presence::event::Package;
use lamplighter::presence::policy::Privacy;
use lamplighter::presence::presentity::{Condition, Publication, PublicationLimits};
use lamplighter::presence::profile::Rendering;
use lamplighter::presence::source::EntityTag;
use lamplighter::presence::{Aor, Presentity};

/// A PBX's documents, separated by NULs, which are in no document. A reader that knows the first
/// reads the others as one that knows none.
pub(crate) fn dialog_info(octets: &[u8]) {
    let mut reader = Reader::default();
    for body in octets.split(|octet| *octet == 0).take(4) {
        let content_type = "application/dialog-info+xml";
        let read = document::read(Package::Dialog, content_type, body);
        let again = reader.read(Package::Dialog, content_type, body);
        assert_eq!(again, read, "by a template, and as XML");
        if let Ok(document) = read {
            publish(document);
        }
    }
}

pub(crate) fn pidf(octets: &[u8]) {
    published(pidf::parse(octets));
}

pub(crate) fn xpidf(octets: &[u8]) {
    published(xpidf::parse(octets));
}

pub(crate) fn reginfo(octets: &[u8]) {
    published(reginfo::parse(octets));
}

pub(crate) fn message_summary(octets: &[u8]) {
    published(message_summary::parse(octets));
}

pub(crate) fn resource_lists(octets: &[u8]) {
    if let Ok(entries) = resource_lists::parse(octets) {
        assert!(entries.len() <= octets.len() / 4, "an entry has octets");
    }
}

pub(crate) fn pres_rules(octets: &[u8]) {
    let first = pres_rules::parse(octets);
    assert_eq!(pres_rules::parse(octets), first);
    for rule in first.iter().flatten() {
        let watcher = Aor::new("bob", "abc.com");
        let matches = rule.matches(Some(&watcher), true, 1);
        assert_eq!(matches, rule.matches(Some(&watcher), true, 1));
    }
}

pub(crate) fn feature_event(octets: &[u8]) {
    let first = feature_event::parse(octets);
    assert_eq!(feature_event::parse(octets), first);
}

fn published(read: Result<Document, DocumentFault>) {
    if let Ok(document) = read {
        publish(document);
    }
}

/// Publishes a document, and checks what its watchers would get.
fn publish(document: Document) {
    static NOW: OnceLock<Instant> = OnceLock::new();
    let now = *NOW.get_or_init(Instant::now);
    let package = document.package();
    let limits = PublicationLimits {
        expires_min: Duration::from_secs(60),
        expires_max: Duration::from_secs(7200),
        expires_default: Duration::from_secs(3600),
        publications_max: 9,
        calls_max: 50,
    };
    let publication = Publication {
        package,
        condition: Condition::None,
        expires: Some(600),
        document: Some(Ok(document)),
        publisher: 1,
        is_feeder: true,
        origin: None,
    };
    let mut presentity = Presentity::default();
    if presentity
        .apply_publication(publication, EntityTag(7), &limits, now)
        .is_err()
    {
        return;
    }
    for package in Package::ALL {
        for format in Format::of(package) {
            for privacy in [Privacy::Pickup, Privacy::StateOnly] {
                let rendering = Rendering {
                    all_dialogs: true,
                    ..Rendering::default()
                };
                let view = View {
                    format: *format,
                    privacy,
                    rendering,
                };
                look_at(package, view, &presentity);
            }
        }
    }
}

/// What is written is text, well-formed if it is XML, and can be read again if a peer might send it.
fn look_at(package: Package, view: View, presentity: &Presentity) {
    let mut out = Vec::new();
    document::write_prolog(&mut out, view, 1, b"sip:123@abc.com");
    document::write_state(
        &mut out,
        view,
        &Aor::new("123", "abc.com"),
        presentity.composed(),
    );
    let text = std::str::from_utf8(&out).unwrap_or_else(|_| panic!("{view:?} is not UTF-8"));
    if text.starts_with('<') {
        assert_well_formed(text);
    }
    let is_read = matches!(
        view.format,
        Format::DialogInfo | Format::Pidf | Format::CpimPidf | Format::Xpidf | Format::RegInfo
    );
    if is_read && !text.is_empty() {
        let read = document::read(package, view.format.content_type(), &out);
        assert!(
            read.is_ok(),
            "{:?} is {:?}: {text}",
            view.format,
            read.err()
        );
    }
}

fn assert_well_formed(text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => return,
            Ok(quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag)) => {
                assert!(
                    tag.attributes().all(|attribute| attribute.is_ok()),
                    "{text}"
                );
            }
            Ok(_) => {}
            Err(error) => panic!("{error}: {text}"),
        }
    }
}
