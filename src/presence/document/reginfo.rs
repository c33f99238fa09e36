//! `application/reginfo+xml` (RFC 3680): the registered contacts of a user.
//!
//! Contacts reveal where devices are, so only watchers with full privacy rights see them (W:B9.4);
//! all other watchers see whether there is one.

use std::io::Write;

use smallvec::SmallVec;

use crate::presence::document::xml::{Element, Name, Space, Visitor};
use crate::presence::document::{Document, DocumentFault, xml};
use crate::presence::policy::Privacy;
use crate::presence::registration::{
    ContactEnd, ContactEvent, EndedContact, RegisteredContact, URI_OCTETS_MAX,
};
use crate::presence::{Aor, Composed};

/// The media type.
pub const CONTENT_TYPE: &str = "application/reginfo+xml";

/// Maximum contacts read from a document; further ones are ignored.
const CONTACTS_MAX: usize = 64;

/// Appends everything up to and including the opening `reginfo` tag.
pub fn write_prolog(out: &mut Vec<u8>, version: u32) {
    out.extend_from_slice(xml::DECLARATION);
    // Writing to a Vec cannot fail.
    let _ = writeln!(
        out,
        "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"{version}\" state=\"full\">"
    );
}

/// The contacts that a subscription was last sent as registered, by `id`.
#[derive(Debug, Default)]
pub struct ShownContacts(SmallVec<[u64; 2]>);

/// Appends the registration with its contacts, and the closing tag.
pub fn write_state(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, privacy: Privacy) {
    write_since(
        out,
        aor,
        composed,
        privacy,
        &mut ShownContacts(SmallVec::new()),
    );
}

/// Like [`write_state`], for a watcher that was sent contacts before: those that have ended since
/// are written once, as terminated, with the event that ended them (RFC 3680 §5.1). `shown` is
/// updated to the current contacts.
pub fn write_since(
    out: &mut Vec<u8>,
    aor: &Aor,
    composed: &Composed,
    privacy: Privacy,
    shown: &mut ShownContacts,
) {
    let (contacts, ended) = (&composed.extras.contacts, &composed.extras.ended_contacts);
    let state = match (contacts.is_empty(), shown.0.is_empty()) {
        (false, _) => "active",
        (true, false) => "terminated",
        (true, true) => "init",
    };
    out.extend_from_slice(b"<registration aor=\"");
    xml::write_sip_uri(out, aor.user(), aor.domain());
    let _ = writeln!(out, "\" id=\"r1\" state=\"{state}\">");
    if privacy >= Privacy::Pickup {
        for contact in contacts {
            write_contact(out, contact);
        }
        for contact in ended.iter().filter(|ended| shown.0.contains(&ended.id)) {
            write_ended(out, contact);
        }
    }
    out.extend_from_slice(b"</registration>\n</reginfo>\n");
    shown.0.clear();
    shown.0.extend(contacts.iter().map(|contact| contact.id));
}

fn write_contact(out: &mut Vec<u8>, contact: &RegisteredContact) {
    let (id, name) = (contact.id, event(contact.event));
    let _ = write!(
        out,
        "<contact id=\"c{id}\" state=\"active\" event=\"{name}\""
    );
    // The only event that needs an expiry (RFC 3680 §5.2).
    if let ContactEvent::Shortened { expires } = contact.event {
        let _ = write!(out, " expires=\"{expires}\"");
    }
    out.extend_from_slice(b">\n");
    xml::write_text_element(out, "uri", &contact.uri);
    out.extend_from_slice(b"</contact>\n");
}

fn write_ended(out: &mut Vec<u8>, contact: &EndedContact) {
    let (id, name) = (contact.id, end_event(contact.end));
    let _ = writeln!(
        out,
        "<contact id=\"c{id}\" state=\"terminated\" event=\"{name}\">"
    );
    xml::write_text_element(out, "uri", &contact.uri);
    out.extend_from_slice(b"</contact>\n");
}

const fn event(event: ContactEvent) -> &'static str {
    match event {
        ContactEvent::Registered => "registered",
        ContactEvent::Refreshed => "refreshed",
        ContactEvent::Shortened { .. } => "shortened",
    }
}

const fn end_event(end: ContactEnd) -> &'static str {
    match end {
        ContactEnd::Expired => "expired",
        ContactEnd::Deactivated => "deactivated",
        ContactEnd::Unregistered => "unregistered",
        ContactEnd::Rejected => "rejected",
    }
}

/// The reason why a contact ended, for an event reported by a registrar. After `probation` the
/// phone is expected to register again later; the time of that is not passed on.
fn end_of(event: &str) -> ContactEnd {
    match event {
        "expired" => ContactEnd::Expired,
        "deactivated" | "probation" => ContactEnd::Deactivated,
        "rejected" => ContactEnd::Rejected,
        _ => ContactEnd::Unregistered,
    }
}

/// Reads a published document: the contacts of its first registration. The missing `state` of a
/// document is read as full, that of a contact as active; contacts of a terminated registration
/// have ended.
///
/// # Errors
/// `Malformed` for anything not well-formed, another root, or a contact without a URI; `TooLarge`
/// over a limit.
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    let mut reading = Reading::default();
    xml::read(body, &mut reading)?;
    Ok(Document::Registrations {
        entity: reading.entity,
        full: !reading.is_partial,
        contacts: reading.contacts,
    })
}

#[derive(Default)]
struct Reading {
    entity: Option<Box<str>>,
    is_partial: bool,
    contacts: Vec<ReadContact>,
    /// The number of registrations begun so far.
    registrations: usize,
    /// Whether the registration being read is terminated.
    is_over: bool,
    /// The contact being read.
    contact: ReadContact,
}

/// The URI of a contact, the reason of its end if it ended, and for how many seconds it is
/// registered.
type ReadContact = (Box<str>, Option<ContactEnd>, Option<u32>);

const ROOT: Name = (Space::RegInfo, "reginfo");
const REGISTRATION: Name = (Space::RegInfo, "registration");
const CONTACT: Name = (Space::RegInfo, "contact");
const URI: Name = (Space::RegInfo, "uri");

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &["reginfo", "registration", "contact", "uri"];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        let is = |attribute, value: &str| {
            let written = element.attribute(attribute).unwrap_or_default();
            written.trim().eq_ignore_ascii_case(value)
        };
        match (parents, element.name) {
            ([], ROOT) => self.is_partial = is("state", "partial"),
            ([], _) => return Err(DocumentFault::Malformed),
            ([ROOT], REGISTRATION) => {
                self.registrations += 1;
                if self.registrations == 1 {
                    self.is_over = is("state", "terminated");
                    let aor = element.attribute("aor").unwrap_or_default().trim();
                    self.entity = (!aor.is_empty()).then(|| aor.into());
                }
            }
            ([ROOT, REGISTRATION], CONTACT) => {
                let is_over = self.is_over || is("state", "terminated");
                let event = element.attribute("event").unwrap_or_default();
                let end = is_over.then(|| end_of(event.trim()));
                let expires = element.attribute("expires");
                let expires = expires.and_then(|seconds| seconds.trim().parse().ok());
                self.contact = (Box::default(), end, expires);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        match (parents, name) {
            ([ROOT, REGISTRATION, CONTACT], URI) => {
                let uri = text.trim();
                if uri.len() > URI_OCTETS_MAX {
                    return Err(DocumentFault::TooLarge);
                }
                self.contact.0 = uri.into();
            }
            ([ROOT, REGISTRATION], CONTACT) => {
                let contact = std::mem::take(&mut self.contact);
                if contact.0.is_empty() {
                    return Err(DocumentFault::Malformed);
                }
                if self.registrations == 1 && self.contacts.len() < CONTACTS_MAX {
                    self.contacts.push(contact);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
