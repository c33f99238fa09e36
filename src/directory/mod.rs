//! The directory: domains, accounts, groups, lists, policies and device profiles, as configured.
//!
//! - [`Directory::domain`], [`Directory::account`], [`Directory::exists`]: which users exist.
//! - [`Directory::decide`] (`decide`): what a watcher may see.
//! - [`Directory::list`] (`lists`): resource lists and their members.
//! - [`Directory::profile`] (`profiles`): how a User-Agent is treated.
//! - [`Directory::rules_of`] (`rules`): the composition rules of a presentity.
//! - [`Directory::removal`] (`removal`): what a new directory would delete.
//! - [`Directory::edits`] (`edits`, `accounts`): what the operator edited while the server ran.
//! - [`Directory::token`] (`tokens`): who may use the HTTP API.
//! - [`Directory::feed`] (`feeds`): how the JSON of a PBX is read.
//! - [`Directory::connectors`] (`connectors`): the PBXs and presence servers that we subscribe to.
//! - [`Directory::sip_relays`] (`relays`): the presence servers that we publish to.
//! - [`Directory::peer_systems`] (`peer_systems`): systems that are told of states, and report on them as well.
//! - [`Directory::is_managed`] (`managed`): what the HTTP API keeps, and its changes.
//!
//! A directory is immutable while it is active, shared by all shards, and replaced as a whole.
//! Build it in order: domains first, then what belongs to them. An edit creates a new directory
//! that shares all unchanged parts, so that editing one list in a directory of a hundred thousand
//! accounts copies no account.
//!
//! Not here: how a request is authenticated (`shard::uas`), what a rule means (`presence::policy`).

pub mod accounts;
pub mod connectors;
mod credentials;
pub mod decide;
pub mod edits;
pub mod feeds;
pub mod lists;
pub mod managed;
pub mod peer_systems;
pub mod profiles;
pub mod relays;
pub mod removal;
mod rules;
pub mod tokens;
pub mod user_range;

pub(crate) use credentials::DomainRealm;
pub use credentials::{ParksTokens, PasswordCheck, Proof};

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::directory::connectors::Connector;
use crate::directory::credentials::Credentials;
use crate::directory::decide::Groups;
use crate::directory::edits::Edit;
use crate::directory::feeds::Feed;
use crate::directory::lists::Lists;
use crate::directory::managed::Managed;
use crate::directory::peer_systems::PeerSystem;
use crate::directory::profiles::Profiles;
use crate::directory::relays::SipRelay;
use crate::directory::rules::SharedRules;
use crate::directory::tokens::Token;
use crate::directory::user_range::UserRange;
use crate::presence::Aor;
use crate::presence::composition::{Rules, Style, UpstreamRules};
use crate::presence::fixed_hash::{BuildFnv1a, SipHash13};
use crate::presence::policy::{Handling, ImportedRule, People, Policy, Privacy};
use crate::presence::profile::DoNotDisturbLamp;

/// How requests to a domain are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// By digest; requests from trusted peers need none.
    Digest,
    /// Trusted peers only; all others get 403.
    Trusted,
    /// Not at all: the identity in every request is accepted. For labs.
    None,
}

/// Who sent a request, as far as a domain may trust it.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'p> {
    /// Where it came from.
    pub address: IpAddr,
    /// The name in the sender's certificate that was trusted when it came; None if it had none.
    pub voucher: Option<&'p Arc<str>>,
}

/// One without a certificate.
impl From<IpAddr> for Peer<'_> {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            voucher: None,
        }
    }
}

/// A domain served here: a tenant.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Name in lower case; also the realm of its challenges.
    pub name: String,
    /// How its requests are authenticated.
    pub auth: AuthMode,
    /// Networks whose requests are accepted without authentication.
    pub trusted: Vec<IpNet>,
    /// Host names, in lower case: the requests of a TLS peer whose certificate is for one of them are accepted
    /// without authentication.
    pub trusted_certificates: Vec<Arc<str>>,
    /// Whether the certificate of a TLS peer proves the account that it names.
    pub accepts_certificates: bool,
    /// Whether watchers see the remote number that call_state.htm reports (W:D1.4).
    pub reveal_number: bool,
    /// Default and maximum lifetime of a call reported by call_state.htm (W:D1.5).
    pub max_call_duration: Duration,
    /// Minimum expiry of a subscription or registration. A shorter one gets 423.
    pub min_expires: Duration,
    /// Minimum expiry of a publication. A shorter one gets 423.
    pub min_publish_expires: Duration,
    /// Maximum expiry. A longer one is shortened.
    pub max_expires: Duration,
    /// Whether addresses without an account exist, which means that they can be watched and
    /// published.
    pub open: bool,
    /// Whether phones register here. Calls are not routed to them.
    pub is_registrar: bool,
    /// Whether challenges offer SHA-256 before MD5 (RFC 8760 §2).
    pub sha256: bool,
    /// The users that may subscribe to `any-dn`, the whole domain (W:D4.9).
    pub any_dn: Vec<People>,
    /// Park orbits. They exist even while no call is parked in them (W:C8.1, D4.6).
    pub orbits: Vec<UserRange>,
    /// What its phones need to see the page of parked calls (W:D4.7).
    pub parks_tokens: ParksTokens,
    /// Other users that exist without an account: queues, day and night keys (W:C8.2).
    pub resources: Vec<UserRange>,
    /// Numbers that are voice mail for every user (W:D3.19).
    pub voicemail_pilots: Vec<Box<str>>,
    /// How much of a call is shown to watchers of the same domain (W:B3.12).
    pub privacy: Privacy,
    /// The handling of watchers of other domains if no rule matches.
    pub default_handling: Handling,
    /// The composition style of its presentities.
    pub composition: Style,
    /// How contributions of connectors count.
    pub upstreams: UpstreamRules,
    /// How do-not-disturb appears on busy lamp fields.
    pub dnd_lamp: DoNotDisturbLamp,
    /// How long its history is kept; None: as long as that of other domains.
    pub history_age_max: Option<Duration>,
    /// Octets of its history; None: as many as those of other domains.
    pub history_octets_max: Option<u64>,
}

impl Domain {
    /// Returns a domain with that name (lower case) and default settings.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            auth: AuthMode::Digest,
            trusted: Vec::new(),
            trusted_certificates: Vec::new(),
            accepts_certificates: false,
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
            parks_tokens: ParksTokens::default(),
            resources: Vec::new(),
            voicemail_pilots: Vec::new(),
            privacy: Privacy::Pickup,
            default_handling: Handling::Allow,
            composition: Style::Standard,
            upstreams: UpstreamRules::default(),
            dnd_lamp: DoNotDisturbLamp::None,
            history_age_max: None,
            history_octets_max: None,
        }
    }

    /// Returns whether requests of that peer are accepted without authentication because it is trusted: its
    /// address is, or its certificate has a name that is.
    #[must_use]
    pub fn trusts<'p>(&self, peer: impl Into<Peer<'p>>) -> bool {
        let Peer { address, voucher } = peer.into();
        let address = address.to_canonical();
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
            || voucher.is_some_and(|voucher| self.trusted_certificates.contains(voucher))
    }

    /// The first of the names in a certificate, in lower case, that is trusted.
    #[must_use]
    pub fn voucher_in(&self, names: &[Box<str>]) -> Option<&Arc<str>> {
        let is_named = |trusted: &&Arc<str>| names.iter().any(|name| **name == ***trusted);
        self.trusted_certificates.iter().find(is_named)
    }

    /// Returns whether requests of that peer need no authentication: it is trusted, or the domain
    /// requires none.
    #[must_use]
    pub fn accepts_unauthenticated<'p>(&self, peer: impl Into<Peer<'p>>) -> bool {
        self.auth == AuthMode::None || self.trusts(peer)
    }

    /// Returns whether a user is a park orbit.
    #[must_use]
    pub fn is_orbit(&self, user: &str) -> bool {
        self.orbits.iter().any(|range| range.contains(user))
    }

    /// Returns whether a user is one of [`Domain::resources`].
    #[must_use]
    pub fn is_resource(&self, user: &str) -> bool {
        self.resources.iter().any(|range| range.contains(user))
    }
}

/// A user with credentials that can be watched.
#[derive(Clone, Debug)]
pub struct Account {
    credentials: Credentials,
    /// Whether it is a feeder: it may publish for every user of its domain, as a PBX does (RFC 3903
    /// §6).
    pub is_feeder: bool,
    /// The composition rules of this user; None for those of the domain.
    rules: Option<SharedRules>,
}

impl Account {
    /// The username of its digest credentials, if it differs from its user.
    #[must_use]
    pub fn auth_id(&self) -> Option<&str> {
        self.credentials.auth_id()
    }

    /// How the password that HTTP presents is checked; `user` is the account's own.
    #[must_use]
    pub fn password_check<'d>(&'d self, user: &'d str) -> PasswordCheck<'d> {
        self.credentials.check(user)
    }
}

/// The details of an account's user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The display name.
    pub display: Option<Box<str>>,
    /// A number at which the user is reachable without being registered (W:D2.6).
    pub alternative: Option<Box<str>>,
    /// The user's own voice mail numbers (W:D3.19).
    pub voicemail: Vec<Box<str>>,
}

/// The parts of a domain that are derived or added later.
#[derive(Clone, Debug)]
struct Tenant {
    /// The composition rules of users without details.
    rules: SharedRules,
    /// The composition rules of park orbits.
    orbit_rules: SharedRules,
    groups: Groups,
    /// In the order of the configuration.
    policies: Vec<Policy>,
}

/// Domains, accounts and all that belongs to them. Cloning copies no account.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    domains: Arc<Vec<Domain>>,
    /// Index into `domains` by name and alias, in lower case.
    domains_by_name: Arc<HashMap<Box<str>, usize, BuildFnv1a>>,
    /// Parallel to `domains`.
    tenants: Arc<Vec<Tenant>>,
    /// Parallel to `domains`.
    lists: Vec<Arc<Lists>>,
    accounts: Arc<HashMap<Box<str>, Account>>,
    /// Parallel to `domains`: see [`Directory::account_set`].
    account_sets: Vec<u64>,
    /// The user by `auth_id@domain`, for accounts that have an `auth_id`.
    users_by_auth_id: Arc<HashMap<Box<str>, Box<str>>>,
    documents: Arc<HashMap<Aor, Arc<[ImportedRule]>>>,
    /// Lists that were edited since the configuration was read, with the hash of what it says of them.
    edited_lists: Arc<HashMap<Aor, u64>>,
    /// Accounts that were edited since then, with the hash of what the configuration says of them.
    edited_accounts: Arc<HashMap<Aor, u64>>,
    /// Edits that are not possible with this configuration.
    waiting_edits: Arc<HashMap<Aor, Edit>>,
    profiles: Arc<Profiles>,
    tokens: Arc<[Token]>,
    feeds: Arc<[Feed]>,
    connectors: Arc<[Connector]>,
    sip_relays: Arc<[SipRelay]>,
    peer_systems: Arc<[PeerSystem]>,
    /// What the HTTP API keeps.
    managed: Arc<Managed>,
    /// Whether any account has a password hash.
    has_password_hashes: bool,
    /// The composition rules of presentities outside the domains served here.
    stranger: SharedRules,
}

impl Directory {
    /// Adds a domain with its aliases.
    ///
    /// # Errors
    /// Returns the name or alias that another domain already has.
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
            upstreams: domain.upstreams.clone(),
            ..Rules::default()
        };
        Arc::make_mut(&mut self.tenants).push(Tenant {
            orbit_rules: SharedRules::new(Rules {
                is_orbit: true,
                ..rules.clone()
            }),
            rules: SharedRules::new(rules),
            groups: Groups::default(),
            policies: Vec::new(),
        });
        self.lists.push(Arc::new(Lists::new(&domain)));
        self.account_sets.push(0);
        Arc::make_mut(&mut self.domains).push(domain);
        Ok(())
    }

    /// Adds an account to a domain, or replaces the account of that user. Returns None if there is
    /// no such domain.
    pub fn add_account<'p>(
        &mut self,
        user: &str,
        domain: &str,
        proof: impl Into<Proof<'p>>,
    ) -> Option<&mut Account> {
        let (domain, proof) = (self.domain(domain)?.name.clone(), proof.into());
        self.has_password_hashes |= matches!(proof, Proof::PasswordHash(_));
        let account = Account {
            credentials: Credentials::new(user, &domain, &proof),
            is_feeder: false,
            rules: None,
        };
        let key = format!("{user}@{domain}").into_boxed_str();
        let replaced = Arc::make_mut(&mut self.accounts).insert(key.clone(), account);
        if replaced.is_none() {
            self.note_account(&key, &domain);
        }
        Arc::make_mut(&mut self.accounts).get_mut(&key)
    }

    /// A domain gained or lost an account.
    fn note_account(&mut self, aor: &str, domain: &str) {
        let index = self.domains_by_name.get(domain);
        if let Some(set) = index.and_then(|index| self.account_sets.get_mut(*index)) {
            *set ^= SipHash13::of(aor.as_bytes());
        }
    }

    /// A number for the users of a domain that have an account: it is another one, but for chance, after the domain
    /// gained or lost an account, and stays if an account is replaced.
    #[must_use]
    pub fn account_set(&self, domain: &str) -> u64 {
        let index = self.domains_by_name.get(domain);
        let set = index.and_then(|index| self.account_sets.get(*index));
        set.copied().unwrap_or_default()
    }

    /// The details of an account.
    #[must_use]
    pub fn details(&self, aor: &Aor) -> Details {
        let account = self.account(aor.as_str());
        let own = account.and_then(|account| account.rules.as_ref());
        let tenant = self.tenant(aor.domain());
        let (Some(own), Some(tenant)) = (own, tenant) else {
            return Details::default();
        };
        // The numbers of the domain come first.
        let of_domain = tenant.rules.get().voicemail.len();
        let rules = own.get();
        Details {
            display: rules.display.clone(),
            alternative: rules.alternative.clone(),
            voicemail: rules
                .voicemail
                .get(of_domain..)
                .unwrap_or_default()
                .to_vec(),
        }
    }

    /// Sets the details of an account. Has no effect if the account does not exist.
    pub fn describe(&mut self, aor: &Aor, details: Details) {
        let Some(tenant) = self.tenant(aor.domain()) else {
            return;
        };
        let of_domain = tenant.rules.get();
        let is_orbit = self.is_orbit(aor);
        let rules = Rules {
            alternative: details.alternative,
            display: details.display,
            is_orbit,
            voicemail: [&of_domain.voicemail[..], &details.voicemail].concat(),
            ..Rules::clone(of_domain)
        };
        if let Some(account) = Arc::make_mut(&mut self.accounts).get_mut(aor.as_str()) {
            account.rules = Some(SharedRules::new(rules));
        }
    }

    /// The domain with that name or alias (lower case).
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.get(*self.domains_by_name.get(name)?)
    }

    /// The name and the aliases of the domain with that name or alias; empty if it is not served.
    #[must_use]
    pub fn names_of(&self, name: &str) -> Vec<String> {
        let place = self.place_of(name);
        let names = self.domains_by_name.iter();
        let names = names.filter(|(_, index)| Some(**index) == place);
        names.map(|(name, _)| name.to_string()).collect()
    }

    /// The index in [`Self::domains`] of the domain with that name or alias (lower case).
    #[must_use]
    pub fn place_of(&self, name: &str) -> Option<usize> {
        self.domains_by_name.get(name).copied()
    }

    /// The account with that address of record (`user@domain`, with the domain's own name).
    #[must_use]
    pub fn account(&self, aor: &str) -> Option<&Account> {
        self.accounts.get(aor)
    }

    /// Returns whether any account has a password hash, which takes long to verify.
    #[must_use]
    pub const fn has_password_hashes(&self) -> bool {
        self.has_password_hashes
    }

    /// The addresses of all accounts, in order.
    #[must_use]
    pub fn account_aors(&self) -> Vec<Aor> {
        let mut aors: Vec<&str> = self.accounts.keys().map(|aor| &**aor).collect();
        aors.sort_unstable();
        let aor = |text: &str| {
            text.split_once('@')
                .map(|(user, domain)| Aor::new(user, domain))
        };
        aors.into_iter().filter_map(aor).collect()
    }

    /// The addresses of the accounts of a domain, by its own name, in order.
    #[must_use]
    pub fn account_aors_of(&self, domain: &str) -> Vec<Aor> {
        let mut aors: Vec<Aor> = self.accounts_in(domain).collect();
        aors.sort_unstable();
        aors
    }

    /// The addresses of the accounts of a domain, by its own name, in no order.
    pub fn accounts_in<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = Aor> + 'a {
        let aors = self.accounts.keys().filter_map(|aor| aor.split_once('@'));
        let of_domain = aors.filter(move |(_, of)| *of == domain);
        of_domain.map(|(user, of)| Aor::new(user, of))
    }

    /// How many accounts each domain has, by its own name. Domains without any are left out.
    #[must_use]
    pub fn accounts_by_domain(&self) -> HashMap<&str, usize> {
        let mut counts = HashMap::new();
        for (_, domain) in self.accounts.keys().filter_map(|aor| aor.split_once('@')) {
            *counts.entry(domain).or_default() += 1;
        }
        counts
    }

    /// Returns whether an address of record is a feeder account of the domain (RFC 3903 §6).
    #[must_use]
    pub fn is_feeder(&self, aor: Option<&Aor>, domain: &str) -> bool {
        aor.filter(|aor| aor.domain() == domain)
            .and_then(|aor| self.account(aor.as_str()))
            .is_some_and(|account| account.is_feeder)
    }

    /// The number of domains and of accounts.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.domains.len(), self.accounts.len())
    }

    /// Returns whether any domain trusts that address.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.domains.iter().any(|domain| domain.trusts(address))
    }

    /// All domains, in the order they were added.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// The composition style of a presentity.
    #[must_use]
    pub fn style_of(&self, aor: &Aor) -> Style {
        self.domain(aor.domain())
            .map_or_else(Style::default, |domain| domain.composition)
    }

    /// The display name of an address of record; its user part if it has none.
    #[must_use]
    pub fn name_of<'a>(&'a self, aor: &'a Aor) -> &'a str {
        self.account(aor.as_str())
            .and_then(|account| account.rules.as_ref()?.get().display.as_deref())
            .unwrap_or_else(|| aor.user())
    }

    /// Returns whether an address of record exists: an account, any user of an open domain, an
    /// orbit, a resource, or a list (RFC 6665 §4.2.1.1).
    #[must_use]
    pub fn exists(&self, aor: &Aor) -> bool {
        let domain = self.domain(aor.domain());
        domain.is_some_and(|domain| self.exists_in(domain, aor))
    }

    /// Returns whether an address of record of that domain exists.
    #[must_use]
    pub fn exists_in(&self, domain: &Domain, aor: &Aor) -> bool {
        !aor.user().is_empty()
            && (domain.open
                || self.account(aor.as_str()).is_some()
                || domain.is_orbit(aor.user())
                || domain.is_resource(aor.user())
                || self.is_list(aor))
    }

    /// Returns whether an address of record is a park orbit.
    #[must_use]
    pub fn is_orbit(&self, aor: &Aor) -> bool {
        self.domain(aor.domain())
            .is_some_and(|domain| domain.is_orbit(aor.user()))
    }

    /// The tenant of the domain with that name or alias.
    fn tenant(&self, domain: &str) -> Option<&Tenant> {
        self.tenants.get(*self.domains_by_name.get(domain)?)
    }

    /// Mutable access to the tenant of the domain with that name or alias.
    fn tenant_mut(&mut self, domain: &str) -> Option<&mut Tenant> {
        let index = *self.domains_by_name.get(domain)?;
        Arc::make_mut(&mut self.tenants).get_mut(index)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
