//! Resource lists (RFC 4662) as seen by a phone: a `multipart/related` body with its RLMI root and
//! one document per resource; and the list in the body of a SUBSCRIBE (RFC 5367).
//!
//! These faults are detected here: a missing boundary or root, a `cid` without its part, a part
//! that no resource names or that two name, a repeated resource. The caller checks the documents.

use std::fmt::Write;

use memchr::memchr;

use crate::wire::dialog_info::{attribute, find};
use crate::wire::message::{number, parameter};

/// The content type of a list's root part.
const RLMI: &[u8] = b"application/rlmi+xml";
/// Maximum parts of one body.
const PARTS_MAX: usize = 20_000;

/// A complete list notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List<'a> {
    pub(crate) uri: &'a [u8],
    pub(crate) version: u32,
    pub(crate) full: bool,
    pub(crate) resources: Vec<Resource<'a>>,
}

/// One resource of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource<'a> {
    pub(crate) uri: &'a [u8],
    /// `active`, `pending`, `terminated`; empty if there is no instance (yet).
    pub(crate) state: &'a [u8],
    /// Its document, if the notification contains one.
    pub(crate) document: Option<&'a [u8]>,
}

/// Why a body is not a list notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoList {
    /// Not `multipart/related` with a boundary and a type of RLMI.
    ContentType,
    /// The body is not separated by its boundary, or the head of a part is incomplete.
    Parts,
    /// No root part.
    Root,
    /// A `list` or `resource` without its mandatory attributes.
    Rlmi,
    /// A `cid` without a part.
    MissingPart,
    /// A part that no resource names, or more than one.
    UnclaimedPart,
    /// The same resource twice.
    ResourceTwice,
}

struct Part<'a> {
    id: &'a [u8],
    content: &'a [u8],
    claimed: bool,
}

/// Reads the body of a list's NOTIFY.
pub(crate) fn scan<'a>(content_type: &[u8], body: &'a [u8]) -> Result<List<'a>, NoList> {
    let kind = content_type
        .get(..b"multipart/related".len())
        .ok_or(NoList::ContentType)?;
    let boundary = unquoted(parameter(content_type, b"boundary"));
    let root_type = unquoted(parameter(content_type, b"type"));
    if !kind.eq_ignore_ascii_case(b"multipart/related")
        || boundary.is_empty()
        || !root_type.eq_ignore_ascii_case(RLMI)
    {
        return Err(NoList::ContentType);
    }
    let mut parts = parts(boundary, body)?;
    let start = bare_id(unquoted(parameter(content_type, b"start")));
    let root = match start.is_empty() {
        true => 0,
        false => parts
            .iter()
            .position(|part| part.id == start)
            .ok_or(NoList::Root)?,
    };
    if root >= parts.len() {
        return Err(NoList::Root);
    }
    let root = parts.remove(root).content;
    let mut ids: Vec<usize> = (0..parts.len()).collect();
    ids.sort_by_key(|&index| parts[index].id);
    let list = read_root(root, &mut parts, &ids)?;
    if parts.iter().any(|part| !part.claimed) {
        return Err(NoList::UnclaimedPart);
    }
    let mut uris: Vec<&[u8]> = list.resources.iter().map(|one| one.uri).collect();
    uris.sort_unstable();
    match uris.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err(NoList::ResourceTwice),
        false => Ok(list),
    }
}

fn parts<'a>(boundary: &[u8], body: &'a [u8]) -> Result<Vec<Part<'a>>, NoList> {
    let delimiter = [b"--", boundary].concat();
    let mut rest = &body[find(body, &delimiter).ok_or(NoList::Parts)? + delimiter.len()..];
    let mut parts = Vec::new();
    let middle = [b"\r\n--", boundary].concat();
    while !rest.starts_with(b"--") {
        let end = find(rest, &middle).ok_or(NoList::Parts)?;
        let part = rest[..end].strip_prefix(b"\r\n").ok_or(NoList::Parts)?;
        rest = &rest[end + middle.len()..];
        let head = find(part, b"\r\n\r\n").ok_or(NoList::Parts)?;
        if parts.len() == PARTS_MAX {
            return Err(NoList::Parts);
        }
        parts.push(Part {
            id: content_id(&part[..head]),
            content: &part[head + 4..],
            claimed: false,
        });
    }
    Ok(parts)
}

fn content_id(head: &[u8]) -> &[u8] {
    let name = b"content-id:";
    head.split(|&byte| byte == b'\n')
        .find_map(|line| {
            let found = line.get(..name.len())?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| &line[name.len()..])
        })
        .map_or(b"", |value| bare_id(value.trim_ascii()))
}

fn read_root<'a>(
    root: &'a [u8],
    parts: &mut [Part<'a>],
    ids: &[usize],
) -> Result<List<'a>, NoList> {
    let at = find(root, b"<list").ok_or(NoList::Rlmi)?;
    let tag = start_tag(&root[at..]).ok_or(NoList::Rlmi)?;
    let mut list = List {
        uri: attribute(tag, b"uri").ok_or(NoList::Rlmi)?,
        version: attribute(tag, b"version")
            .and_then(number)
            .ok_or(NoList::Rlmi)?,
        full: matches!(attribute(tag, b"fullState"), Some(b"true" | b"1")),
        resources: Vec::new(),
    };
    let mut rest = &root[at + tag.len()..];
    while let Some(at) = find(rest, b"<resource ") {
        let element = &rest[at..];
        let next = find(&element[1..], b"<resource ").map_or(element.len(), |next| next + 1);
        rest = &element[next..];
        let element = &element[..next];
        let tag = start_tag(element).ok_or(NoList::Rlmi)?;
        let mut resource = Resource {
            uri: attribute(tag, b"uri").ok_or(NoList::Rlmi)?,
            state: b"",
            document: None,
        };
        if let Some(at) = find(element, b"<instance ") {
            let tag = start_tag(&element[at..]).ok_or(NoList::Rlmi)?;
            resource.state = attribute(tag, b"state").ok_or(NoList::Rlmi)?;
            attribute(tag, b"id").ok_or(NoList::Rlmi)?;
            if let Some(id) = attribute(tag, b"cid") {
                resource.document = Some(claim(id, parts, ids)?);
            }
        }
        list.resources.push(resource);
    }
    Ok(list)
}

fn claim<'a>(id: &[u8], parts: &mut [Part<'a>], ids: &[usize]) -> Result<&'a [u8], NoList> {
    let found = ids.binary_search_by_key(&id, |&index| parts[index].id);
    let part = &mut parts[ids[found.map_err(|_| NoList::MissingPart)?]];
    if std::mem::replace(&mut part.claimed, true) {
        return Err(NoList::UnclaimedPart);
    }
    Ok(part.content)
}

fn start_tag(element: &[u8]) -> Option<&[u8]> {
    Some(&element[..memchr(b'>', element)?])
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inside = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    inside.unwrap_or(value)
}

fn bare_id(value: &[u8]) -> &[u8] {
    let inside = value
        .strip_prefix(b"<")
        .and_then(|value| value.strip_suffix(b">"));
    inside.unwrap_or(value)
}

/// Writes the list for the body of a SUBSCRIBE.
pub(crate) fn write_list<'a>(uris: impl Iterator<Item = String> + 'a) -> Vec<u8> {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">\n<list>\n",
    );
    for uri in uris {
        let _ = writeln!(text, "<entry uri=\"{uri}\"/>");
    }
    text.push_str("</list>\n</resource-lists>\n");
    text.into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TYPE: &[u8] =
        b"multipart/related;type=\"application/rlmi+xml\";start=\"<r@h>\";boundary=\"b1\"";

    /// The example of RFC 4662 §6, shortened.
    fn body(root: &str, documents: &[(&str, &str)]) -> Vec<u8> {
        let mut text = format!(
            "--b1\r\nContent-ID: <r@h>\r\nContent-Type: application/rlmi+xml\r\n\r\n{root}"
        );
        for (id, document) in documents {
            let head = format!("Content-Type: application/dialog-info+xml\r\ncontent-id: <{id}>");
            let _ = write!(text, "\r\n--b1\r\n{head}\r\n\r\n{document}");
        }
        text.push_str("\r\n--b1--\r\n");
        text.into_bytes()
    }

    fn root(resources: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" \
             uri=\"sip:list1@abc.com\" version=\"7\" fullState=\"false\">{resources}</list>"
        )
    }

    #[test]
    fn a_partial_list_is_read() {
        let root = root(
            "<resource uri=\"sip:1@abc.com\"><name>One</name>\
             <instance id=\"a\" state=\"active\" cid=\"p1@h\"/></resource>\
             <resource uri=\"sip:2@abc.com\"/>\
             <resource uri='sip:3@abc.com'><instance id='b' state='terminated' \
             reason='noresource'/></resource>",
        );
        let body = body(&root, &[("p1@h", "<dialog-info/>")]);
        let list = scan(TYPE, &body).unwrap();
        assert_eq!((list.version, list.full), (7, false));
        assert_eq!(list.uri, b"sip:list1@abc.com");
        let states: Vec<&[u8]> = list.resources.iter().map(|one| one.state).collect();
        assert_eq!(states, [b"active".as_slice(), b"", b"terminated"]);
        let document: &[u8] = b"<dialog-info/>";
        assert_eq!(list.resources[0].document, Some(document));
        assert_eq!(list.resources[2].document, None);
    }

    #[test]
    fn each_fault_is_named() {
        let one =
            "<resource uri=\"sip:1@h\"><instance id=\"a\" state=\"active\" cid=\"p1\"/></resource>";
        let two = one.replace("sip:1", "sip:2");
        let parts = [("p1", "x")];
        let fault = |root: &str, parts: &[(&str, &str)]| scan(TYPE, &body(root, parts)).err();
        assert_eq!(fault(&root(one), &parts), None);
        assert_eq!(fault(&root(one), &[]), Some(NoList::MissingPart));
        assert_eq!(fault(&root(""), &parts), Some(NoList::UnclaimedPart));
        let both = format!("{one}{two}");
        assert_eq!(fault(&root(&both), &parts), Some(NoList::UnclaimedPart));
        let twice = format!("{one}{}", two.replace("sip:2", "sip:1").replace("p1", "p2"));
        let parts = [("p1", "x"), ("p2", "y")];
        assert_eq!(fault(&root(&twice), &parts), Some(NoList::ResourceTwice));
        assert_eq!(fault("<lost/>", &[]), Some(NoList::Rlmi));
        let good = body(&root(""), &[]);
        assert_eq!(scan(b"text/plain", &good).err(), Some(NoList::ContentType));
        assert_eq!(scan(TYPE, &good[..40]).err(), Some(NoList::Parts));
        assert_eq!(scan(TYPE, b"").err(), Some(NoList::Parts));
        let other = b"multipart/related;type=\"application/rlmi+xml\";start=\"<z>\";boundary=b1";
        assert_eq!(scan(other, &good).err(), Some(NoList::Root));
    }

    #[test]
    fn every_cut_is_survived() {
        let body = body(&root("<resource uri=\"sip:1@h\"/>"), &[]);
        for end in 0..body.len() - 4 {
            assert!(scan(TYPE, &body[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_list_is_written() {
        let text = write_list(["sip:1@h", "sip:2@h"].into_iter().map(str::to_owned));
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("<entry uri=\"sip:1@h\"/>\n<entry uri=\"sip:2@h\"/>\n</list>"));
    }
}
