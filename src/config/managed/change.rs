//! A change of the tables of `domains.toml`.

use std::collections::HashMap;

use toml::Spanned;

use crate::config::complaint::Source;
use crate::config::managed::tables::{Key, Table, Tables};
use crate::config::schema::Config;
use crate::config::text::canonical_domain;
use crate::directory::managed::{
    ChangeFault, ChangeRefusal, FaultPlace, ManagedChange, Setting, Settings,
};

/// Domains that the API keeps.
const DOMAINS_MAX: usize = 10_000;
/// Policies that the API keeps for one domain.
const POLICIES_PER_DOMAIN_MAX: usize = 100;
/// Octets of a domain in the file, with its groups and policies.
const DOMAIN_OCTETS_MAX: usize = 2 << 20;
/// Octets of the file.
const FILE_OCTETS_MAX: usize = 64 << 20;

/// What a change has done.
pub(super) struct Applied {
    /// The own name of the domain.
    pub(super) domain: String,
    /// Whether the domain or group is new.
    pub(super) is_new: bool,
    /// Aliases that other domains have: with them, the configuration has a fault.
    pub(super) taken: Vec<ChangeFault>,
}

/// What the operator's file has.
pub(super) struct Operators<'c> {
    source: &'c Source,
    /// The own name of each domain by each of its names, and its place.
    domains: HashMap<String, (String, usize)>,
    /// Groups after the own name of their domain, and their places.
    groups: HashMap<(String, &'c str), usize>,
    /// Lists, as groups.
    lists: HashMap<(String, &'c str), usize>,
}

impl<'c> Operators<'c> {
    /// What stands in a file that was read.
    pub(super) fn of(config: &'c Config, source: &'c Source) -> Self {
        let mut domains = HashMap::new();
        for domain in &config.domain {
            let aliases = domain.aliases.iter().map(|alias| alias.get_ref());
            let names = std::iter::once(domain.name.get_ref()).chain(aliases);
            let mut names = names.filter_map(|name| canonical_domain(name)).peekable();
            let Some(own) = names.peek().cloned() else {
                continue;
            };
            for name in names {
                let place = (own.clone(), domain.name.span().start);
                domains.entry(name).or_insert(place);
            }
        }
        let placed = |domain: &Spanned<String>, name: &'c Spanned<String>| {
            let domain = canonical_domain(domain.get_ref())?;
            let domain = domains.get(&domain).map_or(domain, |(own, _)| own.clone());
            Some(((domain, name.get_ref().as_str()), name.span().start))
        };
        let groups = config.group.iter();
        let groups = groups.filter_map(|group| placed(&group.domain, &group.name));
        let lists = config.list.iter();
        let lists = lists.filter_map(|list| placed(&list.domain, &list.user));
        Self {
            source,
            groups: groups.collect(),
            lists: lists.collect(),
            domains,
        }
    }

    /// Refuses a group that stands in the file, or whose name a list has there.
    fn check_group(&self, own: &str, group: &str) -> Result<(), ChangeRefusal> {
        let key = (own.to_owned(), group);
        for (kind, places) in [("group", &self.groups), ("list", &self.lists)] {
            if let Some(offset) = places.get(&key) {
                return Err(self.refusal(&format!("the {kind} \"{group}\" of {own}"), *offset));
            }
        }
        Ok(())
    }

    /// The refusal to change what stands at that place of the file.
    fn refusal(&self, what: &str, offset: usize) -> ChangeRefusal {
        let (file, line) = (&self.source.name, self.source.line_of(offset));
        ChangeRefusal::Conflict(format!(
            "{what} stands in the configuration file ({file}:{line}): change it there"
        ))
    }
}

/// The own name of each domain by each of its names, and where it stands.
type Homes = HashMap<String, (String, Home)>;

/// Where a domain stands.
#[derive(Clone, Copy)]
enum Home {
    Operators(usize),
    Ours,
    Nowhere,
}

impl Tables {
    /// Applies a change.
    pub(super) fn apply(
        &mut self,
        change: &ManagedChange,
        operators: &Operators<'_>,
    ) -> Result<Applied, ChangeRefusal> {
        let homes = self.homes(operators);
        self.rename_domains(&homes);
        let (own, home) = find(change.domain(), &homes)?;
        let mut taken = Vec::new();
        let is_new = match change {
            ManagedChange::PutDomain { settings, .. } => {
                let is_new = !is_ours(&own, home, operators)?;
                check_own_name(change.domain(), &own)?;
                taken = taken_aliases(&own, settings, &homes);
                self.put_domain(&own, settings)?;
                is_new
            }
            ManagedChange::RemoveDomain { .. } => {
                require_ours(&own, home, operators)?;
                let is_of = |table: &Table| table.text("domain") == Some(&*own);
                self.domains.retain(|table| !is_domain(table, &own));
                self.groups.retain(|table| !is_of(table));
                self.policies.retain(|table| !is_of(table));
                false
            }
            ManagedChange::PutOrbits { orbits, .. } => {
                require_ours(&own, home, operators)?;
                self.put_orbits(&own, orbits);
                false
            }
            ManagedChange::PutGroup { group, members, .. } => {
                require_served(home)?;
                operators.check_group(&own, group)?;
                self.put_group(&own, group, members)
            }
            ManagedChange::RemoveGroup { group, .. } => {
                require_served(home)?;
                operators.check_group(&own, group)?;
                let before = self.groups.len();
                self.groups.retain(|table| !is_group(table, &own, group));
                if self.groups.len() == before {
                    let why = format!("{own} has no group \"{group}\"");
                    return Err(ChangeRefusal::Absent(why));
                }
                false
            }
            ManagedChange::PutPolicies { policies, .. } => {
                require_served(home)?;
                self.put_policies(&own, policies)?;
                false
            }
        };
        self.check_limits(&own)?;
        Ok(Applied {
            domain: own,
            is_new,
            taken,
        })
    }

    fn homes(&self, operators: &Operators<'_>) -> Homes {
        let theirs = operators.domains.iter();
        let theirs = theirs.map(|(name, (own, offset))| {
            let home = Home::Operators(*offset);
            (name.clone(), (own.clone(), home))
        });
        let mut homes: Homes = theirs.collect();
        for table in &self.domains {
            let mut names = table.domain_names().peekable();
            let own = names.peek().cloned().unwrap_or_default();
            for name in names {
                let home = (own.clone(), Home::Ours);
                homes.entry(name).or_insert(home);
            }
        }
        homes
    }

    /// Has groups and policies name their domains by the own names: the operator may have renamed one, and
    /// kept the old name as an alias.
    fn rename_domains(&mut self, homes: &Homes) {
        for table in self.groups.iter_mut().chain(&mut self.policies) {
            let domain = table.text("domain").and_then(canonical_domain);
            let own = domain.and_then(|domain| homes.get(&domain));
            if let Some((own, _)) = own {
                table.set("domain", own);
            }
        }
    }

    fn put_domain(&mut self, own: &str, settings: &Settings) -> Result<(), ChangeRefusal> {
        if settings.iter().any(|(key, _)| key == "name") {
            return Err(fault("#/name", "is unknown: the name is in the path"));
        }
        let before = self.domains.iter().position(|table| is_domain(table, own));
        let before = before.map(|at| self.domains.remove(at));
        let mut keys = vec![named("name", own)];
        keys.extend(settings.iter().map(|(key, value)| given("#", key, value)));
        let kept = before.as_ref().and_then(|before| before.key(PARKS_TOKEN));
        if keys.iter().all(|key| key.name != PARKS_TOKEN) {
            keys.extend(kept.cloned());
        }
        insert(
            &mut self.domains,
            Table {
                place: Some(FaultPlace::Name),
                keys,
            },
            &["name"],
        );
        Ok(())
    }

    fn put_orbits(&mut self, own: &str, orbits: &[Setting]) {
        let found = self.domains.iter_mut().find(|table| is_domain(table, own));
        if let Some(domain) = found {
            domain.keys.retain(|key| key.name != "orbits");
            let orbits = Setting::List(orbits.to_vec());
            domain.keys.push(given("#", "orbits", &orbits));
        }
    }

    /// Returns whether it is new.
    fn put_group(&mut self, own: &str, group: &str, members: &[Setting]) -> bool {
        let before = self.groups.len();
        self.groups.retain(|table| !is_group(table, own, group));
        let is_new = self.groups.len() == before;
        let members = Setting::List(members.to_vec());
        let keys = vec![
            named("domain", own),
            named("name", group),
            given("#", "members", &members),
        ];
        insert(
            &mut self.groups,
            Table {
                place: Some(FaultPlace::Name),
                keys,
            },
            &["domain", "name"],
        );
        is_new
    }

    fn put_policies(&mut self, own: &str, policies: &[Settings]) -> Result<(), ChangeRefusal> {
        if policies.len() > POLICIES_PER_DOMAIN_MAX {
            let why = format!("has more than {POLICIES_PER_DOMAIN_MAX} entries");
            return Err(fault("#/policies", &why));
        }
        self.policies
            .retain(|table| table.text("domain") != Some(own));
        for (index, settings) in policies.iter().enumerate() {
            let pointer = format!("#/policies/{index}");
            if settings.iter().any(|(key, _)| key == "domain") {
                let pointer = format!("{pointer}/domain");
                return Err(fault(&pointer, "is unknown: the domain is in the path"));
            }
            let mut keys = vec![named("domain", own)];
            let settings = settings.iter();
            keys.extend(settings.map(|(key, value)| given(&pointer, key, value)));
            self.policies.push(Table {
                place: Some(FaultPlace::Pointer(pointer)),
                keys,
            });
        }
        Ok(())
    }

    fn check_limits(&self, own: &str) -> Result<(), ChangeRefusal> {
        let full = |why: String| Err(ChangeRefusal::Conflict(why));
        if self.domains.len() > DOMAINS_MAX {
            return full(format!("the API keeps at most {DOMAINS_MAX} domains"));
        }
        if self.octets_of(own) > DOMAIN_OCTETS_MAX {
            return full(format!(
                "a domain with its groups and policies takes at most {DOMAIN_OCTETS_MAX} octets of the file"
            ));
        }
        Ok(())
    }
}

/// The own name of a domain, and where it stands.
fn find(name: &str, homes: &Homes) -> Result<(String, Home), ChangeRefusal> {
    let Some(name) = canonical_domain(name) else {
        return Err(ChangeRefusal::Faults(vec![ChangeFault {
            place: FaultPlace::Name,
            detail: "is not a DNS name or an IP address".to_owned(),
        }]));
    };
    let found = homes.get(&name).cloned();
    Ok(found.unwrap_or((name, Home::Nowhere)))
}

/// Checks the length of a text that the file is about to have.
pub(super) fn check_length(text: &str) -> Result<(), ChangeRefusal> {
    match text.len() <= FILE_OCTETS_MAX {
        true => Ok(()),
        false => Err(ChangeRefusal::Conflict(format!(
            "the API keeps at most {FILE_OCTETS_MAX} octets of domains, groups and policies"
        ))),
    }
}

/// The key that a PUT of a domain without it leaves as it is, because it is a secret that no GET shows.
const PARKS_TOKEN: &str = "parks_token";

/// Whether the domain is one of ours. Refuses one of the operator's.
fn is_ours(own: &str, home: Home, operators: &Operators<'_>) -> Result<bool, ChangeRefusal> {
    match home {
        Home::Operators(offset) => Err(operators.refusal(&format!("the domain {own}"), offset)),
        Home::Ours => Ok(true),
        Home::Nowhere => Ok(false),
    }
}

/// Refuses an alias, which would replace the domain that has it.
fn check_own_name(name: &str, own: &str) -> Result<(), ChangeRefusal> {
    match canonical_domain(name).is_none_or(|name| name == own) {
        true => Ok(()),
        false => Err(ChangeRefusal::Conflict(format!(
            "{name} is an alias of the domain {own}: put that, or remove the alias there"
        ))),
    }
}

/// The aliases that are names of other domains. The configuration complains of the name that comes later, which
/// may be the one of the other domain.
fn taken_aliases(own: &str, settings: &Settings, homes: &Homes) -> Vec<ChangeFault> {
    let aliases = settings.iter().find(|(key, _)| key == "aliases");
    let Some((_, Setting::List(aliases))) = aliases else {
        return Vec::new();
    };
    let taken = aliases.iter().enumerate().filter_map(|(index, alias)| {
        let Setting::Text(alias) = alias else {
            return None;
        };
        let (other, _) = homes.get(&canonical_domain(alias)?)?;
        (other != own).then(|| ChangeFault {
            place: FaultPlace::Pointer(format!("#/aliases/{index}")),
            detail: format!("\"{alias}\" is a name of the domain {other}"),
        })
    });
    taken.collect()
}

fn require_ours(own: &str, home: Home, operators: &Operators<'_>) -> Result<(), ChangeRefusal> {
    match is_ours(own, home, operators)? {
        true => Ok(()),
        false => Err(no_domain()),
    }
}

fn require_served(home: Home) -> Result<(), ChangeRefusal> {
    match home {
        Home::Nowhere => Err(no_domain()),
        Home::Operators(_) | Home::Ours => Ok(()),
    }
}

fn fault(pointer: &str, detail: &str) -> ChangeRefusal {
    ChangeRefusal::Faults(vec![ChangeFault {
        place: FaultPlace::Pointer(pointer.to_owned()),
        detail: detail.to_owned(),
    }])
}

fn no_domain() -> ChangeRefusal {
    ChangeRefusal::Absent("there is no such domain".to_owned())
}

fn is_domain(table: &Table, own: &str) -> bool {
    table.domain_names().next().as_deref() == Some(own)
}

fn is_group(table: &Table, own: &str, group: &str) -> bool {
    table.text("domain") == Some(own) && table.text("name") == Some(group)
}

/// A key that the path of the request gives.
fn named(name: &str, value: &str) -> Key {
    Key {
        name: name.to_owned(),
        value: Setting::Text(value.to_owned()),
        place: Some(FaultPlace::Name),
    }
}

/// A key of the object at `pointer` of the body.
fn given(pointer: &str, name: &str, value: &Setting) -> Key {
    Key {
        name: name.to_owned(),
        value: value.clone(),
        place: Some(FaultPlace::Pointer(pointer.to_owned()).member(name)),
    }
}

/// Inserts a table in the order of these keys.
fn insert(tables: &mut Vec<Table>, table: Table, keys: &[&str]) {
    let order = |table: &Table| -> Vec<String> {
        let texts = keys.iter().map(|key| table.text(key).unwrap_or_default());
        texts.map(str::to_owned).collect()
    };
    let key = order(&table);
    let at = tables.partition_point(|other| order(other) < key);
    tables.insert(at, table);
}
