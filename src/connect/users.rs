//! Which users a connector reports on.

use std::rc::Rc;

use crate::background::Shards;
use crate::directory::connectors::Connector;
use crate::presence::Aor;

/// Octets of a user name that is looked at.
const USER_OCTETS_MAX: usize = 128;

/// Decides which users of the domain a connector reports on.
pub(super) trait Users {
    /// Whether this is one of them: a user, or an orbit.
    fn has(&self, user: &str) -> bool;
}

/// The users that the configuration selects, and the orbits of the domain. It follows the directory in force.
pub(super) struct SelectedUsers {
    shards: Rc<dyn Shards>,
    connector: Connector,
}

impl SelectedUsers {
    pub(super) fn new(connector: &Connector, shards: Rc<dyn Shards>) -> Self {
        Self {
            shards,
            connector: connector.clone(),
        }
    }

    /// Those that the configuration names, for as many as that is known.
    pub(super) fn named(&self) -> Vec<Box<str>> {
        let (users, domain) = (&self.connector.users, &self.connector.domain);
        let ranges = users.ranges.iter().flat_map(|range| range.users());
        let mut named: Vec<Box<str>> = ranges.map(Into::into).collect();
        if users.accounts {
            let directory = self.shards.directory();
            named.extend(directory.accounts_in(domain).map(|aor| aor.user().into()));
        }
        named
    }
}

impl Users for SelectedUsers {
    fn has(&self, user: &str) -> bool {
        let (users, domain) = (&self.connector.users, &self.connector.domain);
        if user.is_empty() || user.len() > USER_OCTETS_MAX {
            return false;
        }
        if users.on_demand || users.lists(user) {
            return true;
        }
        let directory = self.shards.directory();
        let aor = Aor::new(user, domain);
        let is_account = || users.accounts && directory.account(aor.as_str()).is_some();
        is_account() || directory.is_orbit(&aor)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Users;

    /// The users from 100 to 199, and the orbits from 700 to 709.
    #[derive(Debug)]
    pub(in crate::connect) struct Numbers;

    impl Users for Numbers {
        fn has(&self, user: &str) -> bool {
            let number = user.parse().unwrap_or(0);
            matches!(number, 100..=199 | 700..=709)
        }
    }
}
