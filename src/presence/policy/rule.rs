//! The operator's rules (`[[policy]]`).

use crate::presence::aor::Aor;
use crate::presence::event::Package;
use crate::presence::policy::{Handling, Privacy};

/// One rule of the operator (`[[policy]]`). The first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its position in the configuration, from 1.
    pub number: u16,
    /// The watchers to which the rule applies.
    pub watcher: WatcherCondition,
    /// The presentities to which the rule applies.
    pub presentity: People,
    /// The package; None for every package that is not private, see
    /// [`crate::presence::policy::is_private`].
    pub package: Option<Package>,
    /// How the subscription is handled.
    pub handling: Handling,
    /// How much of the calls is shown; None for as much as without this rule.
    pub privacy: Option<Privacy>,
    /// The rule in a few words, for the command `watchers`.
    pub text: Box<str>,
}

impl WatcherCondition {
    /// In the words of the configuration.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Myself => "self".to_owned(),
            Self::SameGroup => "same-group".to_owned(),
            Self::SameDomain => "same-domain".to_owned(),
            Self::Listed => "listed".to_owned(),
            Self::Trusted => "trusted".to_owned(),
            Self::People(People::Everyone) => "anyone".to_owned(),
            Self::People(people) => people.text(),
        }
    }
}

impl People {
    /// In the words of the configuration, with the domain of a user.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Everyone => "*".to_owned(),
            Self::Group(name) => name.to_string(),
            Self::Named(pattern) => {
                let star = if pattern.is_prefix { "*" } else { "" };
                format!("{}{star}@{}", pattern.user, pattern.domain)
            }
        }
    }
}

/// A condition on the watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatcherCondition {
    /// The presentity itself, which otherwise only a condition with its exact name matches.
    Myself,
    /// Watcher and presentity share a group.
    SameGroup,
    /// Watcher and presentity share a domain.
    SameDomain,
    /// The watcher is in a list that the presentity owns, or one of the presentity's imported rules
    /// allows it by name.
    Listed,
    /// A peer that is trusted, by its address or its certificate.
    Trusted,
    /// A watcher among these people.
    People(People),
}

/// Some users of a domain, or every user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum People {
    /// Every user.
    Everyone,
    /// The members of a group of the rule's domain.
    Group(Box<str>),
    /// One user, or all whose names have the same prefix.
    Named(Pattern),
}

/// `100@abc.com`, `7*@abc.com`, `*@abc.com`: a star at the end of the user matches any rest. Any
/// other star is an ordinary character, as in `*71`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The user, or its prefix.
    user: Box<str>,
    /// Whether it is a prefix.
    is_prefix: bool,
    /// The canonical domain.
    domain: Box<str>,
}

impl Pattern {
    /// Makes a pattern from a user that may end with a star, and a canonical domain.
    #[must_use]
    pub fn new(user: &str, domain: &str) -> Self {
        let prefix = user.strip_suffix('*');
        Self {
            user: prefix.unwrap_or(user).into(),
            is_prefix: prefix.is_some(),
            domain: domain.into(),
        }
    }

    /// Returns whether it matches `aor`.
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

    /// Returns whether it matches `aor` and no other address.
    #[must_use]
    pub fn is_only(&self, aor: &Aor) -> bool {
        !self.is_prefix && self.matches(aor)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::presence::aor::Aor;

    fn aor(user: &str, domain: &str) -> Aor {
        Aor::new(user, domain)
    }

    /// A star is a wildcard only at the end: `*71` is a number that phones dial.
    #[test]
    fn the_users_a_pattern_matches() {
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
}
