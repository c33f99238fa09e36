//! Random configurations, the operator's edits to them, and their form in the product's types.

use std::sync::Arc;
use std::time::Duration;

use lamplighter::directory::lists::StoredList;
use lamplighter::directory::user_range::UserRange;
use lamplighter::directory::{AuthMode, Details, Directory, Domain};
use lamplighter::presence::event::list::{ListStyle, Member};
use lamplighter::presence::policy::{
    IdentityCondition, ImportedRule, Pattern, Policy, Privacy, WatcherCondition,
};
use lamplighter::presence::{Aor, composition, policy};

use crate::model::Style;
use crate::phone::agent;
use crate::plan::Plan;
use crate::random::Rng;
use crate::realm::{Condition, DOMAIN, ELSEWHERE, Grant, Handling, List, People, Realm, Rule};

/// Maximum rules of one configuration.
const RULES_MAX: usize = 4;
/// Maximum members of one stored list, without those of nested lists.
const MEMBERS_MAX: usize = 6;

impl Realm {
    /// The initial configuration of a run.
    pub(crate) fn new(plan: &Plan, rng: &mut Rng) -> Self {
        let user = |number: usize| (100 + number).to_string();
        let extensions = plan.presentities - plan.orbits;
        let mut realm = Self {
            privacy: 3,
            strangers: Handling::Allow,
            rules: Vec::new(),
            grants: Vec::new(),
            any_dn: vec![People::Prefix("w")],
            crew: vec![user(0)],
            lists: Vec::new(),
            accounts: (0..extensions)
                .step_by(2)
                .map(|number| (user(number), false))
                .collect(),
            orbits: (extensions..plan.presentities).map(user).collect(),
            connectors: Vec::new(),
        };
        realm.add_connectors(plan);
        for (list, owner) in [("office", Some(user(0))), ("inner", None)] {
            let members = (0..plan.presentities).filter(|_| rng.chance(600));
            realm.lists.push(List {
                user: list,
                owner,
                members: members.map(user).collect(),
            });
        }
        if plan.edit_every > 0 {
            for _ in 0..rng.below(8) {
                realm = realm.edited(plan, rng);
            }
        }
        realm
    }

    /// The configuration after one random edit.
    pub(crate) fn edited(&self, plan: &Plan, rng: &mut Rng) -> Self {
        let mut realm = self.clone();
        match rng.below(14) {
            12.. => realm.edit_grants(plan, rng),
            0..4 => realm.edit_rules(plan, rng),
            4..8 => realm.edit_list(plan, rng),
            8 => realm.privacy = rng.below(4) as u8,
            9 => realm.strangers = any_handling(rng),
            10 => realm.any_dn = realm.a_watcher_of_all(plan, rng),
            _ if rng.chance(500) => {
                let member = any_user(plan, rng);
                toggle(&mut realm.crew, member, rng);
            }
            _ => {
                let at = rng.below(realm.accounts.len() as u64) as usize;
                realm.accounts[at].1 ^= true;
            }
        }
        realm
    }

    fn edit_rules(&mut self, plan: &Plan, rng: &mut Rng) {
        let at = rng.below(self.rules.len() as u64 + 1) as usize;
        let is_full = self.rules.len() >= RULES_MAX;
        if at < self.rules.len() && (is_full || rng.chance(500)) {
            self.rules.remove(at);
        } else if !is_full {
            self.rules.insert(at, any_rule(plan, rng));
        }
    }

    /// A presentity approves or denies a watcher, or removes its rule.
    fn edit_grants(&mut self, plan: &Plan, rng: &mut Rng) {
        if self.grants.len() >= RULES_MAX || !self.grants.is_empty() && rng.chance(300) {
            let at = rng.below(self.grants.len() as u64) as usize;
            self.grants.remove(at);
        } else {
            self.grants.push(Grant {
                presentity: (100 + rng.below(plan.presentities as u64)).to_string(),
                watcher: format!("w{}", rng.below(plan.phones as u64)),
                handling: any_handling(rng),
                privacy: rng.chance(500).then(|| rng.below(4) as u8),
            });
        }
    }

    /// Adds, removes and moves members: users, nested lists, orbits, users of other domains.
    fn edit_list(&mut self, plan: &Plan, rng: &mut Rng) {
        let nested = ["inner", "orbits", "parked", "crew"];
        let at = rng.below(self.lists.len() as u64) as usize;
        let member = match rng.below(6) {
            0 => rng.pick(&nested).to_owned(),
            1 => format!("9@{ELSEWHERE}"),
            _ => any_user(plan, rng),
        };
        let list = &mut self.lists[at];
        let is_there = list.members.contains(&member);
        let may_be = list.user != "inner" || !nested.contains(&&*member);
        if is_there || may_be && list.members.len() < MEMBERS_MAX {
            toggle(&mut list.members, member, rng);
        }
        if self.orbits.is_empty() {
            // Without orbits these are ordinary names.
            let is_name = |member: &String| !["orbits", "parked"].contains(&&**member);
            self.lists[at].members.retain(is_name);
        }
    }

    fn a_watcher_of_all(&self, plan: &Plan, rng: &mut Rng) -> Vec<People> {
        match rng.below(5) {
            0 => Vec::new(),
            1 => vec![People::Crew, People::User(any_user(plan, rng))],
            _ => vec![People::Prefix("w")],
        }
    }

    /// The configuration in the product's types.
    pub(crate) fn directory(&self, plan: &Plan) -> Arc<Directory> {
        let mut directory = Directory::default();
        let orbits = self.orbits.first().zip(self.orbits.last());
        let orbits = orbits.map(|(first, last)| format!("{first}-{last}"));
        let domain = Domain {
            auth: AuthMode::None,
            min_expires: Duration::from_secs(plan.expires_min),
            min_publish_expires: Duration::from_secs(plan.expires_min),
            open: true,
            any_dn: self.any_dn.iter().map(People::configured).collect(),
            orbits: orbits
                .iter()
                .map(|range| UserRange::parse(range).unwrap())
                .collect(),
            voicemail_pilots: vec!["*97".into()],
            privacy: privacy(self.privacy),
            default_handling: self.strangers.configured(),
            composition: match plan.style {
                Style::Standard => composition::Style::Standard,
                Style::Alceo => composition::Style::Alceo,
                Style::Imagicle => composition::Style::Imagicle,
            },
            upstreams: self.upstream_rules(plan),
            ..Domain::new(DOMAIN)
        };
        directory.add_domain(domain, &[]).unwrap();
        directory.set_connectors(self.configured_connectors(plan));
        directory.set_profiles(agent::profiles());
        for (user, has_alternative) in &self.accounts {
            directory.add_account(user, DOMAIN, "secret").unwrap();
            let details = Details {
                alternative: has_alternative.then(|| "+39061234".into()),
                ..Details::default()
            };
            directory.describe(&Aor::new(user, DOMAIN), details);
        }
        let members = |directory: &Directory, names: &[String]| -> Vec<Member> {
            let member = |name: &String| directory.member(name, DOMAIN).unwrap();
            names.iter().map(member).collect()
        };
        let crew = members(&directory, &self.crew);
        directory.add_group("crew", DOMAIN, crew);
        for list in &self.lists {
            let stored = StoredList {
                name: None,
                style: ListStyle::Rfc,
                owner: list.owner.as_ref().map(|owner| Aor::new(owner, DOMAIN)),
                members: members(&directory, &list.members),
            };
            directory
                .add_list(&Aor::new(list.user, DOMAIN), stored)
                .unwrap();
        }
        for list in &self.lists {
            directory.check_list(&Aor::new(list.user, DOMAIN)).unwrap();
        }
        for (at, rule) in self.rules.iter().enumerate() {
            directory.add_policy(DOMAIN, rule.configured(at as u16 + 1));
        }
        for Grant { presentity, .. } in &self.grants {
            let own = self.grants.iter();
            let own = own.filter(|grant| grant.presentity == *presentity);
            let rules = own.map(Grant::configured).collect();
            directory = directory.with_rules_document(&Aor::new(presentity, DOMAIN), rules);
        }
        Arc::new(directory)
    }
}

impl Grant {
    fn configured(&self) -> ImportedRule {
        ImportedRule {
            identities: vec![IdentityCondition::One(Aor::new(&self.watcher, DOMAIN))],
            handling: self.handling.configured(),
            privacy: self.privacy.map(privacy),
            valid_from: None,
            valid_until: None,
        }
    }
}

impl People {
    fn configured(&self) -> policy::People {
        match self {
            Self::Everyone => policy::People::Everyone,
            Self::User(user) => policy::People::Named(Pattern::new(user, DOMAIN)),
            Self::Prefix(prefix) => {
                policy::People::Named(Pattern::new(&format!("{prefix}*"), DOMAIN))
            }
            Self::Crew => policy::People::Group("crew".into()),
        }
    }
}

impl Handling {
    fn configured(self) -> policy::Handling {
        match self {
            Self::Block => policy::Handling::Block,
            Self::Confirm => policy::Handling::Confirm,
            Self::PoliteBlock => policy::Handling::PoliteBlock,
            Self::Allow => policy::Handling::Allow,
        }
    }
}

impl Rule {
    fn configured(&self, number: u16) -> Policy {
        Policy {
            number,
            watcher: match &self.watcher {
                Condition::People(people) => WatcherCondition::People(people.configured()),
                Condition::SameDomain => WatcherCondition::SameDomain,
                Condition::SameGroup => WatcherCondition::SameGroup,
                Condition::Listed => WatcherCondition::Listed,
            },
            presentity: self.presentity.configured(),
            package: None,
            handling: self.handling.configured(),
            privacy: self.privacy.map(privacy),
            text: "a rule".into(),
        }
    }
}

fn privacy(level: u8) -> Privacy {
    match level {
        0 => Privacy::StateOnly,
        1 => Privacy::AnonymousParty,
        2 => Privacy::Party,
        _ => Privacy::Pickup,
    }
}

fn any_handling(rng: &mut Rng) -> Handling {
    rng.pick(&[
        Handling::Block,
        Handling::Confirm,
        Handling::PoliteBlock,
        Handling::Allow,
        Handling::Allow,
    ])
}

/// A presentity or a watcher.
fn any_user(plan: &Plan, rng: &mut Rng) -> String {
    if rng.chance(300) {
        format!("w{}", rng.below(plan.phones as u64))
    } else {
        (100 + rng.below(plan.presentities as u64)).to_string()
    }
}

fn any_rule(plan: &Plan, rng: &mut Rng) -> Rule {
    let watcher = match rng.below(7) {
        0 => Condition::People(People::Everyone),
        1 => Condition::SameDomain,
        2 => Condition::SameGroup,
        3 => Condition::Listed,
        4 => Condition::People(People::Crew),
        _ => Condition::People(People::User(format!("w{}", rng.below(plan.phones as u64)))),
    };
    let presentity = match rng.below(6) {
        0 => People::Everyone,
        1 => People::Crew,
        2 => People::Prefix("10"),
        3 => People::User(rng.pick(&["office", "any-dn"]).to_owned()),
        _ => People::User(any_user(plan, rng)),
    };
    Rule {
        watcher,
        presentity,
        handling: any_handling(rng),
        privacy: rng.chance(500).then(|| rng.below(4) as u8),
    }
}

/// Removes a member, or inserts it at a random place.
fn toggle(members: &mut Vec<String>, member: String, rng: &mut Rng) {
    match members.iter().position(|known| *known == member) {
        Some(at) => {
            members.remove(at);
        }
        None => {
            let at = rng.below(members.len() as u64 + 1) as usize;
            members.insert(at, member);
        }
    }
}
