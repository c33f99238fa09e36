//! What a new directory would delete from the active one.

use std::fmt;

use crate::directory::Directory;

/// Numbers of deleted domains and accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Domains.
    pub domains: Share,
    /// Accounts.
    pub accounts: Share,
}

/// A part of a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Deleted.
    pub gone: usize,
    /// Total in the active directory.
    pub all: usize,
}

impl Share {
    fn of<'n>(names: impl Iterator<Item = &'n str>, is_gone: impl Fn(&str) -> bool) -> Self {
        let mut share = Self { gone: 0, all: 0 };
        for name in names {
            share.all += 1;
            share.gone += usize::from(is_gone(name));
        }
        share
    }

    const fn is_most(self) -> bool {
        self.gone > self.all / 2
    }
}

impl Removal {
    /// Returns whether more than half of the domains or accounts would be deleted. In that case a
    /// truncated file is more likely than an intended change.
    #[must_use]
    pub const fn is_drastic(&self) -> bool {
        self.domains.is_most() || self.accounts.is_most()
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domains, accounts } = self;
        write!(
            formatter,
            "{} of {} domains and {} of {} accounts",
            domains.gone, domains.all, accounts.gone, accounts.all
        )
    }
}

impl Directory {
    /// Returns what `new` deletes. A domain that becomes an alias does not count as deleted.
    #[must_use]
    pub fn removal(&self, new: &Self) -> Removal {
        self.removal_besides(new, "")
    }

    /// Returns what `new` deletes besides one domain and its accounts, which do not count.
    #[must_use]
    pub fn removal_besides(&self, new: &Self, domain: &str) -> Removal {
        let domains = self.domains.iter().map(|domain| domain.name.as_str());
        let domains = domains.filter(|name| *name != domain);
        let accounts = self.accounts.keys().map(|account| &**account);
        let is_its = |account: &str| account.split_once('@').is_some_and(|(_, of)| of == domain);
        let accounts = accounts.filter(|account| !is_its(account));
        Removal {
            domains: Share::of(domains, |name| new.domain(name).is_none()),
            accounts: Share::of(accounts, |account| !new.accounts.contains_key(account)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::directory::Domain;

    fn directory(domains: &[&str], accounts: &[&str]) -> Directory {
        let mut directory = Directory::default();
        for domain in domains {
            directory.add_domain(Domain::new(domain), &[]).unwrap();
        }
        for account in accounts {
            directory.add_account(account, domains[0], "x").unwrap();
        }
        directory
    }

    #[test]
    fn more_than_half_is_drastic() {
        let old = directory(&["a", "b"], &["1", "2", "3", "4"]);
        let is_drastic = |domains: &[&str], accounts: &[&str]| {
            old.removal(&directory(domains, accounts)).is_drastic()
        };
        assert!(!is_drastic(&["a", "b"], &["1", "2", "3", "4", "5"]));
        assert!(!is_drastic(&["a", "b"], &["3", "4"]));
        assert!(is_drastic(&["a", "b"], &["4"]));
        assert!(is_drastic(&["a", "b"], &["5", "6", "7", "8"]));
        assert!(!is_drastic(&["a"], &["1", "2"]));
        assert!(is_drastic(&[], &[]));
        let removal = old.removal(&Directory::default());
        assert_eq!(removal.to_string(), "2 of 2 domains and 4 of 4 accounts");
        let nothing = Directory::default();
        assert!(!nothing.removal(&old).is_drastic() && !nothing.removal(&nothing).is_drastic());
    }

    #[test]
    fn one_domain_may_be_meant() {
        let mut old = directory(&["a", "b"], &["1", "2"]);
        old.add_account("1", "b", "x").unwrap();
        let without_b = directory(&["a"], &["1", "2"]);
        let removal = old.removal_besides(&without_b, "b");
        assert_eq!(removal.to_string(), "0 of 1 domains and 0 of 2 accounts");
        let removal = old.removal_besides(&Directory::default(), "b");
        assert!(removal.is_drastic());
        assert_eq!(removal.to_string(), "1 of 1 domains and 2 of 2 accounts");
    }

    #[test]
    fn a_domain_that_becomes_an_alias_is_not_gone() {
        let mut new = Directory::default();
        let aliases = ["a".to_owned()];
        new.add_domain(Domain::new("a.example"), &aliases).unwrap();
        let removal = directory(&["a"], &[]).removal(&new);
        assert_eq!(removal.domains, Share { gone: 0, all: 1 });
    }
}
