//! `application/dialog-info+xml` (RFC 4235; W:B3, C0).
//!
//! A body is written in two pieces: the prolog differs per subscription (version, entity as the
//! phone wrote it), the rest is the same octets for every watcher with the same privacy view, so it
//! is rendered once per change.
//!
//! Exactly one `dialog` is written, the one a lamp should show, for many phones read no further
//! than the first (W:B3.15, C0.3). Its `id` is a digest that stays the same for the life of the
//! call and tells nothing.

use std::io::Write;

use sha2::Digest;
use sha2::Sha256;

use crate::presence::Aor;
use crate::presence::Composed;
use crate::presence::call::CallDialog;
use crate::presence::call::CallState;
use crate::presence::call::Direction;
use crate::presence::call::Party;
use crate::presence::document::Document;
use crate::presence::document::DocumentFault;
use crate::presence::document::xml;
use crate::presence::document::xml::Element;
use crate::presence::document::xml::Name;
use crate::presence::document::xml::Space;
use crate::presence::document::xml::Visitor;
use crate::presence::document::xml::write_escaped;
use crate::presence::subscription::Privacy;

/// The media type.
pub const CONTENT_TYPE: &str = "application/dialog-info+xml";

/// Dialogs of a document that are read; the others are passed over (W:E4.7).
const DIALOGS_MAX: usize = 50;
/// Octets of an `id`, Call-ID, tag or URI.
const NAME_OCTETS_MAX: usize = 1024;
/// Characters of a display name; what is more is cut.
const DISPLAY_CHARS_MAX: usize = 256;

/// Who is shown when somebody may not be (W:B3.12).
const ANONYMOUS_URI: &str = "sip:anonymous@anonymous.invalid";
const ANONYMOUS_DISPLAY: &str = "Anonymous";

/// Appends everything up to and including the opening `dialog-info` tag. `entity` is a URI, not yet
/// XML-escaped (W:C0.8).
pub fn write_prolog(out: &mut Vec<u8>, version: u32, entity: &[u8]) {
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.extend_from_slice(b"<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"");
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{version}");
    out.extend_from_slice(b"\" state=\"full\" entity=\"");
    write_escaped(out, entity);
    out.extend_from_slice(b"\">\n");
}

/// Appends the rest: exactly one `dialog` element (W:C0.3), the idle one when there is no call
/// (W:C0.2), and the closing tag.
pub fn write_dialogs(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, privacy: Privacy) {
    match composed.calls.first() {
        Some(call) => write_dialog(out, aor, call, privacy),
        None => {
            out.extend_from_slice(b"<dialog id=\"idle\">\n<state>terminated</state>\n</dialog>\n")
        }
    }
    out.extend_from_slice(b"</dialog-info>\n");
}

/// Child order as in the schema: state, local, remote (W:B3.11).
fn write_dialog(out: &mut Vec<u8>, aor: &Aor, call: &CallDialog, privacy: Privacy) {
    out.extend_from_slice(b"<dialog id=\"");
    out.extend_from_slice(&shown_id(aor, call));
    out.push(b'"');
    let keys = [
        ("call-id", &call.call_id),
        ("local-tag", &call.local_tag),
        ("remote-tag", &call.remote_tag),
    ];
    // A phone that picks up needs all three (W:C0.7).
    if privacy >= Privacy::Pickup && keys.iter().all(|(_, value)| !value.is_empty()) {
        for (name, value) in keys {
            write_attribute(out, name, value);
        }
    }
    match call.direction {
        Some(Direction::Initiator) => write_attribute(out, "direction", "initiator"),
        Some(Direction::Recipient) => write_attribute(out, "direction", "recipient"),
        None => {}
    }
    out.extend_from_slice(b">\n<state>");
    out.extend_from_slice(call.lamp_state().as_str().as_bytes());
    out.extend_from_slice(b"</state>\n");
    if privacy >= Privacy::AnonymousParty {
        write_local(out, aor, &call.local, privacy);
        write_remote(out, aor, call, privacy);
    }
    out.extend_from_slice(b"</dialog>\n");
}

/// Identity and target are both the address that is watched (W:C0.5, B9.4): not the device, which
/// is nobody's business.
fn write_local(out: &mut Vec<u8>, aor: &Aor, party: &Party, privacy: Privacy) {
    out.extend_from_slice(b"<local>\n<identity");
    if privacy >= Privacy::Party && !party.display.is_empty() {
        write_attribute(out, "display", &party.display);
    }
    out.push(b'>');
    xml::write_sip_uri(out, aor.user(), aor.domain());
    out.extend_from_slice(b"</identity>\n<target uri=\"");
    xml::write_sip_uri(out, aor.user(), aor.domain());
    if party.rendering == Some(false) {
        out.extend_from_slice(b"\">\n<param pname=\"+sip.rendering\" pval=\"no\"/>\n</target>\n");
    } else {
        out.extend_from_slice(b"\"/>\n");
    }
    out.extend_from_slice(b"</local>\n");
}

fn write_remote(out: &mut Vec<u8>, aor: &Aor, call: &CallDialog, privacy: Privacy) {
    let party = &call.remote;
    let is_shown = privacy >= Privacy::Party && !call.remote_is_private;
    let shows_target =
        privacy >= Privacy::Pickup && !call.remote_is_private && !party.target.is_empty();
    if is_shown && party.identity.is_empty() && !shows_target {
        return;
    }
    out.extend_from_slice(b"<remote>\n");
    if !is_shown {
        out.extend_from_slice(b"<identity");
        write_attribute(out, "display", ANONYMOUS_DISPLAY);
        out.push(b'>');
        out.extend_from_slice(ANONYMOUS_URI.as_bytes());
        out.extend_from_slice(b"</identity>\n");
    } else if !party.identity.is_empty() {
        out.extend_from_slice(b"<identity");
        if !party.display.is_empty() {
            write_attribute(out, "display", &party.display);
        }
        out.push(b'>');
        write_full_uri(out, aor, &party.identity);
        out.extend_from_slice(b"</identity>\n");
    }
    if shows_target {
        out.extend_from_slice(b"<target uri=\"");
        write_full_uri(out, aor, &party.target);
        out.extend_from_slice(b"\"/>\n");
    }
    out.extend_from_slice(b"</remote>\n");
}

/// Appends a party's URI, always a full one: a bare number or a URI without a host breaks phones
/// (W:C0.5).
fn write_full_uri(out: &mut Vec<u8>, aor: &Aor, uri: &str) {
    const SCHEMES: [&str; 5] = ["sip", "sips", "tel", "pres", "im"];
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| {
        SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    }) {
        write_escaped(out, uri.as_bytes());
    } else if uri.contains('@') {
        out.extend_from_slice(b"sip:");
        write_escaped(out, uri.as_bytes());
    } else {
        xml::write_sip_uri(out, uri, aor.domain());
    }
}

fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    write_escaped(out, value.as_bytes());
    out.push(b'"');
}

/// The `id` that watchers see: 16 hexadecimal digits of a digest over what does not change while
/// the call lives.
fn shown_id(aor: &Aor, call: &CallDialog) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digest = Sha256::new();
    for part in [aor.as_str(), &call.id, &call.call_id] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    std::array::from_fn(|index| {
        let octet = digest[index / 2];
        DIGITS[usize::from(if index % 2 == 0 {
            octet >> 4
        } else {
            octet & 0xf
        })]
    })
}

/// Reads a published document. A missing `version`, `state` (taken as full) or `entity` is
/// tolerated, `receiver` is taken as `recipient`, a dialog without a state we know is passed over,
/// of two with one `id` the last counts (W:E4.7).
///
/// # Errors
/// `Malformed` for anything not well-formed, another root, or a dialog without an `id`; `TooLarge`
/// over a limit.
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    let mut reading = Reading {
        entity: None,
        full: true,
        dialogs: Vec::new(),
        dialog: None,
    };
    xml::read(body, &mut reading)?;
    Ok(Document::DialogInfo {
        entity: reading.entity,
        full: reading.full,
        dialogs: reading.dialogs,
    })
}

struct Reading {
    entity: Option<Box<str>>,
    full: bool,
    dialogs: Vec<CallDialog>,
    /// The one being read.
    dialog: Option<Draft>,
}

/// A dialog whose state may not be known yet.
struct Draft {
    dialog: CallDialog,
    state: Option<CallState>,
}

const ROOT: Name = (Space::DialogInfo, "dialog-info");
const DIALOG: Name = (Space::DialogInfo, "dialog");
const STATE: Name = (Space::DialogInfo, "state");
const LOCAL: Name = (Space::DialogInfo, "local");
const REMOTE: Name = (Space::DialogInfo, "remote");
const IDENTITY: Name = (Space::DialogInfo, "identity");
const TARGET: Name = (Space::DialogInfo, "target");
const PARAM: Name = (Space::DialogInfo, "param");

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &[
        "dialog-info",
        "dialog",
        "state",
        "local",
        "remote",
        "identity",
        "target",
        "param",
    ];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        match (parents, element.name) {
            ([], ROOT) => self.start_document(element),
            ([], _) => return Err(DocumentFault::Malformed),
            ([ROOT], DIALOG) => self.dialog = self.start_dialog(element)?,
            (&[ROOT, DIALOG, side], IDENTITY) => {
                if let Some(party) = self.party(side) {
                    party.display = element
                        .attribute("display")
                        .map(display)
                        .unwrap_or_default();
                }
            }
            (&[ROOT, DIALOG, side], TARGET) => {
                if let Some(party) = self.party(side) {
                    party.target = element.attribute("uri").map(uri).unwrap_or_default();
                }
            }
            (&[ROOT, DIALOG, side, TARGET], PARAM) => self.param(side, element),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        match (parents, name) {
            ([ROOT], DIALOG) => self.end_dialog(),
            ([ROOT, DIALOG], STATE) => {
                if let Some(draft) = &mut self.dialog {
                    draft.state = state(text);
                }
            }
            (&[ROOT, DIALOG, side], IDENTITY) => {
                if let Some(party) = self.party(side) {
                    party.identity = uri(text);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Reading {
    fn start_document(&mut self, root: &Element<'_>) {
        self.entity = root
            .attribute("entity")
            .map(str::trim)
            .filter(|entity| !entity.is_empty())
            .map(Box::from);
        self.full = !root
            .attribute("state")
            .is_some_and(|state| state.trim().eq_ignore_ascii_case("partial"));
    }

    fn start_dialog(&self, element: &Element<'_>) -> Result<Option<Draft>, DocumentFault> {
        let name = |attribute| {
            let value = element.attribute(attribute).unwrap_or_default().trim();
            if value.len() <= NAME_OCTETS_MAX {
                Ok(Box::from(value))
            } else {
                Err(DocumentFault::TooLarge)
            }
        };
        let id: Box<str> = name("id")?;
        if id.is_empty() {
            return Err(DocumentFault::Malformed);
        }
        let is_new = !self.dialogs.iter().any(|dialog| dialog.id == id);
        if is_new && self.dialogs.len() >= DIALOGS_MAX {
            return Ok(None);
        }
        let dialog = CallDialog {
            id,
            call_id: name("call-id")?,
            local_tag: name("local-tag")?,
            remote_tag: name("remote-tag")?,
            direction: element.attribute("direction").and_then(direction),
            state: CallState::Terminated,
            local: Party::default(),
            remote: Party::default(),
            remote_is_private: false,
        };
        Ok(Some(Draft {
            dialog,
            state: None,
        }))
    }

    fn end_dialog(&mut self) {
        let Some(Draft {
            mut dialog,
            state: Some(state),
        }) = self.dialog.take()
        else {
            return;
        };
        dialog.state = state;
        self.dialogs.retain(|other| other.id != dialog.id);
        self.dialogs.push(dialog);
    }

    fn party(&mut self, side: Name) -> Option<&mut Party> {
        let dialog = &mut self.dialog.as_mut()?.dialog;
        match side {
            LOCAL => Some(&mut dialog.local),
            REMOTE => Some(&mut dialog.remote),
            _ => None,
        }
    }

    /// The schema says `pval`, Asterisk and FreeSWITCH write `pvalue` (W:B3.9).
    fn param(&mut self, side: Name, element: &Element<'_>) {
        let is_rendering = element
            .attribute("pname")
            .is_some_and(|name| name.trim() == "+sip.rendering");
        let value = element
            .attribute("pval")
            .or_else(|| element.attribute("pvalue"));
        let rendering = value
            .map(|value| value.trim().trim_matches('"'))
            .and_then(|value| match value {
                "no" => Some(false),
                "yes" => Some(true),
                _ => None,
            });
        if is_rendering && let Some(party) = self.party(side) {
            party.rendering = rendering;
        }
    }
}

fn direction(text: &str) -> Option<Direction> {
    match text.trim() {
        "initiator" => Some(Direction::Initiator),
        "recipient" | "receiver" => Some(Direction::Recipient),
        _ => None,
    }
}

fn state(text: &str) -> Option<CallState> {
    const STATES: [CallState; 5] = [
        CallState::Trying,
        CallState::Proceeding,
        CallState::Early,
        CallState::Confirmed,
        CallState::Terminated,
    ];
    STATES
        .into_iter()
        .find(|state| text.trim().eq_ignore_ascii_case(state.as_str()))
}

/// A URI that is too long to be one is unknown.
fn uri(text: &str) -> Box<str> {
    let text = text.trim();
    if text.len() <= NAME_OCTETS_MAX {
        text.into()
    } else {
        Box::default()
    }
}

fn display(text: &str) -> Box<str> {
    let text = text.trim();
    text.char_indices()
        .nth(DISPLAY_CHARS_MAX)
        .map_or(text, |(end, _)| &text[..end])
        .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
