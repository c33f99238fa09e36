//! `application/pidf-diff+xml` (RFC 5262, 5263): the full PIDF first, then its changes.
//!
//! Our PIDF has few elements below its root, so a change replaces, adds or removes whole elements (RFC
//! 5261).

use std::io::Write;

use crate::presence::document::xml::write_escaped;
use crate::presence::document::{pidf, xml};
use crate::presence::profile::Rendering;
use crate::presence::{Aor, Composed};

/// The media type.
pub const CONTENT_TYPE: &str = "application/pidf-diff+xml";

/// Appends everything up to and including the opening `pidf-full` tag. `entity` is a URI, not yet
/// XML-escaped.
pub fn write_prolog(out: &mut Vec<u8>, rendering: Rendering, version: u32, entity: &[u8]) {
    write_prolog_of("pidf-full", out, rendering, version, entity);
}

/// Appends the full state and the closing tag.
pub fn write_state(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, rendering: Rendering) {
    pidf::write_pieces(out, aor, composed, rendering);
    out.extend_from_slice(b"</p:pidf-full>\n");
}

/// Like [`write_prolog`], for `pidf-diff`; [`write_changes`] follows.
pub fn write_diff_prolog(out: &mut Vec<u8>, rendering: Rendering, version: u32, entity: &[u8]) {
    write_prolog_of("pidf-diff", out, rendering, version, entity);
}

fn write_prolog_of(
    root: &str,
    out: &mut Vec<u8>,
    rendering: Rendering,
    version: u32,
    entity: &[u8],
) {
    out.extend_from_slice(xml::DECLARATION);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "<p:{root}");
    pidf::write_namespaces(out, rendering);
    let _ = write!(
        out,
        " xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" version=\"{version}\" entity=\""
    );
    write_escaped(out, entity);
    out.extend_from_slice(b"\">\n");
}

/// Appends the changes from the document of `previous`, which the watcher has, to that of
/// `composed`, and the closing tag.
pub fn write_changes(
    out: &mut Vec<u8>,
    aor: &Aor,
    previous: &Composed,
    composed: &Composed,
    rendering: Rendering,
) {
    for (selector, write) in pidf::pieces(rendering) {
        let start = out.len();
        write(out, aor, previous);
        let middle = out.len();
        write(out, aor, composed);
        let (before, after) = out[start..].split_at(middle - start);
        let (is_same, was_there, is_there) =
            (before == after, !before.is_empty(), !after.is_empty());
        out.truncate(start);
        if is_same {
            continue;
        }
        let (operation, selector) = match (was_there, is_there) {
            (true, true) => ("replace", selector),
            (true, false) => ("remove", selector),
            // Added as the last element below the root: the pieces are written in order.
            (false, _) => ("add", "*"),
        };
        let _ = write!(out, "<p:{operation} sel=\"{selector}\"");
        if !is_there {
            out.extend_from_slice(b"/>\n");
            continue;
        }
        out.push(b'>');
        write(out, aor, composed);
        // Without a line end, which would be a separate text node (RFC 5261 §4.4).
        out.pop_if(|octet| *octet == b'\n');
        let _ = writeln!(out, "</p:{operation}>");
    }
    out.extend_from_slice(b"</p:pidf-diff>\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::presence::composition::Availability;
    use crate::presence::document::outline;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<p:ROOT xmlns=\"urn:ietf:params:xml:ns:pidf\" \
        xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
        xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" version=\"3\" entity=\"sip:123@abc.com\">\n";

    fn aor() -> Aor {
        Aor::new("123", "abc.com")
    }

    fn composed(availability: Availability, open: bool, note: Option<&str>) -> Composed {
        Composed {
            availability,
            open,
            note: note.map(Arc::from),
            ..Composed::default()
        }
    }

    fn diff(previous: &Composed, composed: &Composed, rendering: Rendering) -> Option<String> {
        let mut out = Vec::new();
        write_diff_prolog(&mut out, rendering, 3, b"sip:123@abc.com");
        write_changes(&mut out, &aor(), previous, composed, rendering);
        outline::elements(&out);
        let text = String::from_utf8(out).unwrap();
        let content = text.split_once("sip:123@abc.com\">\n").unwrap().1;
        let content = content.strip_suffix("</p:pidf-diff>\n").unwrap();
        (!content.is_empty()).then(|| content.to_owned())
    }

    /// RFC 5262, RFC 5263
    #[test]
    fn b6_4_the_first_document_is_full() {
        let mut out = Vec::new();
        let available = composed(Availability::Available, true, None);
        write_prolog(&mut out, Rendering::GENERIC, 3, b"sip:123@abc.com");
        write_state(&mut out, &aor(), &available, Rendering::GENERIC);
        outline::elements(&out);
        let expected = HEAD.replace("ROOT", "pidf-full")
            + "<tuple id=\"t1\">\n<status>\n<basic>open</basic>\n</status>\n\
            <contact>sip:123@abc.com</contact>\n</tuple>\n</p:pidf-full>\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    /// RFC 5262, RFC 5263
    #[test]
    fn b6_4_later_documents_are_patches() {
        let generic = Rendering::GENERIC;
        let available = composed(Availability::Available, true, None);
        let closed = composed(Availability::Offline, false, None);
        let away = composed(Availability::Away, true, None);
        let lunch = composed(Availability::Away, true, Some("lunch"));
        let tuple = |basic: &str, note: &str| {
            format!(
                "<p:replace sel=\"*/tuple\"><tuple id=\"t1\">\n<status>\n<basic>{basic}</basic>\n</status>\n\
                <contact>sip:123@abc.com</contact>\n{note}</tuple></p:replace>\n"
            )
        };
        let person = |note: &str| {
            format!(
                "<dm:person id=\"p1\">\n<rpid:activities>\n<rpid:away/>\n</rpid:activities>\n{note}</dm:person>"
            )
        };
        assert_eq!(diff(&available, &available, generic), None);
        assert_eq!(
            diff(&available, &closed, generic),
            Some(tuple("closed", ""))
        );
        assert_eq!(
            diff(&available, &away, generic),
            Some(format!("<p:add sel=\"*\">{}</p:add>\n", person("")))
        );
        assert_eq!(
            diff(&away, &lunch, generic),
            Some(format!(
                "{}<p:replace sel=\"*/dm:person\">{}</p:replace>\n",
                tuple("open", "<note>lunch</note>\n"),
                person("<dm:note>lunch</dm:note>\n")
            ))
        );
        assert_eq!(
            diff(&away, &available, generic),
            Some("<p:remove sel=\"*/dm:person\"/>\n".to_owned())
        );
        let legacy = Rendering {
            legacy_namespaces: true,
            ..generic
        };
        assert_eq!(
            diff(&away, &available, legacy),
            Some("<p:remove sel=\"*/dm:person\"/>\n<p:remove sel=\"*/pp:person\"/>\n".to_owned())
        );
    }
}
