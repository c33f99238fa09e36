//! How much of a presentity's calls a watcher is shown.

/// How much of a presentity's calls a watcher is shown (W:B3.12). Each level adds to the one
/// before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Privacy {
    /// State, id and direction only.
    #[default]
    StateOnly,
    /// In addition, that there is another party: `sip:anonymous@anonymous.invalid`.
    AnonymousParty,
    /// In addition, who the other party is.
    Party,
    /// In addition, the call's identifiers and targets: pickup is possible.
    Pickup,
}
