//! Who is served: domains with their rules, accounts with their secrets. Read-only, shared by all
//! cores, replaced as a whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

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
    /// Shortest expiry of a subscription or publication; shorter is 423.
    pub min_expires: Duration,
    /// Longest expiry; longer is shortened.
    pub max_expires: Duration,
    /// Whether addresses without an account may be watched and published.
    pub open: bool,
    /// Offer SHA-256 before MD5 in challenges (W:A7.1).
    pub sha256: bool,
}

/// Somebody with credentials, who may be watched.
#[derive(Clone, Debug)]
pub struct Account {
    /// H(user:realm:password).
    pub secret: Secret,
    /// May publish for everybody of its domain: a PBX (W:B1.3).
    pub is_feeder: bool,
}

/// Domains and accounts.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    domains: Vec<Domain>,
    domains_by_name: HashMap<Box<str>, usize>,
    accounts: HashMap<Box<str>, Account>,
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
        for name in names {
            self.domains_by_name.insert(name.into(), self.domains.len());
        }
        self.domains.push(domain);
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
            is_feeder: false,
        };
        let key = format!("{user}@{domain}").into_boxed_str();
        self.accounts.insert(key.clone(), account);
        self.accounts.get_mut(&key)
    }

    /// The domain of that name or alias (lower case).
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.get(*self.domains_by_name.get(name)?)
    }

    /// The account of that address of record (`user@domain`, the domain's own name).
    #[must_use]
    pub fn account(&self, aor: &str) -> Option<&Account> {
        self.accounts.get(aor)
    }

    /// All domains, in the order they were added.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }
}

impl Domain {
    /// Whether requests from that address are believed without a digest.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address.to_canonical()))
    }
}
