//! Who is served: domains with their rules, accounts with their secrets, groups, lists, policies,
//! profiles. Read-only, shared by all cores, replaced as a whole.
//!
//! A directory is made by adding: domains first, then what is of them. A change while it is in
//! force is a new directory that shares with the old one whatever stayed the same, so editing one
//! list of a hundred thousand accounts copies none of them ([`lists`]).
//!
//! Not here: how a request proves who it is from (`shard::admit`), what a rule says
//! (`presence::policy`).

mod credentials;
pub mod decide;
pub mod lists;
pub mod profiles;
pub mod removal;
pub mod user_range;

pub(crate) use credentials::DomainRealm;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::directory::credentials::Credentials;
use crate::directory::decide::Groups;
use crate::directory::lists::Lists;
use crate::directory::profiles::Profiles;
use crate::directory::user_range::UserRange;
use crate::presence::Aor;
use crate::presence::composition::Rules;
use crate::presence::composition::Style;
use crate::presence::policy::Handling;
use crate::presence::policy::ImportedRule;
use crate::presence::policy::People;
use crate::presence::policy::Policy;
use crate::presence::policy::Privacy;
use crate::presence::profile::DoNotDisturbLamp;
use crate::sip::digest::Secret;

/// How requests of a domain prove who they are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// A digest, but for trusted addresses.
    Digest,
    /// Trusted addresses alone; everybody else gets 403.
    Trusted,
    /// Everybody is believed: for labs.
    None,
}

/// One tenant.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its name, lower case; the realm of its challenges.
    pub name: String,
    /// How requests prove who they are from.
    pub auth: AuthMode,
    /// Addresses that are believed.
    pub trusted: Vec<IpNet>,
    /// Whether a number given to call_state.htm is told to watchers (W:D1.4).
    pub reveal_number: bool,
    /// Longest and default life of a call_state.htm statement (W:D1.5).
    pub max_call_duration: Duration,
    /// Shortest expiry of a subscription or registration; shorter is 423.
    pub min_expires: Duration,
    /// Shortest expiry of a publication; shorter is 423.
    pub min_publish_expires: Duration,
    /// Longest expiry; longer is shortened.
    pub max_expires: Duration,
    /// Whether addresses without an account may be watched and published.
    pub open: bool,
    /// Whether its phones register with us. No call is routed to them.
    pub is_registrar: bool,
    /// Offer SHA-256 before MD5 in challenges (W:A7.1).
    pub sha256: bool,
    /// Who may watch everything at once (W:D4.9).
    pub any_dn: Vec<People>,
    /// Park orbits: there to be watched before anything is parked in them (W:C8.1, D4.6).
    pub orbits: Vec<UserRange>,
    /// Other names without an account that may be watched and published: queues, day and night
    /// keys (W:C8.2).
    pub resources: Vec<UserRange>,
    /// Numbers that mean voice mail to everybody (W:D3.19).
    pub voicemail_pilots: Vec<Box<str>>,
    /// What the domain's own people are shown of each other's calls (W:B3.12).
    pub privacy: Privacy,
    /// What becomes of watchers from elsewhere.
    pub default_handling: Handling,
    /// Whose rules make the composed state.
    pub composition: Style,
    /// What lamps show of do-not-disturb.
    pub dnd_lamp: DoNotDisturbLamp,
}

impl Domain {
    /// A domain of that name (lower case) with nothing said about it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            auth: AuthMode::Digest,
            trusted: Vec::new(),
            reveal_number: false,
            max_call_duration: Duration::from_secs(7200),
            min_expires: Duration::from_secs(60),
            min_publish_expires: Duration::from_secs(1),
            max_expires: Duration::from_secs(7200),
            open: false,
            is_registrar: false,
            sha256: false,
            any_dn: Vec::new(),
            orbits: Vec::new(),
            resources: Vec::new(),
            voicemail_pilots: Vec::new(),
            privacy: Privacy::Pickup,
            default_handling: Handling::Allow,
            composition: Style::Standard,
            dnd_lamp: DoNotDisturbLamp::None,
        }
    }

    /// Whether requests from that address are believed without a digest.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address.to_canonical()))
    }

    /// Whether requests from that address need not prove who they are from.
    #[must_use]
    pub fn believes(&self, address: IpAddr) -> bool {
        self.auth == AuthMode::None || self.trusts(address)
    }

    /// Whether a user is a park orbit.
    #[must_use]
    pub fn is_orbit(&self, user: &str) -> bool {
        self.orbits.iter().any(|range| range.contains(user))
    }

    /// Whether a user is one of [`Domain::resources`].
    #[must_use]
    pub fn is_resource(&self, user: &str) -> bool {
        self.resources.iter().any(|range| range.contains(user))
    }
}

/// Somebody with credentials, who may be watched.
#[derive(Clone, Debug)]
pub struct Account {
    /// H(user:realm:password), for HTTP.
    pub secret: Secret,
    /// For digest.
    credentials: Credentials,
    /// May publish for everybody of its domain: a PBX (W:B1.3).
    pub is_feeder: bool,
    /// What is known about its user; None for what all of the domain share.
    rules: Option<Arc<Rules>>,
}

/// What is known about the user of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The name.
    pub display: Option<Box<str>>,
    /// A number at which the user is reachable without being registered (W:D2.6).
    pub alternative: Option<Box<str>>,
    /// The user's own voice mail numbers (W:D3.19).
    pub voicemail: Vec<Box<str>>,
}

/// What the directory keeps beside a domain's own values.
#[derive(Clone, Debug)]
struct Tenant {
    /// The rules of those of whom nothing is known.
    rules: Arc<Rules>,
    /// The rules of its orbits.
    orbit_rules: Arc<Rules>,
    groups: Groups,
    /// In the order of the file.
    policies: Vec<Policy>,
}

/// Domains, accounts and all that is said about them. Cloning one copies no account.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    domains: Arc<Vec<Domain>>,
    /// By name and alias, lower case.
    domains_by_name: Arc<HashMap<Box<str>, usize>>,
    /// One for each of `domains`.
    tenants: Arc<Vec<Tenant>>,
    /// One for each of `domains`.
    lists: Vec<Arc<Lists>>,
    accounts: Arc<HashMap<Box<str>, Account>>,
    /// By `auth_id@domain`, of the accounts that have one.
    users_by_auth_id: Arc<HashMap<Box<str>, Box<str>>>,
    documents: Arc<HashMap<Aor, Arc<[ImportedRule]>>>,
    profiles: Arc<Profiles>,
    /// The rules of somebody who is of no domain of ours.
    stranger: Arc<Rules>,
}

impl Directory {
    /// Adds a domain with its aliases. A name that is taken is given back.
    pub fn add_domain(&mut self, domain: Domain, aliases: &[String]) -> Result<(), String> {
        let names = std::iter::once(&domain.name)
            .chain(aliases)
            .map(|name| name.to_ascii_lowercase());
        let names: Vec<String> = names.collect();
        if let Some(taken) = names
            .iter()
            .find(|name| self.domains_by_name.contains_key(name.as_str()))
        {
            return Err(taken.clone());
        }
        let by_name = Arc::make_mut(&mut self.domains_by_name);
        for name in names {
            by_name.insert(name.into(), self.domains.len());
        }
        let rules = Rules {
            style: domain.composition,
            voicemail: domain.voicemail_pilots.clone(),
            do_not_disturb: domain.dnd_lamp,
            ..Rules::default()
        };
        Arc::make_mut(&mut self.tenants).push(Tenant {
            orbit_rules: Arc::new(Rules {
                is_orbit: true,
                ..rules.clone()
            }),
            rules: Arc::new(rules),
            groups: Groups::default(),
            policies: Vec::new(),
        });
        self.lists.push(Arc::new(Lists::new(&domain)));
        Arc::make_mut(&mut self.domains).push(domain);
        Ok(())
    }

    /// Adds an account of a domain that was added before; None when the domain is unknown, the
    /// account's old secret is replaced.
    pub fn add_account(
        &mut self,
        user: &str,
        domain: &str,
        password: &str,
    ) -> Option<&mut Account> {
        let domain = self.domain(domain)?.name.clone();
        let account = Account {
            secret: Secret::new(user, &domain, password),
            credentials: Credentials::new(user, &domain, password),
            is_feeder: false,
            rules: None,
        };
        let key = format!("{user}@{domain}").into_boxed_str();
        let accounts = Arc::make_mut(&mut self.accounts);
        accounts.insert(key.clone(), account);
        accounts.get_mut(&key)
    }

    /// Says what is known about the user of an account that was added before.
    pub fn describe(&mut self, aor: &Aor, details: Details) {
        let Some(tenant) = self.tenant(aor.domain()) else {
            return;
        };
        let is_orbit = self.is_orbit(aor);
        let rules = Rules {
            alternative: details.alternative,
            display: details.display,
            is_orbit,
            voicemail: [&tenant.rules.voicemail[..], &details.voicemail].concat(),
            ..(*tenant.rules).clone()
        };
        if let Some(account) = Arc::make_mut(&mut self.accounts).get_mut(aor.as_str()) {
            account.rules = Some(Arc::new(rules));
        }
    }

    /// The domain of that name or alias (lower case).
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.get(*self.domains_by_name.get(name)?)
    }

    /// The place in [`Self::domains`] of the domain of that name or alias (lower case).
    #[must_use]
    pub fn place_of(&self, name: &str) -> Option<usize> {
        self.domains_by_name.get(name).copied()
    }

    /// The account of that address of record (`user@domain`, the domain's own name).
    #[must_use]
    pub fn account(&self, aor: &str) -> Option<&Account> {
        self.accounts.get(aor)
    }

    /// Whether somebody is an account that speaks for everybody of a domain (W:B1.3).
    #[must_use]
    pub fn is_feeder(&self, aor: Option<&Aor>, domain: &str) -> bool {
        aor.filter(|aor| aor.domain() == domain)
            .and_then(|aor| self.account(aor.as_str()))
            .is_some_and(|account| account.is_feeder)
    }

    /// How many domains and accounts there are.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.domains.len(), self.accounts.len())
    }

    /// Whether any domain trusts that address.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.domains.iter().any(|domain| domain.trusts(address))
    }

    /// All domains, in the order they were added.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// How the state of somebody is composed.
    #[must_use]
    pub fn rules_of(&self, aor: &Aor) -> Arc<Rules> {
        let own = self
            .account(aor.as_str())
            .and_then(|account| account.rules.as_ref());
        let rules = own.or_else(|| {
            let tenant = self.tenant(aor.domain())?;
            Some(match self.is_orbit(aor) {
                true => &tenant.orbit_rules,
                false => &tenant.rules,
            })
        });
        Arc::clone(rules.unwrap_or(&self.stranger))
    }

    /// Whose rules compose the state of somebody.
    #[must_use]
    pub fn style_of(&self, aor: &Aor) -> Style {
        self.domain(aor.domain())
            .map_or_else(Style::default, |domain| domain.composition)
    }

    /// What a key shows for somebody: the name of the account, else the user part.
    #[must_use]
    pub fn name_of<'a>(&'a self, aor: &'a Aor) -> &'a str {
        self.account(aor.as_str())
            .and_then(|account| account.rules.as_ref()?.display.as_deref())
            .unwrap_or_else(|| aor.user())
    }

    /// Whether somebody may be watched: an account, anybody of an open domain, an orbit and the
    /// like, a list (W:A1.18).
    #[must_use]
    pub fn exists(&self, aor: &Aor) -> bool {
        self.domain(aor.domain()).is_some_and(|domain| {
            !aor.user().is_empty()
                && (domain.open
                    || self.account(aor.as_str()).is_some()
                    || domain.is_orbit(aor.user())
                    || domain.is_resource(aor.user())
                    || self.is_list(aor))
        })
    }

    /// Whether somebody is a park orbit.
    #[must_use]
    pub fn is_orbit(&self, aor: &Aor) -> bool {
        self.domain(aor.domain())
            .is_some_and(|domain| domain.is_orbit(aor.user()))
    }

    /// What the directory keeps beside the domain of that name or alias.
    fn tenant(&self, domain: &str) -> Option<&Tenant> {
        self.tenants.get(*self.domains_by_name.get(domain)?)
    }

    /// The same, to add to it.
    fn tenant_mut(&mut self, domain: &str) -> Option<&mut Tenant> {
        let index = *self.domains_by_name.get(domain)?;
        Arc::make_mut(&mut self.tenants).get_mut(index)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
