//! A naive model of the configuration: policies, lists and their members, and which configuration
//! was active when.
//!
//! The first policy that matches decides. If it says pending, or none matches, the presentity's own
//! rules decide; otherwise the default: users of the domain see as much of each other as the domain
//! allows, other watchers see only the state (W:B3.12, B8.1). Lists are expanded depth first,
//! without duplicates (W:B5.12); `any-dn` is every account and every user with state, for watchers
//! that may see all (W:D4); `parked` is the orbits with a parked call.

mod connectors;
pub(crate) mod edit;

use std::rc::Rc;

use crate::network::Micros;
use crate::upstream::plan::Settings;

/// The domain of the node.
pub(crate) const DOMAIN: &str = "example.com";
/// A domain that is not served.
pub(crate) const ELSEWHERE: &str = "elsewhere.net";

/// The decision on a subscription, the most permissive last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Handling {
    Block,
    Confirm,
    PoliteBlock,
    Allow,
}

/// The decision on a watcher of a presentity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) handling: Handling,
    /// 0 to 3.
    pub(crate) privacy: u8,
}

/// A set of users of the domain; `Everyone` includes users of other domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum People {
    Everyone,
    User(String),
    /// Users whose names begin with this.
    Prefix(&'static str),
    /// The members of the group.
    Crew,
}

/// The watchers to which a rule applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    People(People),
    SameDomain,
    SameGroup,
    /// In a list owned by the presentity.
    Listed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) watcher: Condition,
    pub(crate) presentity: People,
    pub(crate) handling: Handling,
    /// None for the same privacy as without the rule.
    pub(crate) privacy: Option<u8>,
}

/// A presentity's own rule for a watcher of the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) presentity: String,
    pub(crate) watcher: String,
    pub(crate) handling: Handling,
    /// None if it has no rule of its own.
    pub(crate) privacy: Option<u8>,
}

/// A stored list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) user: &'static str,
    pub(crate) owner: Option<String>,
    /// Users of the domain, other lists, or `user@elsewhere`.
    pub(crate) members: Vec<String>,
}

/// An expanded list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfolded {
    /// Users in order; `user@host` for those of another domain.
    pub(crate) members: Vec<String>,
    /// Whether all users with state follow.
    pub(crate) everybody: bool,
    /// Whether the orbits with a parked call follow.
    pub(crate) parked: bool,
}

/// One configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Realm {
    pub(crate) privacy: u8,
    /// The decision on watchers of other domains.
    pub(crate) strangers: Handling,
    pub(crate) rules: Vec<Rule>,
    pub(crate) grants: Vec<Grant>,
    /// The users who may watch all users.
    pub(crate) any_dn: Vec<People>,
    /// The members of the group, which is a list as well.
    pub(crate) crew: Vec<String>,
    pub(crate) lists: Vec<List>,
    /// Accounts by user, in natural order, and whether they have an alternative number.
    pub(crate) accounts: Vec<(String, bool)>,
    pub(crate) orbits: Vec<String>,
    /// The settings of the connectors.
    pub(crate) connectors: Vec<Settings>,
}

/// A watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watcher<'a> {
    pub(crate) user: &'a str,
    pub(crate) domain: &'a str,
}

impl<'a> Watcher<'a> {
    /// From a URI without parameters.
    pub(crate) fn of(uri: &'a str) -> Option<Self> {
        let (user, domain) = uri.strip_prefix("sip:")?.split_once('@')?;
        Some(Self { user, domain })
    }
}

impl Realm {
    /// The decision on a watcher of a user or of a list.
    pub(crate) fn decide(&self, watcher: Watcher<'_>, user: &str) -> Decision {
        let is_neighbour = watcher.domain == DOMAIN;
        let by_default = Decision {
            handling: match is_neighbour {
                true => Handling::Allow,
                false => self.strangers,
            },
            privacy: match is_neighbour {
                true if watcher.user == user => 3,
                true => self.privacy,
                false => 0,
            },
        };
        let rule = self.rules.iter().find(|rule| {
            self.names(&rule.presentity, user) && self.is_by(&rule.watcher, watcher, user)
        });
        let base = rule.map_or(by_default, |rule| Decision {
            handling: rule.handling,
            privacy: rule.privacy.unwrap_or(by_default.privacy),
        });
        if rule.is_some() && base.handling != Handling::Confirm {
            return base;
        }
        self.granted(watcher, user, base).unwrap_or(base)
    }

    /// The decision on a watcher of a list's resource: a policy for the list applies to the whole
    /// list.
    pub(crate) fn decide_within(
        &self,
        watcher: Watcher<'_>,
        list: Option<&str>,
        user: &str,
    ) -> Decision {
        let decision = self.decide(watcher, user);
        let of_list = list.map(|list| self.decide(watcher, list).handling);
        Decision {
            handling: of_list.map_or(decision.handling, |it| it.min(decision.handling)),
            ..decision
        }
    }

    /// The most permissive of a presentity's own rules (RFC 4745 §10).
    fn granted(&self, watcher: Watcher<'_>, user: &str, base: Decision) -> Option<Decision> {
        let is_other = watcher.domain == DOMAIN && watcher.user != user;
        let grants = || {
            self.grants.iter().filter(|grant| {
                is_other && grant.presentity == user && grant.watcher == watcher.user
            })
        };
        let privacy = grants().filter_map(|grant| grant.privacy).max();
        Some(Decision {
            handling: grants().map(|grant| grant.handling).max()?,
            privacy: privacy.unwrap_or(base.privacy),
        })
    }

    /// Returns whether a watcher may subscribe to a user or a list at all.
    pub(crate) fn admits(&self, watcher: Watcher<'_>, user: &str) -> bool {
        let may_see_all = user != "any-dn"
            || watcher.domain == DOMAIN
                && self
                    .any_dn
                    .iter()
                    .any(|people| self.names(people, watcher.user));
        may_see_all && self.decide(watcher, user).handling != Handling::Block
    }

    fn names(&self, people: &People, user: &str) -> bool {
        match people {
            People::Everyone => true,
            People::User(name) => name == user,
            People::Prefix(prefix) => user.starts_with(prefix),
            People::Crew => self.crew.iter().any(|member| member == user),
        }
    }

    fn is_by(&self, condition: &Condition, watcher: Watcher<'_>, user: &str) -> bool {
        let is_neighbour = watcher.domain == DOMAIN;
        if is_neighbour && watcher.user == user {
            // Only a rule that names a user can lock that user out of its own state.
            return *condition == Condition::People(People::User(user.to_owned()));
        }
        match condition {
            Condition::People(People::Everyone) => true,
            Condition::People(people) => is_neighbour && self.names(people, watcher.user),
            Condition::SameDomain => is_neighbour,
            Condition::SameGroup => {
                let is_in = |user: &str| self.names(&People::Crew, user);
                is_neighbour && is_in(watcher.user) && is_in(user)
            }
            Condition::Listed => {
                self.lists.iter().any(|list| {
                    is_neighbour
                        && list.owner.as_deref() == Some(user)
                        && self.is_in(list.user, watcher.user)
                }) || self.grants.iter().any(|grant| {
                    is_neighbour
                        && grant.presentity == user
                        && grant.watcher == watcher.user
                        && grant.handling == Handling::Allow
                })
            }
        }
    }

    fn is_in(&self, list: &str, user: &str) -> bool {
        let unfolded = self.unfold(list).unwrap_or_default();
        unfolded.members.iter().any(|member| member == user)
    }

    /// The expanded list of that name; None if there is no such list.
    pub(crate) fn unfold(&self, user: &str) -> Option<Unfolded> {
        let mut unfolded = Unfolded::default();
        self.unfold_into(user, &mut unfolded)?;
        Some(unfolded)
    }

    fn unfold_into(&self, user: &str, unfolded: &mut Unfolded) -> Option<()> {
        let members: Vec<String> = match user {
            "any-dn" => {
                unfolded.everybody = true;
                let users = self.accounts.iter().map(|(user, _)| user.clone());
                users.filter(|user| !self.orbits.contains(user)).collect()
            }
            "crew" => self.crew.clone(),
            "orbits" | "parked" if self.orbits.is_empty() => return None,
            "orbits" => self.orbits.clone(),
            "parked" => {
                unfolded.parked = true;
                Vec::new()
            }
            _ => {
                let list = self.lists.iter().find(|list| list.user == user)?;
                list.members.clone()
            }
        };
        for member in members {
            if self.unfold_into(&member, unfolded).is_none() && !unfolded.members.contains(&member)
            {
                unfolded.members.push(member);
            }
        }
        Some(())
    }
}

#[derive(Debug)]
struct Epoch {
    realm: Rc<Realm>,
    /// When the first shard loaded it.
    from: Micros,
    /// When the last shard loaded the next one.
    until: Micros,
}

/// All configurations of a run.
#[derive(Debug)]
pub(crate) struct Realms {
    epochs: Vec<Epoch>,
}

impl Realms {
    pub(crate) fn new(realm: Realm) -> Self {
        let epoch = Epoch {
            realm: Rc::new(realm),
            from: 0,
            until: Micros::MAX,
        };
        Self {
            epochs: vec![epoch],
        }
    }

    /// The newest.
    pub(crate) fn newest(&self) -> &Rc<Realm> {
        &self.epochs[self.epochs.len() - 1].realm
    }

    /// Another configuration is loaded, by the first and by the last shard at these times.
    pub(crate) fn change(&mut self, realm: Realm, first: Micros, last: Micros) {
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.until = last;
        }
        self.epochs.push(Epoch {
            realm: Rc::new(realm),
            from: first,
            until: Micros::MAX,
        });
    }

    /// The configurations that were active on any shard at any time from `from` to `to`.
    pub(crate) fn during(&self, from: Micros, to: Micros) -> impl Iterator<Item = &Realm> + Clone {
        self.epochs
            .iter()
            .filter(move |epoch| epoch.from <= to && epoch.until >= from)
            .map(|epoch| &*epoch.realm)
    }

    /// Returns whether another configuration was loaded from `from` to `to`.
    pub(crate) fn changed(&self, from: Micros, to: Micros) -> bool {
        self.during(from, to).count() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm() -> Realm {
        Realm {
            privacy: 3,
            strangers: Handling::Confirm,
            rules: Vec::new(),
            grants: Vec::new(),
            any_dn: vec![People::Prefix("w")],
            crew: vec!["w1".into(), "100".into()],
            lists: vec![
                List {
                    user: "office",
                    owner: Some("100".into()),
                    members: ["101", "inner", "102", "9@elsewhere.net"]
                        .map(String::from)
                        .into(),
                },
                List {
                    user: "inner",
                    owner: None,
                    members: ["102", "w2", "parked"].map(String::from).into(),
                },
            ],
            accounts: vec![("100".into(), false), ("103".into(), true)],
            orbits: vec!["103".into()],
            connectors: Vec::new(),
        }
    }

    const NEIGHBOUR: Watcher<'static> = Watcher {
        user: "w2",
        domain: DOMAIN,
    };
    const STRANGER: Watcher<'static> = Watcher {
        user: "w2",
        domain: ELSEWHERE,
    };

    #[test]
    fn a_list_is_expanded() {
        let office = realm().unfold("office").unwrap();
        assert_eq!(office.members, ["101", "102", "w2", "9@elsewhere.net"]);
        assert!(office.parked && !office.everybody);
        assert_eq!(realm().unfold("any-dn").unwrap().members, ["100"]);
        assert_eq!(realm().unfold("100"), None);
    }

    #[test]
    fn the_first_rule_decides() {
        let mut realm = realm();
        let decide = |realm: &Realm, watcher| {
            let Decision { handling, privacy } = realm.decide(watcher, "100");
            (handling, privacy)
        };
        assert_eq!(decide(&realm, NEIGHBOUR), (Handling::Allow, 3));
        assert_eq!(decide(&realm, STRANGER), (Handling::Confirm, 0));
        assert!(realm.admits(NEIGHBOUR, "any-dn") && !realm.admits(STRANGER, "any-dn"));
        for (watcher, privacy) in [(Condition::SameGroup, 0), (Condition::Listed, 1)] {
            realm.rules.push(Rule {
                watcher,
                presentity: People::Everyone,
                handling: Handling::PoliteBlock,
                privacy: Some(privacy),
            });
        }
        assert_eq!(decide(&realm, NEIGHBOUR), (Handling::PoliteBlock, 1));
        assert_eq!(decide(&realm, STRANGER), (Handling::Confirm, 0));
        realm.rules[1].handling = Handling::Confirm;
        for (handling, privacy) in [(Handling::Allow, None), (Handling::Block, Some(2))] {
            realm.grants.push(Grant {
                presentity: "100".into(),
                watcher: "w2".into(),
                handling,
                privacy,
            });
        }
        assert_eq!(decide(&realm, NEIGHBOUR), (Handling::Allow, 2));
        assert_eq!(decide(&realm, STRANGER), (Handling::Confirm, 0));
    }

    #[test]
    fn both_realms_are_accepted_during_a_change() {
        let mut realms = Realms::new(realm());
        realms.change(realm(), 10, 20);
        assert_eq!(realms.during(0, 9).count(), 1);
        assert_eq!(realms.during(15, 15).count(), 2);
        assert_eq!(realms.during(21, 30).count(), 1);
        assert!(realms.changed(5, 12) && realms.changed(15, 30));
        assert!(!realms.changed(0, 9) && !realms.changed(21, 30));
    }
}
