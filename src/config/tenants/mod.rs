//! Tenants: domains with their accounts, groups, lists and policies, and profiles. They become the
//! directory.
//!
//! Each file checks one table and adds it to the directory. The names of the configuration are read
//! first (`names`), because a table may refer to a later one.

mod accounts;
mod domains;
mod lists;
mod names;
mod policies;
mod profiles;

use std::collections::HashSet;

pub use profiles::SHIPPED_FILE;

use crate::config::complaint::Complainer;
use crate::config::schema::Config;
use crate::config::tenants::names::Names;
use crate::directory::Directory;

/// Domains, accounts, groups, lists, policies, profiles.
pub(super) fn directory(
    config: &Config,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Directory {
    let mut directory = Directory::default();
    let names = Names::new(config);
    domains::add_domains(config, &names, &mut directory, complainer, notes);
    let mut added = HashSet::new();
    for account in &config.account {
        accounts::add_account(account, &names, &mut directory, &mut added, complainer);
    }
    for domain in &config.domain {
        domains::names_without_account(domain, &names, &directory, complainer);
    }
    lists::add_groups(config, &names, &mut directory, complainer);
    lists::add_lists(config, &names, &mut directory, complainer);
    lists::note_strangers(config, &names, &directory, complainer, notes);
    policies::add_policies(config, &names, &mut directory, complainer, notes);
    directory.set_profiles(profiles::table(&config.profile, complainer));
    if config.domain.is_empty() {
        notes.push("there is no [[domain]]: every request will be rejected with 404".to_owned());
    }
    directory
}
