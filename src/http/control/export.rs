//! `GET /export`: all that an operator has configured, in the configuration and by commands: domains with their
//! accounts, orbits, resources, groups, lists, policies and rules; profiles; notes and other statements,
//! also about users of open domains, who have no account. `representation/export.rs` documents the form.

use crate::directory::{Directory, Domain};
use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::configured;
use crate::http::representation::export::{Account, Export, List, Ranges, Statements};
use crate::http::representation::rules::Rules;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::shard::{Command, Reply, ShardId};

/// Collects it. A shard that does not respond fails the whole: an export must not be incomplete.
pub(crate) async fn export<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    let directory = site.directory();
    let statements = statements(site).await?;
    let aors = directory.account_aors();
    let accounts = aors.iter().map(|aor| account(aor, &directory)).collect();
    let rules = directory.rules_documents_by_aor().into_iter();
    Ok(Box::new(Export {
        domains: directory
            .domains()
            .iter()
            .map(|domain| domain.name.clone())
            .collect(),
        accounts,
        orbits: directory.domains().iter().map(orbits).collect(),
        resources: directory.domains().iter().map(resources).collect(),
        groups: configured::groups(&directory),
        policies: configured::policies(&directory),
        profiles: configured::profiles(&directory),
        lists: directory
            .stored_lists()
            .into_iter()
            .map(|(aor, list)| List {
                aor,
                list: list.clone(),
            })
            .collect(),
        rules: rules
            .map(|(aor, rules)| Rules {
                aor,
                rules: rules.to_vec(),
            })
            .collect(),
        statements,
    }))
}

fn orbits(domain: &Domain) -> Ranges {
    Ranges::of(domain, &domain.orbits)
}

fn resources(domain: &Domain) -> Ranges {
    Ranges::of(domain, &domain.resources)
}

fn account(aor: &Aor, directory: &Directory) -> Account {
    Account {
        aor: aor.clone(),
        name: directory.name_of(aor).into(),
        is_feeder: directory
            .account(aor.as_str())
            .is_some_and(|account| account.is_feeder),
    }
}

/// The statements of the operator, of all shards, by address.
async fn statements<E: Engine>(site: &Site<E>) -> Result<Vec<Statements>, ControlRefusal> {
    let mut all = Vec::new();
    for shard in (0..site.engine.shards()).map(ShardId) {
        let mut next = Some(0);
        while let Some(from) = next {
            let reply = site.engine.ask(shard, Command::Stated { from }).await;
            let Ok(Reply::Stated(stated, then)) = reply else {
                return Err(ControlRefusal::Silent);
            };
            all.extend(
                stated
                    .into_iter()
                    .map(|(aor, contributions)| Statements { aor, contributions }),
            );
            next = then;
        }
    }
    all.sort_unstable_by(|one, other| one.aor.cmp(&other.aor));
    Ok(all)
}
