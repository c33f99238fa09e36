//! `application/pidf+xml` with the data model and RPID (RFC 3863, 4479, 4480; W:B2).
//!
//! Written in two pieces like [`super::dialog_info`]: the prolog carries the entity, the rest is shared.

use crate::presence::Aor;
use crate::presence::Composed;
use crate::presence::document::Document;
use crate::presence::document::DocumentFault;

/// The media type.
pub const CONTENT_TYPE: &str = "application/pidf+xml";

/// Appends everything up to and including the opening `presence` tag.
pub fn write_prolog(out: &mut Vec<u8>, entity: &[u8]) {
    todo!()
}

/// Appends the tuple, the person with its activities and note, and the closing tag.
pub fn write_state(out: &mut Vec<u8>, aor: &Aor, composed: &Composed) {
    todo!()
}

/// Reads a published document. Lenient about element order and namespace spelling (W:G3, B2.9).
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    todo!()
}
