//! The rules of a presentity's own document (RFC 4745, RFC 5025).

use serde::{Deserialize, Serialize};

use crate::presence::aor::Aor;
use crate::presence::policy::{Handling, Privacy};

/// One rule of a presentity's own document (RFC 4745 §7, RFC 5025), as far as it is supported here.
/// Every condition must hold; of all the rules that match, the most permissive value counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedRule {
    /// Conditions on the watcher: at least one must match. An empty list matches no watcher.
    pub identities: Vec<IdentityCondition>,
    /// How the subscription is handled.
    pub handling: Handling,
    /// How much of the calls is shown; None if the rule grants none.
    pub privacy: Option<Privacy>,
    /// When it becomes valid, in seconds since 1970 UTC. A rule with several intervals becomes several
    /// rules.
    pub valid_from: Option<u64>,
    /// When it ceases to be valid.
    pub valid_until: Option<u64>,
}

/// A condition on the watcher (RFC 4745 §7.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityCondition {
    /// This watcher.
    One(Aor),
    /// Every authenticated watcher.
    Many {
        /// Only those of this domain, in lower case; None for every domain.
        domain: Option<Box<str>>,
        /// Except these.
        except: Vec<Exception>,
    },
    /// Every watcher, authenticated or not: the rule has no `<identity>`.
    Anybody,
}

/// An exception from [`IdentityCondition::Many`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exception {
    /// This watcher.
    One(Aor),
    /// Every watcher of this domain, in lower case.
    Domain(Box<str>),
}

impl ImportedRule {
    /// Returns whether the rule matches a watcher (None if unknown) at a time (seconds since 1970
    /// UTC).
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
    /// Returns whether it matches an authenticated watcher; None stands for a watcher that is not
    /// authenticated.
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
    use super::{Exception, IdentityCondition, ImportedRule};
    use crate::presence::aor::Aor;
    use crate::presence::policy::Handling;

    fn aor(user: &str, domain: &str) -> Aor {
        Aor::new(user, domain)
    }

    /// RFC 4745 §7.1 and §7.3
    #[test]
    fn the_watchers_an_imported_rule_matches() {
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
