//! Documents: how composed state reads for a watcher, and what a source's document says. The only
//! home of XML.
//!
//! Reading is lenient where real clients are (W:G3) and strict where it protects: no DOCTYPE,
//! bounded size, depth and attribute count, linear time (W:E4). Writing is strict, canonical (the
//! same state gives the same octets) and allocates nothing.

pub mod deflate;
pub mod dialog_info;
pub mod multipart;
pub mod pidf;
pub mod resource_lists;
pub mod rlmi;
pub mod view;
pub mod xml;

pub use view::Format;
pub use view::View;

use crate::presence::Aor;
use crate::presence::Composed;
use crate::presence::call::CallDialog;
use crate::presence::contribution::Statement;
use crate::presence::messages::Messages;
use crate::presence::subscription::Package;

/// A published document, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// `application/dialog-info+xml`
    DialogInfo {
        /// Whom the document says it is about, a URI; None when it does not say. The caller
        /// compares (W:E4.8).
        entity: Option<Box<str>>,
        /// `state="full"`: legs it does not name are over.
        full: bool,
        /// Its legs, terminated ones included.
        dialogs: Vec<CallDialog>,
    },
    /// `application/pidf+xml`
    Pidf {
        /// Whom the document says it is about, a URI; None when it does not say. The caller
        /// compares (W:E4.8).
        entity: Option<Box<str>>,
        /// What it says.
        statement: Statement,
    },
    /// `application/simple-message-summary`
    Messages {
        /// The mailbox.
        messages: Messages,
    },
    /// `application/reginfo+xml`
    Registrations {
        /// Whose registrations they are, a URI; None when the document does not say.
        entity: Option<Box<str>>,
        /// `state="full"`: contacts it does not name are gone.
        full: bool,
        /// Each contact's URI, whether it is registered, and for how many seconds when the document
        /// says so.
        contacts: Vec<(Box<str>, bool, Option<u32>)>,
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

    /// The other party of every call is to be told to nobody: its source asked for that (RFC 3323;
    /// W:B9.2).
    pub fn hide_remote_parties(&mut self) {
        if let Self::DialogInfo { dialogs, .. } = self {
            for dialog in dialogs {
                dialog.remote_is_private = true;
            }
        }
    }

    /// Whom the document says it is about.
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

/// Appends the part of a document that is its subscription's own: everything up to and including
/// the root's opening tag. `entity` is a URI, not yet XML-escaped (W:C0.8).
pub fn write_prolog(out: &mut Vec<u8>, view: View, version: u32, entity: &[u8]) {
    match view.format {
        Format::DialogInfo => dialog_info::write_prolog(out, version, entity),
        Format::Pidf | Format::CpimPidf => pidf::write_prolog(out, entity),
        _ => {}
    }
}

/// Appends the rest, which all watchers with that view share.
pub fn write_state(out: &mut Vec<u8>, view: View, aor: &Aor, composed: &Composed) {
    match view.format {
        Format::DialogInfo => dialog_info::write_dialogs(out, aor, composed, view),
        Format::Pidf | Format::CpimPidf => pidf::write_state(out, aor, composed),
        _ => {}
    }
}

/// Why a document cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentFault {
    /// Not well-formed, or not the document its type says: 400.
    Malformed,
    /// A media type this package does not take: 415.
    UnsupportedType,
    /// Over a limit (W:E4.3): 413.
    TooLarge,
    /// About somebody else (W:E4.8): 403.
    WrongEntity,
}

/// The media types a PUBLISH of the package may carry: the Accept of a 415 (W:B1.14).
#[must_use]
pub const fn accepted(package: Package) -> &'static str {
    match package {
        Package::Dialog => "application/dialog-info+xml",
        Package::Presence => "application/pidf+xml, application/cpim-pidf+xml",
        _ => "",
    }
}

/// Reads the body of a PUBLISH of the package. `content_type` is `kind/subtype` in lower case,
/// without parameters.
///
/// # Errors
/// `UnsupportedType` for a type that [`accepted`] does not list; see [`dialog_info::parse`] and
/// [`pidf::parse`] for the others. Never `WrongEntity`: who publishes for whom is the caller's to
/// judge.
pub fn read(package: Package, content_type: &str, body: &[u8]) -> Result<Document, DocumentFault> {
    match (package, content_type) {
        (Package::Dialog, dialog_info::CONTENT_TYPE) => dialog_info::parse(body),
        (Package::Presence, pidf::CONTENT_TYPE | "application/cpim-pidf+xml") => pidf::parse(body),
        _ => Err(DocumentFault::UnsupportedType),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod outline;

#[cfg(test)]
mod tests {
    use super::DocumentFault;
    use super::accepted;
    use super::read;
    use crate::presence::subscription::Package;

    #[test]
    fn a_body_is_read_as_what_its_type_says() {
        let dialog_info = br#"<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"/>"#;
        let pidf = br#"<presence xmlns="urn:ietf:params:xml:ns:pidf"/>"#;
        let table: [(Package, &str, &[u8], Option<DocumentFault>); 8] = [
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
