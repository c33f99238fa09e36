//! Domains, as configured.

use serde_json::{Value, json};

use crate::directory::tokens::Role;
use crate::directory::{AuthMode, Domain};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::representation::configured;
use crate::http::site::Site;

impl<E: Engine> Operation<E> {
    /// Questions about domains.
    pub(super) const DOMAINS: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains",
                role: Some(Role::Reader),
                summary: "List the domains that the token is for.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Domains"),
            },
            handler: handler!(list),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains/{domain}",
                role: Some(Role::Reader),
                summary: "Show a domain: its settings, groups and policies.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Domain"),
            },
            handler: handler!(show),
        },
    ];
}

async fn list<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let domains = directory.domains().iter();
    let domains = domains.filter(|domain| request.caller.is_for(&domain.name));
    let counts = directory.accounts_by_domain();
    let accounts = |name: &str| counts.get(name).copied().unwrap_or_default();
    let items = domains.map(|domain| settings(domain, accounts(&domain.name)));
    let items: Vec<Value> = items.collect();
    Ok(Answer::Json(json!({"items": items})))
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let domain = request.domain(&directory)?;
    let mut json = settings(domain, directory.account_aors_of(&domain.name).len());
    let groups = directory.groups_of(&domain.name).into_iter();
    json["groups"] = groups
        .map(|(name, members)| {
            let members: Vec<&str> = members.iter().map(|aor| aor.as_str()).collect();
            json!({"name": name, "members": members})
        })
        .collect();
    json["policies"] = configured::policies_of(domain, &directory).into();
    Ok(Answer::Json(json))
}

fn settings(domain: &Domain, accounts: usize) -> Value {
    json!({
        "name": domain.name,
        "auth": match domain.auth {
            AuthMode::Digest => "digest",
            AuthMode::Trusted => "trusted",
            AuthMode::None => "none",
        },
        "open": domain.open,
        "registrar": domain.is_registrar,
        "reveal_number": domain.reveal_number,
        "accounts": accounts,
        "orbits": domain.orbits.iter().map(|range| range.count()).sum::<usize>(),
        "resources": domain.resources.iter().map(|range| range.count()).sum::<usize>(),
        "privacy": domain.privacy as u8,
        "max_call_seconds": domain.max_call_duration.as_secs(),
        "min_expires_seconds": domain.min_expires.as_secs(),
        "max_expires_seconds": domain.max_expires.as_secs(),
    })
}
