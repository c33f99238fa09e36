//! `application/xpidf+xml` (W:B1.14, B2.11, C2.2, C2.6): the predecessor of PIDF, for old Polycom
//! phones and MSN-style clients.
//!
//! It has no namespace. It has a DOCTYPE, which is written because those phones expect it, and
//! ignored when read. It can express a status with three values and a second status with seven.

use crate::presence::composition::Availability;
use crate::presence::composition::activity::ON_THE_PHONE;
use crate::presence::document::xml::{Element, Name, Space, Visitor, write_escaped};
use crate::presence::document::{Document, DocumentFault, xml};
use crate::presence::source::RichPresence;
use crate::presence::{Aor, Composed};

/// The media type.
pub const CONTENT_TYPE: &str = "application/xpidf+xml";

/// Maximum addresses read; further ones are ignored.
const ADDRESSES_MAX: usize = 64;
/// Maximum characters of a note; a longer one is truncated.
const NOTE_CHARS_MAX: usize = 1024;

/// Appends everything up to and including the presentity. `entity` is a URI, not yet XML-escaped.
pub fn write_prolog(out: &mut Vec<u8>, entity: &[u8]) {
    out.extend_from_slice(xml::DECLARATION);
    out.extend_from_slice(
        b"<!DOCTYPE presence PUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\">\n",
    );
    out.extend_from_slice(b"<presence>\n<presentity uri=\"");
    write_escaped(out, entity);
    out.extend_from_slice(b";method=SUBSCRIBE\"/>\n");
}

/// Appends the rest.
pub fn write_state(out: &mut Vec<u8>, aor: &Aor, composed: &Composed) {
    let (status, substatus) = status(composed);
    out.extend_from_slice(b"<atom id=\"a1\">\n<address uri=\"");
    xml::write_sip_uri(out, aor.user(), aor.domain());
    out.extend_from_slice(b";user=ip\" priority=\"0.800000\">\n<status status=\"");
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(b"\"/>\n<msnsubstatus substatus=\"");
    out.extend_from_slice(substatus.as_bytes());
    out.extend_from_slice(b"\"/>\n</address>\n</atom>\n</presence>\n");
}

/// `status` and `msnsubstatus`. A call on hold is `closed`, which makes the lamp blink (W:C2.6).
fn status(composed: &Composed) -> (&'static str, &'static str) {
    let call = composed.calls.first();
    let is_held = call.is_some_and(|call| call.local().rendering == Some(false));
    match composed.availability {
        Availability::DoNotDisturb => ("closed", "busy"),
        Availability::Ringing | Availability::Busy if is_held => ("closed", "onthephone"),
        Availability::Ringing | Availability::Busy if call.is_some() => ("inuse", "onthephone"),
        Availability::Ringing | Availability::Busy => ("inuse", "busy"),
        Availability::Away if composed.open => ("open", "away"),
        _ if composed.open => ("open", "online"),
        _ => ("closed", "offline"),
    }
}

/// Reads a published document (W:B1.14).
///
/// # Errors
/// `Malformed` for anything not well-formed or another root; `TooLarge` over a limit.
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    let mut reading = Reading::default();
    xml::read(body, &mut reading)?;
    Ok(Document::Pidf {
        entity: reading.entity,
        statement: reading.statement,
    })
}

#[derive(Default)]
struct Reading {
    entity: Option<Box<str>>,
    addresses: usize,
    /// Applies the `msnsubstatus` of the address that is being read.
    has_substatus: bool,
    is_in_use: bool,
    statement: RichPresence,
}

const ROOT: Name = (Space::Other, "presence");
const PRESENTITY: Name = (Space::Other, "presentity");
const ATOM: Name = (Space::Other, "atom");
const ADDRESS: Name = (Space::Other, "address");
const STATUS: Name = (Space::Other, "status");
const SUBSTATUS: Name = (Space::Other, "msnsubstatus");
const NOTE: Name = (Space::Other, "note");

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &[
        "presence",
        "presentity",
        "atom",
        "address",
        "status",
        "msnsubstatus",
        "note",
    ];
    const ALLOWS_EXTERNAL_DOCTYPE: bool = true;

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        match (parents, element.name) {
            ([], ROOT) => {}
            ([], _) => return Err(DocumentFault::Malformed),
            ([ROOT], PRESENTITY) => {
                let uri = element.attribute("uri").unwrap_or_default();
                let uri = uri.split(';').next().unwrap_or_default().trim();
                self.entity = (!uri.is_empty()).then(|| uri.into());
            }
            ([ROOT, ATOM], ADDRESS) => {
                self.addresses += 1;
                self.has_substatus = false;
                self.is_in_use = false;
            }
            ([ROOT, ATOM, ADDRESS], STATUS) if self.addresses <= ADDRESSES_MAX => {
                self.status(element.attribute("status").unwrap_or_default());
            }
            ([ROOT, ATOM, ADDRESS], SUBSTATUS) if self.addresses <= ADDRESSES_MAX => {
                self.substatus(element.attribute("substatus").unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        match (parents, name) {
            ([ROOT, ATOM], ADDRESS) if self.is_in_use && !self.has_substatus => self.does("busy"),
            ([ROOT, ATOM, ..], NOTE) if self.statement.note.is_none() => {
                self.statement.note = xml::name(text, NOTE_CHARS_MAX).map(Box::from);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Reading {
    fn status(&mut self, word: &str) {
        let open = match word.trim() {
            "open" => true,
            "inuse" => {
                self.is_in_use = true;
                true
            }
            "closed" => false,
            _ => return,
        };
        // Open if any address is open.
        self.statement.open = Some(open || self.statement.open == Some(true));
    }

    fn substatus(&mut self, word: &str) {
        let activity = match word.trim() {
            "onthephone" => ON_THE_PHONE,
            "busy" => "busy",
            "away" | "berightback" => "away",
            "outtolunch" => "lunch",
            _ => return,
        };
        self.has_substatus = true;
        self.does(activity);
    }

    fn does(&mut self, activity: &str) {
        let activities = &mut self.statement.activities;
        if !activities.iter().any(|known| **known == *activity) {
            activities.push(activity.into());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
