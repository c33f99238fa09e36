//! `application/pidf+xml` with the data model and RPID (RFC 3863, 4479, 4480).
//!
//! Written in two pieces like [`super::dialog_info`]: the prolog contains the entity, the rest is
//! shared. Tuples come before the person, and there are no timestamps, so that equal states give
//! equal octets (W:G3, A3.14).
//!
//! What the style of a domain expresses beyond open and closed is in an element of our own
//! namespace, which other clients ignore (W:D2.7): `extended` in `status`, with the tracks of
//! W:D3.2 as its attributes.

pub mod lync;

use crate::presence::call::CallState;
use crate::presence::composition::{Availability, Extended, activity, implied_activity, lamp};
use crate::presence::document::xml::{Element, Name, Space, Visitor, write_escaped};
use crate::presence::document::{Document, DocumentFault, xml};
use crate::presence::profile::Rendering;
use crate::presence::source::RichPresence;
use crate::presence::{Aor, Composed};

/// The media type.
pub const CONTENT_TYPE: &str = "application/pidf+xml";

/// Maximum characters of a note; a longer one is `TooLarge` (RFC 3863 §4).
const NOTE_CHARS_MAX: usize = 1024;
/// Maximum activities read; further ones are ignored.
const ACTIVITIES_MAX: usize = 32;
/// Maximum octets of a contact's URI.
const URI_OCTETS_MAX: usize = 1024;
/// Maximum tuples read; further ones are ignored.
const TUPLES_MAX: usize = 64;

/// The namespace of the extended status.
const EXTENDED_NAMESPACE: &str = "urn:x-lamplighter:extended-status";

/// The note of a presentity in do-not-disturb that has no note of its own (W:D2.14).
const DO_NOT_DISTURB_NOTE: &str = "Do not disturb";

/// The note of a presentity in a call that has no note of its own.
const ON_THE_PHONE_NOTE: &str = "On the phone";

/// The note of a presentity with an unanswered incoming call that has no note of its own.
const RINGING_NOTE: &str = "Ringing";

/// Appends everything up to and including the opening `presence` tag. `entity` is a URI, not yet
/// XML-escaped.
pub fn write_prolog(out: &mut Vec<u8>, rendering: Rendering, entity: &[u8]) {
    out.extend_from_slice(xml::DECLARATION);
    out.extend_from_slice(b"<presence");
    write_namespaces(out, rendering);
    out.extend_from_slice(b" entity=\"");
    write_escaped(out, entity);
    out.extend_from_slice(b"\">\n");
}

/// Appends the namespaces that [`write_pieces`] needs, as attributes.
pub(super) fn write_namespaces(out: &mut Vec<u8>, rendering: Rendering) {
    out.extend_from_slice(b" xmlns=\"urn:ietf:params:xml:ns:pidf\"");
    out.extend_from_slice(b" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\"");
    out.extend_from_slice(b" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"");
    if rendering.legacy_namespaces {
        out.extend_from_slice(b" xmlns:pp=\"urn:ietf:params:xml:ns:pidf:person\"");
        out.extend_from_slice(b" xmlns:ep=\"urn:ietf:params:xml:ns:pidf:rpid:rpid-person\"");
    }
}

/// Appends the tuple, the person with its activities and note, and the closing tag.
pub fn write_state(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, rendering: Rendering) {
    write_pieces(out, aor, composed, rendering);
    out.extend_from_slice(b"</presence>\n");
}

/// An element below the root: its selector (RFC 5261), and the function that appends it, or appends
/// nothing if the state has no such element.
pub(super) type Piece = (&'static str, fn(&mut Vec<u8>, &Aor, &Composed));

/// The pieces of a document, in order.
pub(super) fn pieces(rendering: Rendering) -> impl Iterator<Item = Piece> {
    const PIECES: [Piece; 3] = [
        ("*/tuple", write_tuple),
        ("*/dm:person", write_person),
        ("*/pp:person", write_legacy_person),
    ];
    let count = if rendering.legacy_namespaces { 3 } else { 2 };
    PIECES.into_iter().take(count)
}

/// Appends all pieces.
pub(super) fn write_pieces(
    out: &mut Vec<u8>,
    aor: &Aor,
    composed: &Composed,
    rendering: Rendering,
) {
    for (_, write) in pieces(rendering) {
        write(out, aor, composed);
    }
}

fn write_tuple(out: &mut Vec<u8>, aor: &Aor, composed: &Composed) {
    let basic = if composed.open { "open" } else { "closed" };
    out.extend_from_slice(b"<tuple id=\"t1\">\n<status>\n<basic>");
    out.extend_from_slice(basic.as_bytes());
    out.extend_from_slice(b"</basic>\n");
    if let Some(extended) = composed.extended {
        write_extended(out, extended);
    }
    out.extend_from_slice(b"</status>\n<contact>");
    match &composed.extras.alternative {
        Some(alternative) => xml::write_full_uri(out, aor, alternative),
        None => xml::write_sip_uri(out, aor.user(), aor.domain()),
    }
    out.extend_from_slice(b"</contact>\n");
    write_note(out, "note", note(composed));
    out.extend_from_slice(b"</tuple>\n");
}

fn write_extended(out: &mut Vec<u8>, extended: Extended) {
    out.extend_from_slice(b"<x:extended xmlns:x=\"");
    out.extend_from_slice(EXTENDED_NAMESPACE.as_bytes());
    out.push(b'"');
    if let Extended::Imagicle(tracks) = extended {
        for (name, track) in [("telephony", tracks.telephony), ("rich", tracks.rich)] {
            if let Some(track) = track {
                xml::write_attribute(out, name, track.as_str());
            }
        }
    }
    out.push(b'>');
    out.extend_from_slice(extended.as_str().as_bytes());
    out.extend_from_slice(b"</x:extended>\n");
}

/// The presentity's own note; otherwise its state in words, because softphones show only the note.
fn note(composed: &Composed) -> Option<&str> {
    if let Some(note) = &composed.note {
        return Some(&**note);
    }
    match (composed.availability, lamp(composed)) {
        (Availability::DoNotDisturb, _) => Some(DO_NOT_DISTURB_NOTE),
        (_, CallState::Terminated) => None,
        (_, CallState::Confirmed) => Some(ON_THE_PHONE_NOTE),
        (_, CallState::Trying | CallState::Proceeding | CallState::Early) => Some(RINGING_NOTE),
    }
}

/// The activities in the order in which they are written: first the one that the availability
/// implies. The schema of RFC 4480 lacks `lunch`, which is written as `meal`, and allows `unknown`
/// only as the sole activity.
fn activities(composed: &Composed) -> impl Iterator<Item = &str> {
    let implied = implied_activity(composed);
    let others = composed.activities.iter().map(|name| &**name);
    let is_alone = implied.is_none() && composed.activities.len() == 1;
    let has_meal = others.clone().any(|name| name == "meal");
    let others = others.filter_map(move |name| match name {
        "lunch" => (!has_meal).then_some("meal"),
        "unknown" => is_alone.then_some(name),
        _ => Some(name),
    });
    implied.into_iter().chain(others)
}

fn write_person(out: &mut Vec<u8>, _: &Aor, composed: &Composed) {
    let note = note(composed);
    let has_activities = activities(composed).next().is_some();
    if !has_activities && note.is_none() {
        return;
    }
    out.extend_from_slice(b"<dm:person id=\"p1\">\n");
    if has_activities {
        write_activities(out, "rpid", composed);
    }
    write_note(out, "dm:note", note);
    out.extend_from_slice(b"</dm:person>\n");
}

/// The person again, in the form of the drafts (W:B2.9).
fn write_legacy_person(out: &mut Vec<u8>, _: &Aor, composed: &Composed) {
    if activities(composed).next().is_some() {
        out.extend_from_slice(b"<pp:person>\n<status>\n");
        write_activities(out, "ep", composed);
        out.extend_from_slice(b"</status>\n</pp:person>\n");
    }
}

fn write_activities(out: &mut Vec<u8>, prefix: &str, composed: &Composed) {
    let mut write_tag = |before: &[u8], name: &str, behind: &[u8]| {
        out.extend_from_slice(before);
        out.extend_from_slice(prefix.as_bytes());
        out.push(b':');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(behind);
    };
    write_tag(b"<", "activities", b">\n");
    for name in activities(composed) {
        write_tag(b"<", name, b"/>\n");
    }
    write_tag(b"</", "activities", b">\n");
}

fn write_note(out: &mut Vec<u8>, element: &str, note: Option<&str>) {
    if let Some(note) = note {
        xml::write_text_element(out, element, note);
    }
}

/// Reads a published document. Element order and namespace spelling are not checked (W:G3, B2.9);
/// activities count wherever they occur; of two tuples with one `id` the last counts (RFC 3863 §4).
///
/// # Errors
/// `Malformed` for anything not well-formed, another root, or a `basic` that is neither open nor
/// closed or occurs twice in a tuple; `TooLarge` over a limit.
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    let mut reading = Reading::default();
    xml::read(body, &mut reading)?;
    let Reading {
        entity,
        tuples,
        activities,
        person_note,
        tuple_note,
        alternative,
        ..
    } = reading;
    let open = tuples
        .iter()
        .filter_map(|tuple| tuple.open)
        .reduce(|one, other| one || other);
    Ok(Document::Pidf {
        entity,
        statement: RichPresence {
            open,
            activities,
            note: person_note.or(tuple_note),
            alternative,
        },
    })
}

#[derive(Default)]
struct Reading {
    entity: Option<Box<str>>,
    tuples: Vec<Tuple>,
    /// The tuple being read.
    tuple: Tuple,
    activities: Vec<Box<str>>,
    person_note: Option<Box<str>>,
    tuple_note: Option<Box<str>>,
    alternative: Option<Box<str>>,
}

#[derive(Default)]
struct Tuple {
    id: Box<str>,
    has_basic: bool,
    open: Option<bool>,
}

const ROOT: Name = (Space::Pidf, "presence");
const TUPLE: Name = (Space::Pidf, "tuple");
const STATUS: Name = (Space::Pidf, "status");
const BASIC: Name = (Space::Pidf, "basic");
const CONTACT: Name = (Space::Pidf, "contact");
const ACTIVITIES: Name = (Space::Rpid, "activities");
/// The element of the RPID drafts, with the activity as its text.
const ACTIVITY: Name = (Space::Rpid, "activity");
const NOTE: &str = "note";

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &[
        "presence",
        "tuple",
        "status",
        "basic",
        "contact",
        "activities",
        "activity",
        NOTE,
    ];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        match (parents, element.name) {
            ([], ROOT) => {
                let entity = element.attribute("entity").map(str::trim);
                self.entity = entity.filter(|entity| !entity.is_empty()).map(Box::from);
            }
            ([], _) => return Err(DocumentFault::Malformed),
            ([ROOT], TUPLE) => {
                self.tuple = Tuple {
                    id: element.attribute("id").unwrap_or_default().into(),
                    ..Tuple::default()
                };
            }
            ([.., ACTIVITIES], ACTIVITY | (_, NOTE)) => {}
            ([.., ACTIVITIES], (space, _))
                if space == Space::Rpid || activity::is_do_not_disturb(element.local) =>
            {
                self.activity(element.local);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        match (parents, name) {
            ([ROOT], TUPLE) => self.end_tuple(),
            ([ROOT, TUPLE, STATUS], BASIC) => self.basic(text)?,
            ([ROOT, TUPLE], CONTACT) => self.contact(text.trim()),
            ([.., ACTIVITIES], ACTIVITY) => self.activity(text.trim()),
            ([ROOT, TUPLE, ..], (Space::Pidf, NOTE)) => keep_first(&mut self.tuple_note, text)?,
            (_, (space, NOTE)) if space != Space::Other => keep_first(&mut self.person_note, text)?,
            _ => {}
        }
        Ok(())
    }
}

impl Reading {
    fn end_tuple(&mut self) {
        let tuple = std::mem::take(&mut self.tuple);
        self.tuples
            .retain(|other| other.id.is_empty() || other.id != tuple.id);
        if self.tuples.len() < TUPLES_MAX {
            self.tuples.push(tuple);
        }
    }

    /// Real clients publish `unknown` before their user has declared anything (W:G3): any other
    /// value counts as absent.
    fn basic(&mut self, text: &str) -> Result<(), DocumentFault> {
        let text = text.trim();
        if std::mem::replace(&mut self.tuple.has_basic, true) {
            return Err(DocumentFault::Malformed);
        }
        if text.eq_ignore_ascii_case("open") {
            self.tuple.open = Some(true);
        } else if text.eq_ignore_ascii_case("closed") {
            self.tuple.open = Some(false);
        }
        Ok(())
    }

    /// A telephone number reaches the user without a registrar (W:D2.5). A number that is too long
    /// counts as unknown.
    fn contact(&mut self, uri: &str) {
        let is_number = uri
            .get(..4)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"));
        if is_number && self.alternative.is_none() && uri.len() <= URI_OCTETS_MAX {
            self.alternative = Some(uri.into());
        }
    }

    fn activity(&mut self, name: &str) {
        let is_new = !name.is_empty() && !self.activities.iter().any(|other| **other == *name);
        if is_new && self.activities.len() < ACTIVITIES_MAX {
            self.activities.push(name.into());
        }
    }
}

fn keep_first(note: &mut Option<Box<str>>, text: &str) -> Result<(), DocumentFault> {
    let text = text.trim();
    if text.chars().nth(NOTE_CHARS_MAX).is_some() {
        return Err(DocumentFault::TooLarge);
    }
    if note.is_none() && !text.is_empty() {
        *note = Some(text.into());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
