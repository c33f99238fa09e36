//! For tests: checks the structure of written documents with an independent XML reader.

use quick_xml::Reader;
use quick_xml::events::Event;

/// One element: its qualified name, its attributes' names, its children's names.
pub(super) type Outline = (String, Vec<String>, Vec<String>);

/// The elements of a document, in the order in which they begin. Also asserts the canonical form:
/// one tag or text element per line (W:C0.9).
pub(super) fn elements(document: &[u8]) -> Vec<Outline> {
    let document = std::str::from_utf8(document).unwrap();
    assert!(
        document.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
            && document.ends_with(">\n")
    );
    assert!(!document.contains('\r') && !document.contains('\t') && !document.contains("='"));
    assert!(
        document
            .lines()
            .all(|line| line.starts_with('<') && line.ends_with('>')),
        "{document}"
    );
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut found: Vec<Outline> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let name = start.name().into_inner().to_owned();
                let attributes = start
                    .attributes()
                    .map(|attribute| attribute.unwrap().key.into_inner().to_owned());
                if let Some(&parent) = open.last() {
                    found[parent].2.push(name.clone());
                }
                open.push(found.len());
                found.push((name, attributes.collect(), Vec::new()));
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

/// Asserts that an element has only attributes of `known`, and children in the order of `order`,
/// each at most once.
pub(super) fn assert_fits(
    element: &str,
    attributes: &[String],
    known: &[&str],
    children: &[String],
    order: &[&str],
) {
    assert!(
        attributes.iter().all(|name| known.contains(&&**name)),
        "{element} {attributes:?}"
    );
    let places: Vec<_> = children
        .iter()
        .map(|child| order.iter().position(|name| name == child))
        .collect();
    assert!(places.iter().all(Option::is_some), "{element} {children:?}");
    assert!(
        places.windows(2).all(|pair| pair[0] < pair[1]),
        "{element} {children:?}"
    );
}
