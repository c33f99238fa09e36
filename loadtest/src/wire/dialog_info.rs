//! `application/dialog-info+xml` (RFC 4235), as far as needed for a lamp: scanned from a NOTIFY,
//! written for a PUBLISH.
//!
//! The scan expects what a simple phone expects: no namespace prefix, the state as text. Of several
//! dialogs, the one counts that a BLF key would show: ringing before busy before any other.

use memchr::memchr;
use serde::{Deserialize, Serialize};

use crate::wire::message::number;

/// What a busy-lamp key shows; in a scenario, the state of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lamp {
    /// No call: `terminated`, or no dialog at all.
    #[default]
    #[serde(rename = "free")]
    Off,
    /// `trying` or `proceeding`: received, never published.
    #[serde(skip)]
    Setup,
    /// `early`.
    Ringing,
    /// `confirmed`.
    Busy,
}

impl Lamp {
    /// How far a call has progressed: it never goes back.
    pub(crate) const fn step(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Setup => 1,
            Self::Ringing => 2,
            Self::Busy => 3,
        }
    }

    /// The precedence of a dialog for a BLF key.
    const fn rank(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Setup => 1,
            Self::Busy => 2,
            Self::Ringing => 3,
        }
    }

    const fn stronger(self, other: Self) -> Self {
        if self.rank() >= other.rank() {
            self
        } else {
            other
        }
    }

    /// The state that a PUBLISH reports for this lamp.
    pub(crate) const fn state(self) -> &'static str {
        match self {
            Self::Off => "terminated",
            Self::Setup => "trying",
            Self::Ringing => "early",
            Self::Busy => "confirmed",
        }
    }
}

/// A document of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DialogInfo<'a> {
    pub(crate) version: u32,
    /// Whether `state="full"`.
    pub(crate) full: bool,
    /// Undecoded; the user names of this tool need no escapes.
    pub(crate) entity: &'a [u8],
    pub(crate) lamp: Lamp,
    /// The call-id of the dialog that the lamp shows; None if it is hidden.
    pub(crate) call_id: &'a [u8],
}

/// Reads a document; None if it is not one, or if a dialog has no id or an invalid state.
pub(crate) fn scan(body: &[u8]) -> Option<DialogInfo<'_>> {
    let start = find(body, b"<dialog-info")? + b"<dialog-info".len();
    let rest = &body[start..];
    let tag = &rest[..memchr(b'>', rest)?];
    let content = &rest[tag.len()..];
    find(content, b"</dialog-info>").or_else(|| tag.ends_with(b"/").then_some(0))?;
    let mut shown = (Lamp::Off, b"".as_slice());
    let mut rest = content;
    while let Some(at) = find(rest, b"<dialog ") {
        let dialog = &rest[at + 1..];
        let end = find(dialog, b"<dialog ").unwrap_or(dialog.len());
        rest = &dialog[end..];
        let dialog = &dialog[..end];
        let tag = &dialog[..memchr(b'>', dialog)?];
        if attribute(tag, b"id")?.is_empty() {
            return None;
        }
        let lamp = lamp_of(dialog)?;
        if shown.1.is_empty() || lamp.rank() > shown.0.rank() {
            shown = (
                lamp.stronger(shown.0),
                attribute(tag, b"call-id").unwrap_or(b""),
            );
        }
    }
    Some(DialogInfo {
        version: number(attribute(tag, b"version")?)?,
        full: attribute(tag, b"state")? == b"full",
        entity: attribute(tag, b"entity")?,
        lamp: shown.0,
        call_id: shown.1,
    })
}

fn lamp_of(dialog: &[u8]) -> Option<Lamp> {
    let element = &dialog[find(dialog, b"<state")?..];
    let text = &element[memchr(b'>', element)? + 1..];
    let text = &text[..memchr(b'<', text)?];
    match text.trim_ascii() {
        b"terminated" => Some(Lamp::Off),
        b"trying" | b"proceeding" => Some(Lamp::Setup),
        b"early" => Some(Lamp::Ringing),
        b"confirmed" => Some(Lamp::Busy),
        _ => None,
    }
}

/// An attribute's value inside a start tag, either quote.
pub(crate) fn attribute<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = tag;
    loop {
        let at = find(rest, name)?;
        let free = at > 0 && rest[at - 1].is_ascii_whitespace();
        rest = &rest[at + name.len()..];
        let Some((b'=', value)) = rest.split_first() else {
            continue;
        };
        let Some((quote @ (b'"' | b'\''), value)) = value.split_first() else {
            continue;
        };
        if free {
            return Some(&value[..memchr(*quote, value)?]);
        }
    }
}

/// The position of `needle`. Documents are short and the needles begin with a rare octet, so that a
/// prepared search would cost more than it saves.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        from += memchr(first, haystack.get(from..)?)?;
        if haystack[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
}

/// A call as its presentity publishes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishedCall<'a> {
    /// `user@domain` of the presentity.
    pub(crate) address: &'a str,
    /// Identifies the call among all calls of this presentity and all runs: a server remembers for
    /// a while that a call is over, so each call needs new ids.
    pub(crate) number: u32,
    pub(crate) run: &'a str,
    /// The version of the publisher's documents.
    pub(crate) version: u32,
    pub(crate) lamp: Lamp,
}

/// Writes a full document with one incoming call.
pub(crate) fn write(call: &PublishedCall<'_>) -> Vec<u8> {
    let PublishedCall {
        address,
        number,
        run,
        version,
        lamp,
    } = call;
    let state = lamp.state();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
         state=\"full\" entity=\"sip:{address}\">\n\
         <dialog id=\"c{number}\" call-id=\"call{number}-{run}-{address}\" local-tag=\"l{number}\" \
         remote-tag=\"r{number}\" direction=\"recipient\">\n\
         <state>{state}</state>\n\
         <local><identity>sip:{address}</identity><target uri=\"sip:{address}\"/></local>\n\
         <remote><identity display=\"Caller\">sip:caller@example.org</identity>\
         <target uri=\"sip:caller@example.org\"/></remote>\n\
         </dialog>\n</dialog-info>\n"
    )
    .into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for lamp in [Lamp::Off, Lamp::Setup, Lamp::Ringing, Lamp::Busy] {
            let call = PublishedCall {
                address: "1001@abc.com",
                number: 3,
                run: "7",
                version: 9,
                lamp,
            };
            let body = write(&call);
            let expected = DialogInfo {
                version: 9,
                full: true,
                entity: b"sip:1001@abc.com",
                lamp,
                call_id: b"call3-7-1001@abc.com",
            };
            assert_eq!(scan(&body), Some(expected));
        }
    }

    #[test]
    fn documents_of_servers_are_read() {
        let idle = b"<?xml version='1.0'?><dialog-info version='0' state='full' entity='sip:a@b'/>";
        assert_eq!(scan(idle).unwrap().lamp, Lamp::Off);
        let partial = b"<dialog-info entity=\"sip:a@b\" xmlns=\"u\" state=\"partial\" version=\"3\">\
            <dialog id=\"1\"><state event=\"cancelled\">\n terminated </state></dialog></dialog-info>";
        let document = scan(partial).unwrap();
        assert_eq!(
            (document.version, document.full, document.lamp),
            (3, false, Lamp::Off)
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let document = |inside: &str| {
            let text = format!(
                "<dialog-info version=\"1\" state=\"full\" entity=\"sip:a@b\">{inside}</dialog-info>"
            );
            scan(text.as_bytes()).is_some()
        };
        let dialog = "<dialog id=\"1\"><state>early</state></dialog>";
        assert!(document(dialog));
        assert!(!document(
            "<dialog id=\"1\"><state>ringing</state></dialog>"
        ));
        assert!(!document("<dialog id=\"\"><state>early</state></dialog>"));
        assert!(!document("<dialog id=\"1\"></dialog>"));
        for body in [
            b"".as_slice(),
            b"<dialog-info",
            b"<dialog-info state=\"full\">",
            b"x",
        ] {
            assert_eq!(scan(body), None);
        }
    }

    #[test]
    fn of_several_dialogs_the_strongest_counts() {
        let dialog = |id: &str, state: &str| {
            format!("<dialog id=\"{id}\" call-id=\"c{id}\"><state>{state}</state></dialog>")
        };
        let all = ["confirmed", "early", "terminated"].map(|state| dialog(state, state));
        let text = format!(
            "<dialog-info version=\"1\" state=\"full\" entity=\"sip:a@b\">{}</dialog-info>",
            all.concat()
        );
        let document = scan(text.as_bytes()).unwrap();
        assert_eq!(
            (document.lamp, document.call_id),
            (Lamp::Ringing, b"cearly".as_slice())
        );
    }

    #[test]
    fn every_cut_of_a_document_is_survived() {
        let call = PublishedCall {
            address: "1001@abc.com",
            number: 3,
            run: "7",
            version: 9,
            lamp: Lamp::Busy,
        };
        let body = write(&call);
        for end in 0..body.len() - b"</dialog-info>\n".len() {
            assert_eq!(scan(&body[..end]), None);
        }
    }
}
