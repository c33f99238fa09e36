//! Who may see what (RFC 5025; W:B8): the outcome of the rules for one watcher of one presentity.

use crate::presence::subscription::Privacy;

/// What becomes of a subscription (RFC 5025 §3.2), the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Handling {
    /// Refused.
    Block,
    /// It waits until somebody decides.
    Confirm,
    /// It is told a state that says nothing and never changes.
    PoliteBlock,
    /// It is told the state.
    #[default]
    Allow,
}

/// What the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What becomes of the subscription.
    pub handling: Handling,
    /// How much of the calls it is shown.
    pub privacy: Privacy,
    /// Which rule said so, for `watchers`: the place in the configuration counted from 1, 0 for the
    /// domain's default.
    pub rule: u16,
}
