//! Documents: how composed state reads for a watcher, and what a source's document says. The only home of XML.
//!
//! Reading is lenient where real clients are (W:G3) and strict where it protects: no DOCTYPE, bounded size, depth and attribute
//! count, linear time (W:E4). Writing is strict, canonical (the same state gives the same octets) and allocates nothing.

pub mod dialog_info;
pub mod pidf;
pub mod xml;

use crate::presence::call::CallDialog;
use crate::presence::contribution::Statement;

/// A published document, read.
#[derive(Clone, Debug)]
pub enum Document {
    /// `application/dialog-info+xml`
    DialogInfo {
        /// `state="full"`: legs it does not name are over.
        full: bool,
        /// Its legs, terminated ones included.
        dialogs: Vec<CallDialog>,
    },
    /// `application/pidf+xml`
    Pidf(Statement),
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
