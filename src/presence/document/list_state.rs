//! The body of a NOTIFY to us: one document, or the states of a list (RFC 4662 §4.3-4.5).
//!
//! Read leniently (W:E4.9): a `cid` without its part says nothing, a part without a `cid` is ignored, a part that cannot
//! be read is the fault of its resource alone. A list within a list is read as if its resources were those of the outer
//! one, to a depth of four. A part is read for the first resource that names it (W:B5.6), so the work is bounded
//! by the octets of the body.

use std::collections::HashMap;

use crate::presence::document::rlmi::{Outline, OutlineResource, OutlineState};
use crate::presence::document::{Document, DocumentFault, multipart, read, rlmi};
use crate::presence::event::Package;

/// Lists within lists (RFC 4662 §4.4); deeper ones are ignored.
const DEPTH_MAX: usize = 4;

/// What a NOTIFY says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifiedState {
    /// The state of one resource.
    Document(Document),
    /// The states of a list.
    List(ListState),
}

/// The states of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListState {
    /// The number of the NOTIFY; None without one.
    pub version: Option<u32>,
    /// Whether each resource of the list is mentioned.
    pub full: bool,
    /// In the order of the document.
    pub resources: Vec<ResourceState>,
}

/// A resource of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceState {
    /// Its URI.
    pub uri: Box<str>,
    /// What is said about it.
    pub report: ResourceReport,
}

/// What a list says about a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceReport {
    /// Nothing new.
    Nothing,
    /// Its state.
    State(Document),
    /// Its state in a form that cannot be read.
    Unreadable,
    /// No policy has decided yet whether we are told.
    Pending,
    /// We are not told any more, for that reason.
    Terminated(Box<str>),
}

/// Reads the body of a NOTIFY of that package. `content_type` is the value of its Content-Type with its parameters.
///
/// # Errors
/// Those of [`read`]; `Malformed` for a list without a boundary or whose root is malformed.
pub fn read_notified(
    package: Package,
    content_type: &str,
    body: &[u8],
) -> Result<NotifiedState, DocumentFault> {
    let media_type = multipart::media_type(content_type);
    if media_type.eq_ignore_ascii_case(rlmi::CONTENT_TYPE) {
        let outline = rlmi::parse(body)?;
        return Ok(NotifiedState::List(with_parts(outline, &[], package, 0)));
    }
    if is_related(content_type) {
        let root = multipart::root(content_type, body)?;
        if is_root(root) {
            let outline = rlmi::parse(root.body)?;
            let parts: Vec<_> = multipart::all(content_type, body).collect();
            return Ok(NotifiedState::List(with_parts(outline, &parts, package, 0)));
        }
    }
    read(package, content_type, body).map(NotifiedState::Document)
}

fn is_related(content_type: &str) -> bool {
    multipart::media_type(content_type).eq_ignore_ascii_case("multipart/related")
}

fn is_root(part: multipart::Part<'_>) -> bool {
    multipart::media_type(part.content_type).eq_ignore_ascii_case(rlmi::CONTENT_TYPE)
}

/// The list of an outline, with the states in the parts beside it.
fn with_parts(
    outline: Outline,
    parts: &[multipart::Part<'_>],
    package: Package,
    depth: usize,
) -> ListState {
    let mut by_id: HashMap<&str, &multipart::Part<'_>> =
        parts.iter().map(|part| (part.content_id, part)).collect();
    let mut list = ListState {
        version: outline.version,
        full: outline.full,
        resources: Vec::with_capacity(outline.resources.len()),
    };
    for OutlineResource { uri, instance } in outline.resources {
        let content_id = instance.as_ref().map_or("", |one| &one.content_id);
        let part = by_id.remove(content_id).filter(|_| !content_id.is_empty());
        if let Some(part) = part
            && is_related(part.content_type)
            && let Some(inner) = inner_list(part, package, depth)
        {
            list.full &= inner.full;
            list.resources.extend(inner.resources);
            continue;
        }
        let report = match (instance.map(|one| one.state), part) {
            (Some(OutlineState::Terminated(reason)), _) => ResourceReport::Terminated(reason),
            (Some(OutlineState::Pending), _) => ResourceReport::Pending,
            (Some(OutlineState::Active), Some(part)) => report_of(part, package),
            (Some(OutlineState::Active) | None, _) => ResourceReport::Nothing,
        };
        list.resources.push(ResourceState { uri, report });
    }
    list
}

/// The list in a part; None if it is none, or too deep.
fn inner_list(part: &multipart::Part<'_>, package: Package, depth: usize) -> Option<ListState> {
    let root = multipart::root(part.content_type, part.body).ok();
    let root = root.filter(|root| depth < DEPTH_MAX && is_root(*root))?;
    let outline = rlmi::parse(root.body).ok()?;
    let parts: Vec<_> = multipart::all(part.content_type, part.body).collect();
    Some(with_parts(outline, &parts, package, depth + 1))
}

fn report_of(part: &multipart::Part<'_>, package: Package) -> ResourceReport {
    read(package, part.content_type, part.body)
        .map_or(ResourceReport::Unreadable, ResourceReport::State)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const CALL: &str = "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
        entity=\"sip:1@a\"><dialog id=\"d\"><state>confirmed</state></dialog></dialog-info>";

    fn rlmi(content: &str) -> String {
        format!(
            "<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" version=\"1\" fullState=\"true\">{content}</list>"
        )
    }

    fn resource(uri: &str, instance: &str) -> String {
        format!("<resource uri=\"{uri}\">{instance}</resource>")
    }

    fn part(boundary: &str, header: &str, body: &str) -> String {
        format!("--{boundary}\r\n{header}\r\n\r\n{body}\r\n")
    }

    fn list(content_type: &str, body: &str) -> ListState {
        match read_notified(Package::Dialog, content_type, body.as_bytes()) {
            Ok(NotifiedState::List(list)) => list,
            other => panic!("{other:?}"),
        }
    }

    fn says(list: &ListState) -> Vec<(&str, &str)> {
        let word = |report: &ResourceReport| match report {
            ResourceReport::Nothing => "nothing",
            ResourceReport::State(_) => "state",
            ResourceReport::Unreadable => "unreadable",
            ResourceReport::Pending => "pending",
            ResourceReport::Terminated(reason) if **reason == *"rejected" => "rejected",
            ResourceReport::Terminated(_) => "terminated",
        };
        let all = list.resources.iter();
        all.map(|one| (&*one.uri, word(&one.report))).collect()
    }

    #[test]
    fn each_resource_has_the_state_in_its_part() {
        let root = rlmi(
            &[
                resource(
                    "sip:1@a",
                    "<instance id=\"1\" state=\"active\" cid=\"x@y\"/>",
                ),
                resource(
                    "sip:2@a",
                    "<instance id=\"1\" state=\"active\" cid=\"gone@y\"/>",
                ),
                resource(
                    "sip:3@a",
                    "<instance id=\"1\" state=\"active\" cid=\"bad@y\"/>",
                ),
                resource("sip:4@a", "<instance id=\"1\" state=\"pending\"/>"),
                resource(
                    "sip:5@a",
                    "<instance id=\"1\" state=\"terminated\" reason=\"rejected\"/>",
                ),
                resource("sip:6@a", ""),
                resource(
                    "sip:7@a",
                    "<instance id=\"1\" state=\"active\" cid=\"x@y\"/>",
                ),
            ]
            .concat(),
        );
        let odd = "odd ' (boundary): 50/50=?+_,-.";
        let body = [
            "a preamble\r\n".to_owned(),
            part(
                odd,
                "content-type: application/dialog-info+xml\r\nX: y\r\nContent-ID:<x@y>",
                CALL,
            ),
            part(odd, "Content-Type: image/png", "ignored"),
            part(
                odd,
                "Content-Type: Application/RLMI+xml;charset=\"UTF-8\"\r\nContent-ID: <root@y>",
                &root,
            ),
            part(
                odd,
                "Content-ID: <bad@y>\r\nContent-Type: application/dialog-info+xml",
                "<no",
            ),
        ]
        .concat();
        let kind = format!(
            "Multipart/Related; start=\"<root@y>\"; type=\"application/rlmi+xml\"; boundary=\"{odd}\""
        );
        let list = list(&kind, &body);
        assert_eq!((list.version, list.full), (Some(1), true));
        let expected = [
            ("sip:1@a", "state"),
            ("sip:2@a", "nothing"),
            ("sip:3@a", "unreadable"),
            ("sip:4@a", "pending"),
            ("sip:5@a", "rejected"),
            ("sip:6@a", "nothing"),
            ("sip:7@a", "nothing"),
        ];
        assert_eq!(says(&list), expected);
    }

    #[test]
    fn lists_within_lists_are_read_to_a_depth() {
        let mut body = part("b", "Content-Type: application/rlmi+xml", &rlmi(""));
        for depth in 0..=DEPTH_MAX + 1 {
            let instance = format!("<instance id=\"1\" state=\"active\" cid=\"{depth}@y\"/>");
            let root = rlmi(&resource(&format!("sip:{depth}@a"), &instance));
            let (own, inner) = (
                format!("b{depth}"),
                match depth {
                    0 => "b".to_owned(),
                    _ => format!("b{}", depth - 1),
                },
            );
            let header = format!(
                "Content-ID: <{depth}@y>\r\nContent-Type: multipart/related;boundary={inner}"
            );
            body = part(&own, "Content-Type: application/rlmi+xml", &root)
                + &part(&own, &header, &body);
        }
        let outermost = DEPTH_MAX + 1;
        let list = list(&format!("multipart/related;boundary=b{outermost}"), &body);
        assert_eq!(says(&list), [("sip:1@a", "unreadable")]);
    }

    #[test]
    fn a_root_alone_a_document_alone_and_neither() {
        let root = rlmi(&resource(
            "sip:1@a",
            "<instance id=\"1\" state=\"active\"/>",
        ));
        assert_eq!(
            says(&list("application/rlmi+xml", &root)),
            [("sip:1@a", "nothing")]
        );
        let read = |kind, body: &str| read_notified(Package::Dialog, kind, body.as_bytes());
        let document = read("application/dialog-info+xml", CALL);
        assert!(matches!(document, Ok(NotifiedState::Document(_))));
        let of_presence = "--b\r\nContent-Type: application/pidf+xml\r\n\r\n\
            <presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>\r\n--b--\r\n";
        let presence = read_notified(
            Package::Presence,
            "multipart/related;boundary=b",
            of_presence.as_bytes(),
        );
        assert!(matches!(presence, Ok(NotifiedState::Document(_))));
        assert_eq!(
            read("multipart/related", &root),
            Err(DocumentFault::Malformed)
        );
        let no_list = part("b", "Content-Type: application/rlmi+xml", "<list");
        assert_eq!(
            read("multipart/related;boundary=b", &no_list),
            Err(DocumentFault::Malformed)
        );
    }
}
