//! All that an operator has said, in the configuration and by commands, without passwords. One object:
//!
//! | key | each of its elements |
//! |---|---|
//! | `domains` | a name |
//! | `accounts` | `aor`, `name`, `feeder` |
//! | `orbits`, `resources` | `domain`, and its `users` as ranges |
//! | `groups` | `group`, `domain`, `members` |
//! | `lists` | `list`, `name`, `style`, `owner`, `members` with `uri` and `name`; every group is one too |
//! | `policies` | `number`, `domain`, `watcher`, `presentity`, `package`, `handling`, `privacy` |
//! | `profiles` | `name`, `user_agents`, and every key of `[[profile]]`, inherited ones too; the built-in profiles are the last |
//! | `rules` | `aor`, and its `rules` as `lamplighter rules show --json` prints them |
//! | `statements` | `aor`, and `contributions` as in `lamplighter why --json`, those of `lamplighter set` |
//!
//! What has no value is null. Statements that expire say when: `remaining_seconds`. In a domain that is a
//! registrar, what phones registered is theirs, and so is that nothing is registered any more.

use serde_json::{Value, json};

use crate::directory::Domain;
use crate::directory::lists::StoredList;
use crate::directory::user_range::UserRange;
use crate::http::representation::Representation;
use crate::http::representation::list::word;
use crate::http::representation::rules::Rules;
use crate::http::representation::why::contribution_json;
use crate::presence::Aor;
use crate::shard::contract::report::Contribution;

/// See the head of this file. There are no passwords in it.
#[derive(Debug)]
pub(crate) struct Export {
    /// The names of the domains.
    pub(crate) domains: Vec<String>,
    /// Accounts.
    pub(crate) accounts: Vec<Account>,
    /// The park orbits of each domain.
    pub(crate) orbits: Vec<Ranges>,
    /// The resources of each domain.
    pub(crate) resources: Vec<Ranges>,
    /// Groups, see [`configured`](super::configured).
    pub(crate) groups: Vec<Value>,
    /// Policies, see [`configured`](super::configured).
    pub(crate) policies: Vec<Value>,
    /// Profiles, see [`configured`](super::configured).
    pub(crate) profiles: Vec<Value>,
    /// Lists.
    pub(crate) lists: Vec<List>,
    /// Rules of single presentities.
    pub(crate) rules: Vec<Rules>,
    /// Notes and other statements about accounts.
    pub(crate) statements: Vec<Statements>,
}

/// An account.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its address.
    pub(crate) aor: Aor,
    /// Its display name.
    pub(crate) name: Box<str>,
    /// Whether it publishes for its whole domain.
    pub(crate) is_feeder: bool,
}

/// Users of a domain, as they are configured.
#[derive(Debug)]
pub(crate) struct Ranges {
    domain: String,
    users: Vec<String>,
}

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    /// Its address.
    pub(crate) aor: Aor,
    /// The list.
    pub(crate) list: StoredList,
}

/// What the operator said about an address.
#[derive(Debug)]
pub(crate) struct Statements {
    /// The address.
    pub(crate) aor: Aor,
    /// The statements.
    pub(crate) contributions: Vec<Contribution>,
}

impl Representation for Export {
    fn text(&self, _: Option<usize>) -> String {
        format!("{:#}\n", self.json())
    }

    fn json(&self) -> Value {
        json!({
            "domains": self.domains,
            "accounts": self.accounts.iter().map(Account::json).collect::<Vec<_>>(),
            "orbits": ranges_json(&self.orbits),
            "resources": ranges_json(&self.resources),
            "groups": self.groups,
            "policies": self.policies,
            "profiles": self.profiles,
            "lists": self.lists.iter().map(List::json).collect::<Vec<_>>(),
            "rules": self.rules.iter().map(Rules::json).collect::<Vec<_>>(),
            "statements": self.statements.iter().map(Statements::json).collect::<Vec<_>>(),
        })
    }
}

impl Ranges {
    /// These of a domain.
    pub(crate) fn of(domain: &Domain, users: &[UserRange]) -> Self {
        Self {
            domain: domain.name.clone(),
            users: users.iter().map(UserRange::to_string).collect(),
        }
    }
}

fn ranges_json(ranges: &[Ranges]) -> Vec<Value> {
    let ranges = ranges.iter().filter(|it| !it.users.is_empty());
    let json = ranges.map(|it| json!({"domain": it.domain, "users": it.users}));
    json.collect()
}

impl Account {
    fn json(&self) -> Value {
        json!({"aor": self.aor.as_str(), "name": self.name, "feeder": self.is_feeder})
    }
}

impl List {
    fn json(&self) -> Value {
        let Self { aor, list } = self;
        let members = list.members.iter();
        let members = members.map(|member| json!({"uri": member.uri, "name": member.name}));
        json!({
            "list": aor.as_str(),
            "name": list.name,
            "style": word(list.style),
            "owner": list.owner.as_ref().map(Aor::as_str),
            "members": members.collect::<Vec<_>>(),
        })
    }
}

impl Statements {
    fn json(&self) -> Value {
        let contributions = self.contributions.iter().map(contribution_json);
        json!({"aor": self.aor.as_str(), "contributions": contributions.collect::<Vec<_>>()})
    }
}
