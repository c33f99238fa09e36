//! A subscription to one dialog instead of all dialogs of a presentity (RFC 4235 §3.2).

use serde::{Deserialize, Serialize};

use crate::presence::call::CallDialog;

/// The dialog that an Event header identifies. Identifiers that the header does not give are empty
/// and match any dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecificDialog {
    /// `call-id`
    pub call_id: Box<str>,
    /// `to-tag`: the tag of the presentity's end.
    pub local_tag: Box<str>,
    /// `from-tag`: the tag of the other end.
    pub remote_tag: Box<str>,
}

impl SpecificDialog {
    /// Returns whether `call` is that dialog. A tag that the source of the call does not know
    /// matches any tag.
    pub(crate) fn matches(&self, call: &CallDialog) -> bool {
        let is_compatible =
            |named: &str, known: &str| named.is_empty() || known.is_empty() || named == known;
        (self.call_id.is_empty() || *self.call_id == *call.call_id())
            && is_compatible(&self.local_tag, call.local_tag())
            && is_compatible(&self.remote_tag, call.remote_tag())
    }
}
