//! Who may see what (RFC 5025; W:B8): the outcome of the rules for one watcher of one presentity.

use crate::presence::Aor;
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

/// One rule of a presentity's own document (RFC 4745 §7, RFC 5025), as far as we act on it. Every
/// condition must hold; of all the rules that match, the most generous word counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedRule {
    /// The watchers it is about: one of these must match. An empty list matches nobody.
    pub identities: Vec<IdentityCondition>,
    /// What becomes of the subscription.
    pub handling: Handling,
    /// How much of the calls is shown; None when the rule grants nothing of its own.
    pub privacy: Option<Privacy>,
    /// From when on it holds, in seconds since 1970 UTC. A rule of several intervals is several
    /// rules.
    pub valid_from: Option<u64>,
    /// When it ceases to hold.
    pub valid_until: Option<u64>,
}

/// A condition on who watches (RFC 4745 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityCondition {
    /// Him.
    One(Aor),
    /// Everybody who proved who he is.
    Many {
        /// Of that domain alone, lower case; None for every domain.
        domain: Option<Box<str>>,
        /// But for these.
        except: Vec<Exception>,
    },
    /// Everybody, known or not: the rule has no `<identity>`.
    Anybody,
}

/// Who is left out of [`IdentityCondition::Many`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exception {
    /// Him.
    One(Aor),
    /// Everybody of that domain, lower case.
    Domain(Box<str>),
}
