//! A multipart: its parts lie in the body, in order, and the root is one of them. A list reports on no more resources than
//! fit into its octets.

use lamplighter::presence::document::list_state::{NotifiedState, read_notified};
use lamplighter::presence::document::{self, multipart};
use lamplighter::presence::event::Package;

/// The first line is the Content-Type, the rest the body.
pub(crate) fn multipart(octets: &[u8]) {
    let at = octets.iter().position(|octet| *octet == b'\n');
    let (first, body) = octets.split_at(at.map_or(octets.len(), |at| at + 1));
    let Ok(content_type) = std::str::from_utf8(first.trim_ascii()) else {
        return;
    };
    let root = multipart::root(content_type, body);
    let inside = body.as_ptr_range();
    if let Ok(root) = root {
        assert!(root.body.is_empty() || inside.contains(&root.body.as_ptr()));
    }
    for boundary in ["b", "-", "nqqKv0"] {
        let mut end = inside.start;
        for part in multipart::parts(boundary, body) {
            let range = part.body.as_ptr_range();
            assert!(range.start >= end && range.end <= inside.end);
            end = range.end;
        }
    }
    for package in [Package::Presence, Package::Dialog, Package::MessageSummary] {
        let _ = document::read(package, content_type, body);
        if let Ok(NotifiedState::List(list)) = read_notified(package, content_type, body) {
            assert!(list.resources.len() * "<resource uri=\"a\"/>".len() <= body.len());
        }
    }
}
