//! `application/resource-lists+xml` (RFC 4826, 5367): the list in the body of a SUBSCRIBE.
//!
//! Entries of nested lists count as entries of the outer list. References to other documents
//! (`entry-ref`, `external`) are ignored: nothing is ever fetched. `copyControl` has no meaning for
//! a subscription (RFC 5367 §4).

use crate::presence::document::xml::{Element, Name, Space, Visitor};
use crate::presence::document::{DocumentFault, xml};

/// The media type.
pub const CONTENT_TYPE: &str = "application/resource-lists+xml";

/// Maximum entries of a document (RFC 4662 §4.4).
pub const ENTRIES_MAX: usize = 1000;
/// Maximum nesting depth of lists (RFC 4662 §4.4).
const LIST_DEPTH_MAX: usize = 4;
/// Maximum octets of a URI.
const URI_OCTETS_MAX: usize = 1024;
/// Maximum characters of a display name; a longer one is truncated.
const DISPLAY_CHARS_MAX: usize = 256;

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The URI as written.
    pub uri: Box<str>,
    /// The display name; None if the document has none.
    pub display: Option<Box<str>>,
}

/// Reads the entries, in the order of the document. Duplicates are kept, because only the caller
/// knows which URIs are equal.
///
/// # Errors
/// `Malformed` for anything not well-formed, another root, or an entry without a URI; `TooLarge`
/// over a limit.
pub fn parse(body: &[u8]) -> Result<Vec<Entry>, DocumentFault> {
    let mut reading = Reading::default();
    xml::read(body, &mut reading)?;
    Ok(reading.entries)
}

/// Appends a document with one list of these URIs, not yet XML-escaped (RFC 5367 §4).
pub fn write<'u>(out: &mut Vec<u8>, uris: impl Iterator<Item = &'u str>) {
    out.extend_from_slice(xml::DECLARATION);
    out.extend_from_slice(
        b"<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">\n<list>\n",
    );
    for uri in uris {
        out.extend_from_slice(b"<entry");
        xml::write_attribute(out, "uri", uri);
        out.extend_from_slice(b"/>\n");
    }
    out.extend_from_slice(b"</list>\n</resource-lists>\n");
}

#[derive(Default)]
struct Reading {
    entries: Vec<Entry>,
    /// The entry being read.
    entry: Entry,
}

const ROOT: Name = (Space::ResourceLists, "resource-lists");
const LIST: Name = (Space::ResourceLists, "list");
const ENTRY: Name = (Space::ResourceLists, "entry");
const DISPLAY_NAME: Name = (Space::ResourceLists, "display-name");

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &["resource-lists", "list", "entry", "display-name"];
    /// Large enough for all entries.
    const OCTETS_MAX: usize = 1024 * 1024;

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        match (parents, element.name) {
            ([], ROOT) => {}
            ([], _) => return Err(DocumentFault::Malformed),
            ([ROOT, lists @ ..], LIST) if lists.len() >= LIST_DEPTH_MAX => {
                return Err(DocumentFault::TooLarge);
            }
            ([ROOT, .., LIST], ENTRY) => {
                if self.entries.len() >= ENTRIES_MAX {
                    return Err(DocumentFault::TooLarge);
                }
                self.entry = entry(element)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        match (parents, name) {
            ([ROOT, .., LIST], ENTRY) => self.entries.push(std::mem::take(&mut self.entry)),
            ([ROOT, .., LIST, ENTRY], DISPLAY_NAME) => {
                self.entry.display = xml::name(text, DISPLAY_CHARS_MAX).map(Box::from);
            }
            _ => {}
        }
        Ok(())
    }
}

fn entry(element: &Element<'_>) -> Result<Entry, DocumentFault> {
    let uri = element.attribute("uri").unwrap_or_default().trim();
    if uri.is_empty() {
        return Err(DocumentFault::Malformed);
    }
    if uri.len() > URI_OCTETS_MAX {
        return Err(DocumentFault::TooLarge);
    }
    Ok(Entry {
        uri: uri.into(),
        display: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const HEAD: &str =
        "<?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">";

    fn parsed(content: &str) -> Result<Vec<(String, Option<String>)>, DocumentFault> {
        let body = format!("{HEAD}{content}</resource-lists>");
        let plain = |entry: Entry| (entry.uri.into(), entry.display.map(String::from));
        parse(body.as_bytes()).map(|entries| entries.into_iter().map(plain).collect())
    }

    fn named(uri: &str, display: Option<&str>) -> (String, Option<String>) {
        (uri.to_owned(), display.map(str::to_owned))
    }

    #[test]
    fn what_is_written_can_be_read() {
        let uris = ["sip:101@abc.com", "sip:a&'b%23@abc.com"];
        let mut body = Vec::new();
        write(&mut body, uris.into_iter());
        let read = parse(&body).unwrap();
        let read: Vec<&str> = read.iter().map(|entry| &*entry.uri).collect();
        assert_eq!(read, uris);
    }

    /// As sent by a softphone (RFC 5367).
    #[test]
    fn b5_14_a_list_in_a_body() {
        let linphone = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n\
            <list>\n<entry uri=\"sip:liz@sip.linphone.org\"/>\n<entry uri=\"sip:tom@sip.linphone.org\"/>\n</list>\n</resource-lists>";
        let uris: Vec<_> = parse(linphone.as_bytes())
            .unwrap()
            .into_iter()
            .map(|entry| entry.uri)
            .collect();
        assert_eq!(
            uris,
            [
                "sip:liz@sip.linphone.org".into(),
                Box::from("sip:tom@sip.linphone.org")
            ]
        );
    }

    /// RFC 4826
    #[test]
    fn b8_4_nested_lists_and_what_is_passed_over() {
        let content = "<list name=\"a\" xmlns:cp=\"urn:ietf:params:xml:ns:copyControl\"><display-name>List</display-name>\
            <entry uri=\" sip:1@h \" cp:copyControl=\"to\"><display-name xml:lang=\"en\"> Ann &amp; Co\n</display-name></entry>\
            <list><entry uri=\"sip:2@h\"><display-name> </display-name></entry></list>\
            <external anchor=\"http://h/x\"/><entry-ref ref=\"resource-lists/users/x\"/>\
            <x:entry xmlns:x=\"u\" uri=\"sip:no@h\"/><entry uri=\"sip:1@h\"/></list>\
            <list><entry uri=\"tel:+491\"/></list><entry uri=\"sip:nowhere@h\"/>";
        assert_eq!(
            parsed(content).unwrap(),
            [
                named("sip:1@h", Some("Ann & Co")),
                named("sip:2@h", None),
                named("sip:1@h", None),
                named("tel:+491", None),
            ]
        );
        assert_eq!(parsed("<list/>").unwrap(), []);
    }

    #[test]
    fn limits_and_faults() {
        let entries = |count| "<entry uri=\"sip:1@h\"/>".repeat(count);
        let list = |content: &str| format!("<list>{content}</list>");
        assert_eq!(
            parsed(&list(&entries(ENTRIES_MAX))).unwrap().len(),
            ENTRIES_MAX
        );
        assert_eq!(
            parsed(&list(&entries(ENTRIES_MAX + 1))),
            Err(DocumentFault::TooLarge)
        );
        let nested = |depth| "<list>".repeat(depth) + &entries(1) + &"</list>".repeat(depth);
        assert_eq!(parsed(&nested(LIST_DEPTH_MAX)).unwrap().len(), 1);
        assert_eq!(
            parsed(&nested(LIST_DEPTH_MAX + 1)),
            Err(DocumentFault::TooLarge)
        );
        let long = format!("<entry uri=\"sip:{}\"/>", "x".repeat(URI_OCTETS_MAX));
        assert_eq!(parsed(&list(&long)), Err(DocumentFault::TooLarge));
        for bad in ["<entry/>", "<entry uri=\" \"/>", "<entry uri='sip:1@h'>"] {
            assert_eq!(parsed(&list(bad)), Err(DocumentFault::Malformed), "{bad}");
        }
        // RFC 3903 §6
        for root in [
            "<resource-lists/>",
            "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>",
            "",
        ] {
            assert_eq!(
                parse(root.as_bytes()),
                Err(DocumentFault::Malformed),
                "{root}"
            );
        }
        let large = " ".repeat(Reading::OCTETS_MAX);
        assert_eq!(parsed(&large), Err(DocumentFault::TooLarge));
    }
}
