//! What the operator configured, naively: who may see what, which lists there are, who is in them;
//! and which of it was in force when.
//!
//! The rules: the first policy that matches decides, and where it says to wait, or none matches, what
//! presentities grant; else the default: people of the domain see of
//! each other what the domain says, others see the state alone (W:B3.12, B8.1). Lists unfold depth
//! first, nobody is in one twice (W:B5.12); `any-dn` is every account and whoever is there, for
//! those who may (W:D4); `parked` the orbits in which a call waits.

pub(crate) mod edit;

use std::rc::Rc;

use crate::network::Micros;

/// The domain of the node.
pub(crate) const DOMAIN: &str = "example.com";
/// A domain that nobody here serves.
pub(crate) const ELSEWHERE: &str = "elsewhere.net";

/// What becomes of a subscription, the most generous last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Handling {
    Block,
    Confirm,
    PoliteBlock,
    Allow,
}

/// What the rules make of a watcher of a presentity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) handling: Handling,
    /// 0 to 3.
    pub(crate) privacy: u8,
}

/// Some people of the domain; `Everybody` are also those of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum People {
    Everybody,
    User(String),
    /// Those whose names begin so.
    Prefix(&'static str),
    /// The members of the group.
    Crew,
}

/// Who watches, as a rule puts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    People(People),
    SameDomain,
    SameGroup,
    /// In a list of the presentity's own.
    Listed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) watcher: Condition,
    pub(crate) presentity: People,
    pub(crate) handling: Handling,
    /// None for what would be shown without the rule.
    pub(crate) privacy: Option<u8>,
}

/// What a presentity itself grants a watcher of the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) presentity: String,
    pub(crate) watcher: String,
    pub(crate) handling: Handling,
    /// None when it grants nothing of its own.
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

/// What a list comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfolded {
    /// Users in order; `user@host` for those of another domain.
    pub(crate) members: Vec<String>,
    /// And behind them, whoever is there.
    pub(crate) everybody: bool,
    /// And behind them, the orbits in which a call waits.
    pub(crate) parked: bool,
}

/// One configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Realm {
    pub(crate) privacy: u8,
    /// What becomes of watchers of other domains.
    pub(crate) strangers: Handling,
    pub(crate) rules: Vec<Rule>,
    pub(crate) grants: Vec<Grant>,
    /// Who may watch everybody.
    pub(crate) any_dn: Vec<People>,
    /// The members of the group, which is a list as well.
    pub(crate) crew: Vec<String>,
    pub(crate) lists: Vec<List>,
    /// Accounts by user, in their natural order, with whether they have another number.
    pub(crate) accounts: Vec<(String, bool)>,
    pub(crate) orbits: Vec<String>,
}

/// Who watches.
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
    /// What becomes of a watcher of a user, or of a list.
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

    /// The same of a resource of a list: a rule about the list is one about all of it.
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

    /// The most generous of what a presentity grants (RFC 4745 §10).
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

    /// Whether a watcher may subscribe to a user or a list at all.
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
            People::Everybody => true,
            People::User(name) => name == user,
            People::Prefix(prefix) => user.starts_with(prefix),
            People::Crew => self.crew.iter().any(|member| member == user),
        }
    }

    fn is_by(&self, condition: &Condition, watcher: Watcher<'_>, user: &str) -> bool {
        let is_neighbour = watcher.domain == DOMAIN;
        if is_neighbour && watcher.user == user {
            // Only a rule that names a user locks him out of his own state.
            return *condition == Condition::People(People::User(user.to_owned()));
        }
        match condition {
            Condition::People(People::Everybody) => true,
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

    /// What a list comes to; None when it is none.
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
    /// When the first shard knew it.
    from: Micros,
    /// When the last shard knew the next one.
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

    /// Another is read: by the first shard and by the last one at these times.
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

    /// Those in force on some shard at some time from `from` to `to`.
    pub(crate) fn during(&self, from: Micros, to: Micros) -> impl Iterator<Item = &Realm> + Clone {
        self.epochs
            .iter()
            .filter(move |epoch| epoch.from <= to && epoch.until >= from)
            .map(|epoch| &*epoch.realm)
    }

    /// Whether another was read at some time from `from` to `to`.
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
    fn a_list_unfolds() {
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
                presentity: People::Everybody,
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
    fn two_are_in_force_while_one_is_read() {
        let mut realms = Realms::new(realm());
        realms.change(realm(), 10, 20);
        assert_eq!(realms.during(0, 9).count(), 1);
        assert_eq!(realms.during(15, 15).count(), 2);
        assert_eq!(realms.during(21, 30).count(), 1);
        assert!(realms.changed(5, 12) && realms.changed(15, 30));
        assert!(!realms.changed(0, 9) && !realms.changed(21, 30));
    }
}
