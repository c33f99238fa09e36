//! The state of a shared line for its phones (W:C10): the value of a Call-Info header with the
//! appearances of the line, and `application/x-broadworks-callpark-info+xml`, the parked call.

use std::io::Write;

use crate::presence::call::{Appearance, CallDialog, Party};
use crate::presence::document::party::ANONYMOUS_PARTY;
use crate::presence::document::xml::write_attribute;
use crate::presence::document::{shown_party, xml};
use crate::presence::policy::Privacy;
use crate::presence::{Aor, Composed};

/// The media type of the parked call.
pub const CONTENT_TYPE: &str = "application/x-broadworks-callpark-info+xml";

/// Appends the value of the Call-Info header: each appearance that is not idle, then `*` for all
/// idle ones (W:C10.1).
pub fn write_appearances(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, privacy: Privacy) {
    for appearance in &composed.extras.appearances {
        write_appearance(out, aor, appearance, privacy);
        out.push(b',');
    }
    write_uri(out, aor);
    out.extend_from_slice(b";appearance-index=*;appearance-state=idle");
}

/// Appends one appearance.
pub fn write_appearance(out: &mut Vec<u8>, aor: &Aor, appearance: &Appearance, privacy: Privacy) {
    write_uri(out, aor);
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        ";appearance-index={};appearance-state={}",
        appearance.index,
        appearance.state.as_str()
    );
    if let Some(party) = &appearance.party
        && privacy >= Privacy::Party
    {
        out.extend_from_slice(b";appearance-uri=\"");
        write_quoted(out, party);
        out.push(b'"');
    }
}

fn write_uri(out: &mut Vec<u8>, aor: &Aor) {
    out.extend_from_slice(b"<sip:");
    out.extend(
        aor.domain()
            .bytes()
            .filter(|octet| !octet.is_ascii_control()),
    );
    out.push(b'>');
}

/// Appends the content of a quoted string (RFC 3261 §25.1).
fn write_quoted(out: &mut Vec<u8>, text: &str) {
    for octet in text.bytes() {
        match octet {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', octet]),
            _ if octet.is_ascii_control() => {}
            _ => out.push(octet),
        }
    }
}

/// Appends the document: the party of the parked call, if there is one (W:C10.4), as far as the
/// watcher is allowed to see it.
pub fn write_call_park(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, privacy: Privacy) {
    out.extend_from_slice(xml::DECLARATION);
    out.extend_from_slice(
        b"<x-broadworks-callpark-info xmlns=\"http://schema.broadsoft.com/callpark\">\n",
    );
    match composed.calls.iter().find(|call| call.is_parked_at(aor)) {
        Some(call) => {
            out.extend_from_slice(b"<callpark>\n<parked>\n");
            write_parked(out, aor, call, privacy);
            out.extend_from_slice(b"</parked>\n</callpark>\n");
        }
        None => out.extend_from_slice(b"<callpark/>\n"),
    }
    out.extend_from_slice(b"</x-broadworks-callpark-info>\n");
}

fn write_parked(out: &mut Vec<u8>, aor: &Aor, call: &CallDialog, privacy: Privacy) {
    let shown = shown_party(call, privacy).filter(|party| !party.identity.is_empty());
    let Party {
        identity, display, ..
    } = shown.unwrap_or(ANONYMOUS_PARTY);
    out.extend_from_slice(b"<identity");
    if !display.is_empty() {
        write_attribute(out, "display", display);
    }
    out.push(b'>');
    xml::write_full_uri(out, aor, identity);
    if !identity.starts_with("tel:") && !identity.contains(';') {
        out.extend_from_slice(b";user=phone");
    }
    out.extend_from_slice(b"</identity>\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
