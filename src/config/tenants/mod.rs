//! Tenants: domains with their accounts, groups, lists and policies, profiles, and the tokens of the HTTP
//! API. They become the directory. Beside it: the relays but those by SIP.
//!
//! Each file checks one table and adds it to the directory. The names of the configuration are read
//! first (`names`), because a table may refer to a later one.

mod accounts;
mod accounts_file;
mod connectors;
mod domains;
mod feeds;
mod lists;
mod names;
mod peer_systems;
mod policies;
mod profiles;
mod proof;
mod relays;
mod secret_file;
mod servers;
mod sip_relays;
mod tokens;

use std::collections::HashSet;

pub use profiles::SHIPPED_FILE;

use crate::config::complaint::{Complainer, Source};
use crate::config::schema::Config;
use crate::config::tenants::accounts::Accounts;
use crate::config::tenants::names::Names;
use crate::config::tenants::relays::RelayReader;
use crate::config::tenants::secret_file::note_exposure;
use crate::directory::Directory;
use crate::directory::managed::Managed;
use crate::relay::RelayPlan;

/// Domains, accounts, groups, lists, policies, profiles.
pub(super) fn directory(
    config: &Config,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Directory {
    let mut directory = Directory::default();
    let names = Names::new(config, complainer);
    domains::add_domains(config, &names, &mut directory, complainer, notes);
    add_accounts(config, &names, &mut directory, complainer, notes);
    for domain in &config.domain {
        domains::names_without_account(domain, &names, &directory, complainer);
    }
    lists::add_groups(config, &names, &mut directory, complainer);
    lists::add_lists(config, &names, &mut directory, complainer);
    lists::note_strangers(config, &names, &directory, complainer, notes);
    policies::add_policies(config, &names, &mut directory, complainer, notes);
    notes.extend(note_waiting(config, &names, complainer));
    directory.set_profiles(profiles::table(&config.profile, complainer));
    directory.set_feeds(feeds::read(&config.feed, &names, complainer));
    directory.set_connectors(connectors::read(config, &names, complainer, notes));
    directory.set_sip_relays(sip_relays::read(config, &names, complainer, notes));
    directory.set_peer_systems(peer_systems::read(config, &names, complainer));
    directory.set_tokens(tokens::read(&config.token, &names, complainer));
    directory.set_managed(managed(config, &names, complainer));
    if config.domain.is_empty() {
        notes.push("there is no [[domain]]: every request will be rejected with 404".to_owned());
    }
    directory
}

/// The relays but those by SIP, which are in the directory.
pub(super) fn relays(
    config: &Config,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Vec<RelayPlan> {
    let mut reader = RelayReader {
        names: &Names::new(config, complainer),
        data_dir: config.data_dir(),
        complainer,
        notes,
    };
    reader.read(&config.relay)
}

/// Notes groups and policies of the HTTP API that wait for their domain.
fn note_waiting(config: &Config, names: &Names, complainer: &Complainer<'_>) -> Option<String> {
    let groups = config.group.iter().map(|group| &group.domain);
    let domains = groups.chain(config.policy.iter().map(|policy| &policy.domain));
    let mut waiting = domains.filter(|domain| names.waits(domain, complainer));
    let first = waiting.next()?;
    let count = waiting.count() + 1;
    let what = format!(
        "{count} groups and policies of the HTTP API are not in force, because their domain is missing: first \"{}\"",
        first.get_ref()
    );
    Some(complainer.note(&first.span(), &what))
}

/// What stands in the file of the HTTP API.
fn managed(config: &Config, names: &Names, complainer: &Complainer<'_>) -> Managed {
    let domains = config.domain.iter().map(|domain| &domain.name);
    let domains = domains.filter(|name| complainer.is_managed(&name.span()));
    let domains = domains.filter_map(|name| names.known(name.get_ref()));
    let groups = config.group.iter();
    let groups = groups.filter(|group| complainer.is_managed(&group.name.span()));
    let groups = groups.filter_map(|group| {
        let domain = names.known(group.domain.get_ref())?;
        Some((domain.into(), group.name.get_ref().as_str().into()))
    });
    let mut policies = config.policy.iter();
    let first = policies.position(|policy| complainer.is_managed(&policy.domain.span()));
    Managed {
        domains: domains.map(Into::into).collect(),
        groups: groups.collect(),
        first_policy: first.and_then(|operators| u16::try_from(operators + 1).ok()),
        file: complainer.managed().map(Source::hash),
    }
}

/// The accounts of the configuration and of the accounts file.
fn add_accounts(
    config: &Config,
    names: &Names,
    directory: &mut Directory,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) {
    let has_tokens = |is_managed| {
        let mut domains = config.domain.iter();
        domains.any(|domain| {
            !domain.parks_token.0.is_empty()
                && complainer.is_managed(&domain.name.span()) == is_managed
        })
    };
    let mut connectors = config.connector.iter();
    let has_password = connectors.any(|connector| connector.password.is_some());
    if !config.account.is_empty() || has_tokens(false) || has_password {
        notes.extend(note_exposure(complainer.source().name.as_ref()));
    }
    if let Some(managed) = complainer.managed().filter(|_| has_tokens(true)) {
        notes.extend(note_exposure(managed.name.as_ref()));
    }
    let mut accounts = Accounts {
        names,
        directory,
        notes,
        added: HashSet::new(),
    };
    for account in &config.account {
        accounts.add(account, complainer);
    }
    let Some(file) = &config.accounts.file else {
        return;
    };
    let remedy = "name an existing file in [accounts], and let the server's user read it";
    let read = Source::read_or(file.get_ref(), remedy);
    let added = read.and_then(|source| accounts_file::add_accounts(&source, &mut accounts));
    if let Err(complaints) = added {
        complainer.append(complaints);
    }
}
