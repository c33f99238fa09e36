//! `GET /export`: all that an operator has said: accounts, orbits, resources, lists, rules, notes and
//! other statements. Users of an open domain that have neither account nor orbit nor resource are
//! known to no file: what was said of them is not exported.

use futures_util::future::join_all;

use crate::directory::user_range::UserRange;
use crate::directory::{Directory, Domain};
use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::export::{Account, Export, List, Ranges, Statements};
use crate::http::representation::rules::Rules;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::presence::source::Source;
use crate::shard::contract::report::Contribution;
use crate::shard::{Command, Reply, ShardId};

/// Accounts whose state is asked for at once.
const AT_ONCE: usize = 64;

/// Collects it. A shard that does not respond fails the whole: an export must not be incomplete.
pub(crate) async fn export<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    let directory = site.directory();
    let aors = directory.account_aors();
    let mut statements = Vec::new();
    let without_account = directory.domains().iter().flat_map(users_without_account);
    let known: Vec<Aor> = aors.iter().cloned().chain(without_account).collect();
    for some in known.chunks(AT_ONCE) {
        let asked = some.iter().map(|aor| statements_about(aor, site));
        for found in join_all(asked).await {
            statements.push(found?);
        }
    }
    statements.retain(|about| !about.contributions.is_empty());
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

/// The users of a domain that are configured without an account: park orbits and resources.
fn users_without_account(domain: &Domain) -> impl Iterator<Item = Aor> {
    let ranges = domain.orbits.iter().chain(&domain.resources);
    let users = ranges.flat_map(UserRange::users);
    users.map(|user| Aor::new(&user, &domain.name))
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

async fn statements_about<E: Engine>(
    aor: &Aor,
    site: &Site<E>,
) -> Result<Statements, ControlRefusal> {
    let owner = ShardId::owner_of(aor, site.engine.shards());
    let Ok(Reply::Why(why)) = site.engine.ask(owner, Command::Why(aor.clone())).await else {
        return Err(ControlRefusal::Silent);
    };
    let mut contributions = why.contributions;
    contributions.retain(is_of_operator);
    Ok(Statements {
        aor: aor.clone(),
        contributions,
    })
}

/// Whether the operator said it; otherwise a phone or PBX reported it.
const fn is_of_operator(contribution: &Contribution) -> bool {
    matches!(
        contribution.source,
        Source::Lamp
            | Source::DoNotDisturb
            | Source::Forward
            | Source::Note
            | Source::Presence
            | Source::Messages
            | Source::Appearance
    )
}
