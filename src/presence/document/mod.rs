//! Documents: writes composed state for watchers, and reads documents from sources. XML is handled
//! only here.
//!
//! Reading is lenient where real clients need it (W:G3) and strict where it protects the server: no
//! DOCTYPE, limits on size, depth and attributes, linear time (W:E4). Writing is strict, canonical
//! (equal states give equal octets) and allocates nothing.

pub mod call_info;
pub mod deflate;
pub mod dialog_info;
pub mod feature_event;
pub mod list_state;
pub mod message_summary;
pub mod multipart;
pub mod parked_page;
mod party;
pub mod pidf;
pub mod pidf_diff;
pub mod pres_rules;
pub mod reginfo;
pub mod resource_lists;
pub mod rlmi;
pub mod view;
pub mod watcherinfo;
pub mod xml;
pub mod xpidf;

pub use party::shown_party;
pub use view::{Format, View};

use crate::presence::call::CallDialog;
use crate::presence::event::Package;
use crate::presence::registration::ContactEnd;
use crate::presence::source::{Messages, RichPresence};
use crate::presence::{Aor, Composed};

/// The content of a published document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// `application/dialog-info+xml`
    DialogInfo {
        /// The URI of the presentity that the document is about; None if it names none. The caller
        /// compares it (RFC 3863 §4).
        entity: Option<Box<str>>,
        /// `state="full"`: legs that it does not list have ended.
        full: bool,
        /// Its legs, terminated ones included.
        dialogs: Vec<CallDialog>,
    },
    /// `application/pidf+xml`
    Pidf {
        /// The URI of the presentity that the document is about; None if it names none. The caller
        /// compares it (RFC 3863 §4).
        entity: Option<Box<str>>,
        /// The declaration of the client.
        statement: RichPresence,
    },
    /// `application/simple-message-summary`
    Messages {
        /// The mailbox.
        messages: Messages,
    },
    /// `application/reginfo+xml`
    Registrations {
        /// The URI of the user whose contacts they are; None if the document names none.
        entity: Option<Box<str>>,
        /// `state="full"`: contacts that it does not list have ended.
        full: bool,
        /// For each contact its URI, the reason of its end if it ended, and for how many seconds it
        /// is registered if the document says so.
        contacts: Vec<(Box<str>, Option<ContactEnd>, Option<u32>)>,
    },
}

impl Document {
    /// The package whose event state this is.
    #[must_use]
    pub const fn package(&self) -> Package {
        match self {
            Self::DialogInfo { .. } => Package::Dialog,
            Self::Pidf { .. } => Package::Presence,
            Self::Messages { .. } => Package::MessageSummary,
            Self::Registrations { .. } => Package::Reg,
        }
    }

    /// Hides the other party of every call, as requested by the source (RFC 3323; RFC 3325 §9.3).
    pub fn hide_remote_parties(&mut self) {
        if let Self::DialogInfo { dialogs, .. } = self {
            for dialog in dialogs {
                dialog.remote_is_private = true;
            }
        }
    }

    /// The URI of the presentity that the document is about.
    #[must_use]
    pub fn entity(&self) -> Option<&str> {
        match self {
            Self::DialogInfo { entity, .. }
            | Self::Pidf { entity, .. }
            | Self::Registrations { entity, .. } => entity.as_deref(),
            Self::Messages { messages } => messages.account.as_deref(),
        }
    }
}

/// Appends the part of a document that differs for each subscription: everything up to and
/// including the opening tag of the root, if the format has one. `entity` is a URI, not yet
/// XML-escaped (RFC 4235 §4.1).
pub fn write_prolog(out: &mut Vec<u8>, view: View, version: u32, entity: &[u8]) {
    let rendering = view.rendering;
    match view.format {
        Format::DialogInfo => dialog_info::write_prolog(out, version, entity),
        Format::Pidf | Format::CpimPidf => pidf::write_prolog(out, rendering, entity),
        Format::PidfDiff => pidf_diff::write_prolog(out, rendering, version, entity),
        Format::Xpidf => xpidf::write_prolog(out, entity),
        Format::RegInfo => reginfo::write_prolog(out, version),
        Format::MessageSummary
        | Format::WatcherInfo
        | Format::FeatureEvent
        | Format::CallPark
        | Format::Nothing => {}
    }
}

/// Appends the rest, which is shared by all watchers with that view. Appends nothing for
/// [`Format::WatcherInfo`], because watchers are not part of the state; see [`watcherinfo::write`].
pub fn write_state(out: &mut Vec<u8>, view: View, aor: &Aor, composed: &Composed) {
    let rendering = view.rendering;
    match view.format {
        Format::DialogInfo => dialog_info::write_dialogs(out, aor, composed, view),
        Format::Pidf | Format::CpimPidf => pidf::write_state(out, aor, composed, rendering),
        Format::PidfDiff => pidf_diff::write_state(out, aor, composed, rendering),
        Format::Xpidf => xpidf::write_state(out, aor, composed),
        Format::MessageSummary => message_summary::write_state(out, aor, composed, rendering),
        Format::RegInfo => reginfo::write_state(out, aor, composed, view.privacy),
        Format::FeatureEvent => feature_event::write_events(out, composed),
        Format::CallPark => call_info::write_call_park(out, aor, composed, view.privacy),
        Format::WatcherInfo | Format::Nothing => {}
    }
}

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentFault {
    /// Not well-formed, or not a document of its media type: 400.
    Malformed,
    /// A media type that the package does not accept: 415.
    UnsupportedType,
    /// Over a limit (W:E4.3): 413.
    TooLarge,
    /// Its entity is another presentity (RFC 3863 §4): 403.
    WrongEntity,
}

/// The media types accepted in a PUBLISH of the package: the Accept of a 415 (W:B1.14). Empty for a
/// package that cannot be published.
#[must_use]
pub const fn accepted(package: Package) -> &'static str {
    match package {
        Package::Dialog => "application/dialog-info+xml",
        Package::Presence => {
            "application/pidf+xml, application/cpim-pidf+xml, application/xpidf+xml, multipart/related"
        }
        Package::MessageSummary => "application/simple-message-summary",
        Package::Reg => "application/reginfo+xml",
        Package::PresenceWinfo
        | Package::DialogWinfo
        | Package::AsFeatureEvent
        | Package::CallInfo
        | Package::LineSeize => "",
    }
}

/// Reads the body of a PUBLISH of the package. `content_type` is the value of its Content-Type with
/// its parameters. Of a `multipart/related`, the root part is read (RFC 2387; W:B1.14). A UTF-8
/// byte order mark at the start of a body of any type is skipped.
///
/// # Errors
/// `UnsupportedType` for a type that [`accepted`] does not list; see the `parse` of each document
/// for the others. Never `WrongEntity`: the caller decides who may publish for a presentity.
pub fn read(package: Package, content_type: &str, body: &[u8]) -> Result<Document, DocumentFault> {
    read_by(package, content_type, body, dialog_info::parse)
}

/// Reads many bodies. It remembers how documents are written, so that the next one like them takes
/// less time; what is read does not depend on it.
#[derive(Debug, Default)]
pub struct Reader {
    dialog_info: xml::Templates,
}

impl Reader {
    /// Reads a body as [`read`] does.
    ///
    /// # Errors
    /// Those of [`read`].
    pub fn read(
        &mut self,
        package: Package,
        content_type: &str,
        body: &[u8],
    ) -> Result<Document, DocumentFault> {
        read_by(package, content_type, body, |body| {
            dialog_info::parse_by_template(body, &mut self.dialog_info)
        })
    }
}

fn read_by(
    package: Package,
    content_type: &str,
    body: &[u8],
    parse_dialog_info: impl FnOnce(&[u8]) -> Result<Document, DocumentFault>,
) -> Result<Document, DocumentFault> {
    let body = xml::without_byte_order_mark(body);
    let media_type = multipart::media_type(content_type);
    if package == Package::Presence && media_type.eq_ignore_ascii_case("multipart/related") {
        let root = multipart::root(content_type, body)?;
        let media_type = multipart::media_type(root.content_type);
        return read_presence(media_type, root.body);
    }
    let is = |known: &str| media_type.eq_ignore_ascii_case(known);
    match package {
        Package::Presence => read_presence(media_type, body),
        Package::Dialog if is(dialog_info::CONTENT_TYPE) => parse_dialog_info(body),
        Package::MessageSummary if is(message_summary::CONTENT_TYPE) => {
            message_summary::parse(body)
        }
        Package::Reg if is(reginfo::CONTENT_TYPE) => reginfo::parse(body),
        _ => Err(DocumentFault::UnsupportedType),
    }
}

fn read_presence(media_type: &str, body: &[u8]) -> Result<Document, DocumentFault> {
    let is = |known: &str| media_type.eq_ignore_ascii_case(known);
    if is(pidf::CONTENT_TYPE) || is("application/cpim-pidf+xml") {
        pidf::parse(body)
    } else if is(xpidf::CONTENT_TYPE) {
        xpidf::parse(body)
    } else {
        Err(DocumentFault::UnsupportedType)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod outline;

#[cfg(test)]
mod tests {
    use super::{DocumentFault, accepted, read};
    use crate::presence::event::Package;

    #[test]
    fn a_body_is_read_as_what_its_type_says() {
        let dialog_info = br#"<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"/>"#;
        let pidf = br#"<presence xmlns="urn:ietf:params:xml:ns:pidf"/>"#;
        let wrapped = b"--b\r\nContent-Type: Application/PIDF+xml\r\n\r\n\
            <presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>\r\n--b--\r\n";
        let table: [(Package, &str, &[u8], Option<DocumentFault>); 16] = [
            (
                Package::MessageSummary,
                "application/simple-message-summary",
                b"\xef\xbb\xbfMessages-Waiting: no\r\n",
                None,
            ),
            (
                Package::Presence,
                "multipart/related;boundary=b",
                &[&b"\xef\xbb\xbf"[..], wrapped].concat(),
                None,
            ),
            (
                Package::Presence,
                "Application/PIDF+XML;charset=\"UTF-8\"",
                pidf,
                None,
            ),
            (
                Package::Presence,
                "application/xpidf+xml",
                b"<presence/>",
                None,
            ),
            (
                Package::Presence,
                "multipart/related;type=\"application/pidf+xml\";boundary=b",
                wrapped,
                None,
            ),
            (
                Package::Presence,
                "multipart/related;boundary=b",
                b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n",
                Some(DocumentFault::UnsupportedType),
            ),
            (
                Package::Presence,
                "multipart/related",
                wrapped,
                Some(DocumentFault::Malformed),
            ),
            (
                Package::MessageSummary,
                "application/simple-message-summary",
                b"Messages-Waiting: no\r\n",
                None,
            ),
            (
                Package::Dialog,
                "application/dialog-info+xml",
                dialog_info,
                None,
            ),
            (
                Package::Dialog,
                "application/dialog-info+xml",
                pidf,
                Some(DocumentFault::Malformed),
            ),
            (
                Package::Dialog,
                "application/pidf+xml",
                pidf,
                Some(DocumentFault::UnsupportedType),
            ),
            (Package::Presence, "application/pidf+xml", pidf, None),
            (Package::Presence, "application/cpim-pidf+xml", pidf, None),
            (
                Package::Presence,
                "application/pidf+xml",
                dialog_info,
                Some(DocumentFault::Malformed),
            ),
            (
                Package::Presence,
                "application/dialog-info+xml",
                dialog_info,
                Some(DocumentFault::UnsupportedType),
            ),
            (
                Package::Presence,
                "",
                pidf,
                Some(DocumentFault::UnsupportedType),
            ),
        ];
        for (package, content_type, body, fault) in table {
            assert_eq!(
                read(package, content_type, body).err(),
                fault,
                "{package:?} {content_type}"
            );
        }
    }

    #[test]
    fn every_type_that_is_accepted_can_be_read() {
        for package in Package::ALL {
            for content_type in accepted(package).split_terminator(", ") {
                assert_eq!(
                    read(package, content_type, b"").err(),
                    Some(DocumentFault::Malformed),
                    "{content_type}"
                );
            }
        }
    }
}
