//! How much of a presentity's calls a watcher is shown.

use serde::{Deserialize, Serialize};

/// How much of a presentity's calls a watcher is shown (W:B3.12). Each level includes the one
/// before.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Privacy {
    /// State, id and direction only.
    #[default]
    StateOnly,
    /// In addition, that there is another party, as `sip:anonymous@anonymous.invalid`.
    AnonymousParty,
    /// In addition, the other party.
    Party,
    /// In addition, the call's identifiers and targets, which allows pickup.
    Pickup,
}
