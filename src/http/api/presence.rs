//! The state of one address or of many, why it is so, and who watches it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::changes::shown;
use crate::directory::tokens::Role;
use crate::directory::user_range::UserRange;
use crate::directory::{Directory, Domain};
use crate::http::api::cursor::{self, Page};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler, shown,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::control::{self, Form};
use crate::http::engine::Engine;
use crate::http::site::{Site, by_owner};
use crate::presence::Aor;
use crate::shard::contract::report::PresentityState;
use crate::shard::{Command, Reply};

/// Addresses that one request may name.
const AORS_MAX: usize = 1_000;
/// Addresses that one command asks for: a longer command would hold up its shard.
const AORS_PER_COMMAND: usize = 500;

impl<E: Engine> Operation<E> {
    /// Questions about presentities.
    pub(super) const PRESENCE: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "presence",
                role: Some(Role::Reader),
                summary: "List the states of addresses: those named, or all of a domain that have an account, an orbit or a resource.",
                parameters: &["aor*", "domain", "search", "cursor", "limit"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("StatePage"),
            },
            handler: handler!(list),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "presence/{aor}",
                role: Some(Role::Reader),
                summary: "Explain the state of an address: every contribution, and which one decides.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Explanation"),
            },
            handler: handler!(explain),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "presence/{aor}/subscriptions",
                role: Some(Role::Reader),
                summary: "List the subscriptions to an address or a list.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Watchers"),
            },
            handler: handler!(watchers),
        },
        Self {
            description: Description {
                method: ApiMethod::Post,
                path: "presence/{aor}/reset",
                role: Some(Role::DomainAdmin),
                summary: "Send every watcher of an address a NOTIFY with the full state.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Reset"),
            },
            handler: handler!(reset),
        },
    ];
}

async fn list<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let page = Page::of(&request)?;
    let named = request.queries("aor");
    let named: Result<Vec<Aor>, Problem> = named
        .map(|text| request.caller.aor(text, &directory))
        .collect();
    let mut aors = named?;
    match (aors.is_empty(), request.query("domain")) {
        (true, Some(domain)) => {
            aors = addresses_of(request.caller.domain(domain, &directory)?, &directory);
        }
        (false, None) if aors.len() > AORS_MAX => {
            let why = format!("may be given at most {AORS_MAX} times");
            return Err(Problem::of_parameter("aor", why));
        }
        (false, None) => {}
        _ => {
            let why = "give either addresses, aor, or a domain";
            return Err(Problem::of_parameter("aor", why));
        }
    }
    request.search(&mut aors, &directory);
    aors.sort_unstable();
    aors.dedup();
    let (aors, next) = page.cut(&aors, Aor::as_str);
    let states = states(aors, site).await?;
    let items = states.iter().map(|state| item(state, &directory));
    Ok(Answer::Json(cursor::json(items.collect(), next)))
}

/// A state, with what the configuration says of its address.
fn item(state: &PresentityState, directory: &Directory) -> Value {
    let mut json = shown::of_state(state, directory);
    json["kind"] = kind(&state.aor, directory).into();
    json["groups"] = json!(directory.groups_with(&state.aor));
    json
}

fn kind(aor: &Aor, directory: &Directory) -> &'static str {
    let domain = directory.domain(aor.domain());
    if directory.account(aor.as_str()).is_some() {
        "account"
    } else if domain.is_some_and(|domain| domain.is_orbit(aor.user())) {
        "orbit"
    } else if domain.is_some_and(|domain| domain.is_resource(aor.user())) {
        "resource"
    } else {
        "other"
    }
}

/// Accounts, orbits and resources of a domain, in order.
fn addresses_of(domain: &Domain, directory: &Directory) -> Vec<Aor> {
    let accounts = directory.account_aors_of(&domain.name).into_iter();
    let ranges = domain.orbits.iter().chain(&domain.resources);
    let others = ranges.flat_map(UserRange::users);
    let others = others.map(|user| Aor::new(&user, &domain.name));
    // Ranges may overlap.
    let all: BTreeSet<Aor> = accounts.chain(others).collect();
    all.into_iter().collect()
}

/// The states of addresses, in their order.
pub(super) async fn states<E: Engine>(
    aors: &[Aor],
    site: &Site<E>,
) -> Result<Vec<PresentityState>, Problem> {
    let mut states = Vec::with_capacity(aors.len());
    let owned = aors.iter().cloned();
    for (shard, aors) in by_owner(owned, |aor| aor, site.engine.shards()) {
        for aors in aors.chunks(AORS_PER_COMMAND) {
            let command = Command::States {
                aors: aors.to_vec(),
                peer_system: None,
            };
            let Ok(Reply::States(of_shard)) = site.engine.ask(shard, command).await else {
                return Err(Problem::unavailable());
            };
            states.extend(of_shard);
        }
    }
    states.sort_unstable_by(|one, other| one.aor.cmp(&other.aor));
    Ok(states)
}

async fn explain<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.known_aor(&directory)?;
    if directory.is_list(&aor) {
        let why = format!("{aor} is a list, which has no state of its own: see /lists/{aor}");
        return Err(Problem::new(ProblemKind::Conflict, why));
    }
    let explained = control::why::show(Form::of([("aor", aor.to_string())]), site).await?;
    let mut json = explained.json();
    let states = states(std::slice::from_ref(&aor), site).await?;
    if let Some(state) = states.first() {
        json["state"] = item(state, &directory);
    }
    Ok(Answer::Json(json))
}

async fn watchers<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let aor = request.known_aor(&site.directory())?;
    let form = Form::of([("aor", aor.to_string())]);
    shown(control::watchers::show(form, site)).await
}

async fn reset<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let aor = request.known_aor(&site.directory())?;
    let pick = |reply| match reply {
        Reply::NotifiedAnew(count) => Some(vec![count]),
        _ => None,
    };
    let command = || Command::NotifyAnew(aor.clone());
    let (counts, silent) = site.ask_all(command, pick).await;
    match silent.is_empty() {
        true => Ok(Answer::Json(
            json!({"watchers": counts.iter().sum::<usize>()}),
        )),
        false => Err(Problem::unavailable()),
    }
}
