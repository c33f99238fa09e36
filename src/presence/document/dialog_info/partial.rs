//! Partial documents, which contain only changes (RFC 4235 §4.3), for watchers that accept them.
//!
//! Each subscription remembers what it was last sent. A dialog is written again if its element
//! changed, and written once as terminated when it is no longer shown.

use smallvec::SmallVec;

use crate::presence::document::View;
use crate::presence::document::dialog_info::{shown_calls, shown_id, write_dialog};
use crate::presence::fixed_hash::SipHash13;
use crate::presence::{Aor, Composed};

/// The `id` of a dialog as watchers see it.
type ShownId = [u8; 16];

/// The dialogs that a subscription was last sent: each with its id and a hash of its element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownDialogs(SmallVec<[(ShownId, u64); 2]>);

impl ShownDialogs {
    /// Records what a full document for that view shows. Uses the end of `scratch` and restores it.
    pub fn note_full(&mut self, scratch: &mut Vec<u8>, aor: &Aor, composed: &Composed, view: View) {
        let start = scratch.len();
        self.0.clear();
        for call in shown_calls(aor, composed, view.rendering) {
            write_dialog(scratch, aor, composed, call, view);
            self.0
                .push((shown_id(aor, call), SipHash13::of(&scratch[start..])));
            scratch.truncate(start);
        }
    }
}

/// Appends the changes since `shown`, and the closing tag; `shown` is updated to the current state.
/// Call it after [`super::write_partial_prolog`].
///
/// Meant for views with `all_dialogs`: in a view with one dialog, a dialog that is replaced by
/// another would be written as terminated.
pub fn write_changes(
    out: &mut Vec<u8>,
    aor: &Aor,
    composed: &Composed,
    view: View,
    shown: &mut ShownDialogs,
) {
    let mut current: SmallVec<[(ShownId, u64); 2]> = SmallVec::new();
    for call in shown_calls(aor, composed, view.rendering) {
        let start = out.len();
        write_dialog(out, aor, composed, call, view);
        let dialog = (shown_id(aor, call), SipHash13::of(&out[start..]));
        if shown.0.contains(&dialog) {
            out.truncate(start);
        }
        current.push(dialog);
    }
    for (id, _) in &shown.0 {
        if !current.iter().any(|(other, _)| other == id) {
            out.extend_from_slice(b"<dialog id=\"");
            out.extend_from_slice(id);
            out.extend_from_slice(b"\">\n<state>terminated</state>\n</dialog>\n");
        }
    }
    shown.0 = current;
    out.extend_from_slice(b"</dialog-info>\n");
}
