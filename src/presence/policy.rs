//! Who may see what (RFC 5025; W:B8): the rules, and their outcome for one watcher of one
//! presentity.
//!
//! A rule here is a value that can be asked whether it names somebody. Which rules there are, and
//! which goes first, `directory` knows.

use crate::presence::Aor;
use crate::presence::subscription::Package;
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
    pub const NOTHING: Self = Self {
        handling: Handling::Allow,
        privacy: Privacy::StateOnly,
        rule: Self::BY_DEFAULT,
    };
}

/// One rule of the operator (`[[policy]]`). The first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its place in the configuration, from 1.
    pub number: u16,
    /// Who watches.
    pub watcher: WatcherCondition,
    /// Who is watched.
    pub presentity: People,
    /// The package; None for those that everybody may ask for (see [`is_private`]).
    pub package: Option<Package>,
    /// What becomes of the subscription.
    pub handling: Handling,
    /// How much of the calls is shown; None for what would be shown without this rule.
    pub privacy: Option<Privacy>,
    /// The rule in a few words, for `watchers`.
    pub text: Box<str>,
}

/// A condition on who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatcherCondition {
    /// The presentity itself. No other condition but its very name matches it.
    Myself,
    /// They share a group.
    SameGroup,
    /// They share a domain.
    SameDomain,
    /// The presentity has the watcher in a list of its own, or lets it in by a rule of its own that
    /// names it.
    Listed,
    /// A peer whose address is trusted.
    Trusted,
    /// One of these.
    People(People),
}

/// Some people of a domain, or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum People {
    /// Everybody.
    Everybody,
    /// The members of a group of the rule's domain.
    Group(Box<str>),
    /// One, or those whose names begin alike.
    Named(Pattern),
}

/// `100@abc.com`, `7*@abc.com`, `*@abc.com`: a star at the end of the user stands for any rest. Any
/// other star is a letter, as in `*71`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The user, or how it begins.
    user: Box<str>,
    /// Whether anything may follow.
    is_prefix: bool,
    /// The domain, canonical.
    domain: Box<str>,
}

impl Pattern {
    /// From a user that may end with a star, and a canonical domain.
    #[must_use]
    pub fn new(user: &str, domain: &str) -> Self {
        let prefix = user.strip_suffix('*');
        Self {
            user: prefix.unwrap_or(user).into(),
            is_prefix: prefix.is_some(),
            domain: domain.into(),
        }
    }

    /// Whether it names him.
    #[must_use]
    pub fn matches(&self, aor: &Aor) -> bool {
        let user = aor.user();
        let is_user = if self.is_prefix {
            user.starts_with(&*self.user)
        } else {
            user == &*self.user
        };
        is_user && aor.domain() == &*self.domain
    }

    /// Whether it names him and nobody else.
    #[must_use]
    pub fn is_only(&self, aor: &Aor) -> bool {
        !self.is_prefix && self.matches(aor)
    }
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

impl ImportedRule {
    /// Whether it is about a watcher (None: nobody knows who) at a time (seconds since 1970 UTC).
    /// `is_authenticated` says whether the watcher proved who he is.
    #[must_use]
    pub fn matches(&self, watcher: Option<&Aor>, is_authenticated: bool, at: u64) -> bool {
        let is_valid = self.valid_from.is_none_or(|from| from <= at)
            && self.valid_until.is_none_or(|until| at < until);
        let watcher = watcher.filter(|_| is_authenticated);
        is_valid
            && self
                .identities
                .iter()
                .any(|condition| condition.matches(watcher))
    }
}

impl IdentityCondition {
    /// Whether it names a watcher who proved who he is; None for one who did not.
    fn matches(&self, watcher: Option<&Aor>) -> bool {
        match (self, watcher) {
            (Self::Anybody, _) => true,
            (_, None) => false,
            (Self::One(aor), Some(watcher)) => aor == watcher,
            (Self::Many { domain, except }, Some(watcher)) => {
                domain
                    .as_deref()
                    .is_none_or(|domain| domain == watcher.domain())
                    && !except.iter().any(|exception| exception.matches(watcher))
            }
        }
    }
}

impl Exception {
    fn matches(&self, watcher: &Aor) -> bool {
        match self {
            Self::One(aor) => aor == watcher,
            Self::Domain(domain) => &**domain == watcher.domain(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aor(user: &str, domain: &str) -> Aor {
        Aor::new(user, domain)
    }

    /// A star is a wildcard at the end alone: `*71` is a number that phones dial.
    #[test]
    fn who_a_pattern_names() {
        let table = [
            ("100", "100", true),
            ("100", "1000", false),
            ("7*", "7", true),
            ("7*", "709", true),
            ("7*", "17", false),
            ("*71", "*71", true),
            ("*71", "071", false),
            ("*7*", "*75", true),
            ("*7*", "75", false),
            ("*", "anybody", true),
        ];
        for (pattern, user, names) in table {
            let pattern = Pattern::new(pattern, "abc.com");
            assert_eq!(
                pattern.matches(&aor(user, "abc.com")),
                names,
                "{pattern:?} {user}"
            );
            assert!(!pattern.matches(&aor(user, "xyz.com")));
        }
        assert!(Pattern::new("*71", "a").is_only(&aor("*71", "a")));
        assert!(!Pattern::new("71*", "a").is_only(&aor("71", "a")));
    }

    /// RFC 4745 §7.1 and §7.3
    #[test]
    fn whom_an_imported_rule_is_about() {
        let rule = |identity: IdentityCondition| ImportedRule {
            identities: vec![identity],
            handling: Handling::Allow,
            privacy: None,
            valid_from: Some(100),
            valid_until: Some(200),
        };
        let (bob, eve) = (aor("bob", "abc.com"), aor("eve", "xyz.com"));
        let one = rule(IdentityCondition::One(bob.clone()));
        let many = |domain: Option<&str>, except: Vec<Exception>| {
            rule(IdentityCondition::Many {
                domain: domain.map(Into::into),
                except,
            })
        };
        let table = [
            (&one, Some(&bob), true, true),
            (&one, Some(&eve), true, false),
            (&one, Some(&bob), false, false),
            (&one, None, false, false),
            (&many(None, Vec::new()), Some(&eve), true, true),
            (&many(None, Vec::new()), Some(&eve), false, false),
            (&many(Some("abc.com"), Vec::new()), Some(&bob), true, true),
            (&many(Some("abc.com"), Vec::new()), Some(&eve), true, false),
            (
                &many(None, vec![Exception::One(bob.clone())]),
                Some(&bob),
                true,
                false,
            ),
            (
                &many(None, vec![Exception::One(bob.clone())]),
                Some(&eve),
                true,
                true,
            ),
            (
                &many(None, vec![Exception::Domain("xyz.com".into())]),
                Some(&eve),
                true,
                false,
            ),
            (&rule(IdentityCondition::Anybody), None, false, true),
        ];
        for (rule, watcher, is_authenticated, names) in table {
            assert_eq!(
                rule.matches(watcher, is_authenticated, 150),
                names,
                "{rule:?} {watcher:?} {is_authenticated}"
            );
        }
        let at = |at| one.matches(Some(&bob), true, at);
        assert_eq!(
            (at(99), at(100), at(199), at(200)),
            (false, true, true, false)
        );
        let nobody = ImportedRule {
            identities: Vec::new(),
            ..one.clone()
        };
        assert!(!nobody.matches(Some(&bob), true, 150));
    }
}
