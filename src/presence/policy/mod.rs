//! Authorisation (RFC 5025): the rules, and their outcome for one watcher of one presentity.
//!
//! A rule here is a value that can tell whether it matches a watcher. The directory holds the rules
//! and their order.

mod deciding_rule;
mod imported_rule;
mod privacy;
mod rule;

pub use deciding_rule::DecidingRule;
pub use imported_rule::{Exception, IdentityCondition, ImportedRule};
pub use privacy::Privacy;
pub use rule::{Pattern, People, Policy, WatcherCondition};

use serde::{Deserialize, Serialize};

use crate::presence::event::Package;

/// How a subscription is handled (RFC 5025 §3.2), the weakest handling first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Handling {
    /// Refused.
    Block,
    /// It stays pending until a decision is made.
    Confirm,
    /// It is notified of a neutral state that never changes.
    PoliteBlock,
    /// It is notified of the state.
    #[default]
    Allow,
}

/// The outcome of the rules for one watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// How the subscription is handled.
    pub handling: Handling,
    /// How much of the calls the watcher is shown.
    pub privacy: Privacy,
    /// The rule that decided, for the command `watchers`: its position in the configuration, from
    /// 1; [`Decision::BY_DEFAULT`] or [`Decision::BY_DOCUMENT`].
    pub rule: u16,
}

impl Decision {
    /// No rule matched.
    pub const BY_DEFAULT: u16 = 0;
    /// A rule of the presentity's own document matched ([`ImportedRule`]).
    pub const BY_DOCUMENT: u16 = u16::MAX;

    /// Everything is shown, without a rule: for a list, because the rules of each resource decide.
    pub const ALLOW: Self = Self {
        handling: Handling::Allow,
        privacy: Privacy::Pickup,
        rule: Self::BY_DEFAULT,
    };
    /// Allowed, but only the state is shown, without a rule: for a resource that has no rules of
    /// its own.
    pub const STATE_ONLY: Self = Self {
        handling: Handling::Allow,
        privacy: Privacy::StateOnly,
        rule: Self::BY_DEFAULT,
    };
}

/// Returns whether a package is private to its presentity (RFC 3857 §4.6, §4.10; W:C9): unless a
/// rule names the package, only the presentity itself and trusted peers can subscribe to it.
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
