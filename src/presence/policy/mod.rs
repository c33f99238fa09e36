//! Who may see what (RFC 5025; W:B8): the rules, and their outcome for one watcher of one
//! presentity.
//!
//! A rule here is a value that can be asked whether it matches a watcher. The directory knows which
//! rules there are and which of them goes first.

mod deciding_rule;
mod imported_rule;
mod privacy;
mod rule;

pub use deciding_rule::DecidingRule;
pub use imported_rule::Exception;
pub use imported_rule::IdentityCondition;
pub use imported_rule::ImportedRule;
pub use privacy::Privacy;
pub use rule::Pattern;
pub use rule::People;
pub use rule::Policy;
pub use rule::WatcherCondition;

use crate::presence::event::Package;

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
    /// Which rule said so, for `watchers`: the place in the configuration counted from 1;
    /// [`Decision::BY_DEFAULT`], [`Decision::BY_DOCUMENT`].
    pub rule: u16,
}

impl Decision {
    /// No rule spoke.
    pub const BY_DEFAULT: u16 = 0;
    /// The presentity's own document spoke ([`ImportedRule`]).
    pub const BY_DOCUMENT: u16 = u16::MAX;

    /// All, without a rule: where the rules of each resource decide.
    pub const ALLOW: Self = Self {
        handling: Handling::Allow,
        privacy: Privacy::Pickup,
        rule: Self::BY_DEFAULT,
    };
    /// Nothing, without a rule: nobody is there to be decided about.
    pub const STATE_ONLY: Self = Self {
        handling: Handling::Allow,
        privacy: Privacy::StateOnly,
        rule: Self::BY_DEFAULT,
    };
}

/// Whether a package is its presentity's own affair (W:B4.4, C9): without a rule that names the
/// package, others than itself and trusted peers are refused.
#[must_use]
pub const fn is_private(package: Package) -> bool {
    match package {
        Package::PresenceWinfo | Package::DialogWinfo | Package::AsFeatureEvent | Package::Reg => {
            true
        }
        Package::Dialog
        | Package::Presence
        | Package::MessageSummary
        | Package::CallInfo
        | Package::LineSeize => false,
    }
}
