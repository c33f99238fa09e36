//! The other party of a call, as far as a watcher is shown it (W:B3.12): the one rule for all
//! documents that name one.

use crate::presence::call::{ANONYMOUS, CallDialog, Party};
use crate::presence::policy::Privacy;

/// A party that is hidden from the watcher.
pub(super) const ANONYMOUS_PARTY: Party<'static> = Party {
    identity: ANONYMOUS,
    display: "Anonymous",
    target: "",
    rendering: None,
};

/// The other party of a call as a watcher is shown it: identity and display name as its source
/// reported them, or those of an anonymous party. None if not even its existence is shown.
#[must_use]
pub fn shown_party(call: &CallDialog, privacy: Privacy) -> Option<Party<'_>> {
    if privacy < Privacy::AnonymousParty {
        None
    } else if privacy < Privacy::Party || call.remote_is_private {
        Some(ANONYMOUS_PARTY)
    } else {
        Some(call.remote())
    }
}
