//! `application/dialog-info+xml` (RFC 4235; W:B3, C0).
//!
//! A body is written in two pieces: the prolog differs per subscription (version, entity as the phone wrote it), the rest is
//! the same octets for every watcher with the same privacy view, so it is rendered once per change.

use crate::presence::Aor;
use crate::presence::Composed;
use crate::presence::document::Document;
use crate::presence::document::DocumentFault;
use crate::presence::subscription::Privacy;

/// The media type.
pub const CONTENT_TYPE: &str = "application/dialog-info+xml";

/// Appends everything up to and including the opening `dialog-info` tag. `entity` is a URI, not yet XML-escaped (W:C0.8).
pub fn write_prolog(out: &mut Vec<u8>, version: u32, entity: &[u8]) {
    todo!()
}

/// Appends the rest: exactly one `dialog` element (W:C0.3), the idle one when there is no call (W:C0.2), and the closing tag.
pub fn write_dialogs(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, privacy: Privacy) {
    todo!()
}

/// Reads a published document.
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    todo!()
}
