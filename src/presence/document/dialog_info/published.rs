//! A document as a source publishes it: one call and its state, without the other party.

use crate::presence::call::CallState;
use crate::presence::document::dialog_info::write_prolog;
use crate::presence::document::xml;

/// Appends a whole document about `entity`, a URI that is not yet XML-escaped, with one call of that
/// `id` and state.
pub fn write_call(out: &mut Vec<u8>, version: u32, entity: &str, (id, state): (&str, CallState)) {
    write_prolog(out, version, entity.as_bytes());
    out.extend_from_slice(b"<dialog");
    xml::write_attribute(out, "id", id);
    out.extend_from_slice(b">\n<state>");
    out.extend_from_slice(state.as_str().as_bytes());
    out.extend_from_slice(b"</state>\n</dialog>\n</dialog-info>\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::presence::document::{Document, dialog_info};

    #[test]
    fn what_is_published_reads_back() {
        let mut out = Vec::new();
        write_call(&mut out, 7, "sip:a&b@c", ("x\"y", CallState::Early));
        let Document::DialogInfo {
            entity,
            full,
            dialogs,
        } = dialog_info::parse(&out).unwrap()
        else {
            unreachable!()
        };
        assert_eq!((entity.as_deref(), full), (Some("sip:a&b@c"), true));
        assert_eq!(dialogs.len(), 1);
        assert_eq!(
            (dialogs[0].id(), dialogs[0].state),
            ("x\"y", CallState::Early)
        );
    }
}
