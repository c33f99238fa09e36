//! Domains and their accounts, as configured.

use serde_json::{Value, json};

use crate::directory::tokens::Role;
use crate::directory::{AuthMode, Directory, Domain};
use crate::http::api::cursor::{self, Page};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::representation::configured;
use crate::http::site::Site;
use crate::presence::Aor;

impl<E: Engine> Operation<E> {
    /// What is asked of domains and accounts.
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
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "accounts",
                role: Some(Role::Reader),
                summary: "List accounts, of one domain or of all that the token is for. No password is shown.",
                parameters: &["domain", "search", "cursor", "limit"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("AccountPage"),
            },
            handler: handler!(accounts),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "accounts/{aor}",
                role: Some(Role::Reader),
                summary: "Show an account. No password is shown.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Tagged("Account"),
            },
            handler: handler!(account),
        },
    ];
}

async fn list<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let domains = directory.domains().iter();
    let domains = domains.filter(|domain| request.caller.is_for(&domain.name));
    let items: Vec<Value> = domains.map(|domain| settings(domain, &directory)).collect();
    Ok(Answer::Json(json!({"items": items})))
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let name = request.domain(&directory)?;
    let domain = directory.domain(&name).ok_or_else(Problem::unavailable)?;
    let mut json = settings(domain, &directory);
    let groups = directory.groups_of(&name).into_iter();
    json["groups"] = groups
        .map(|(name, members)| {
            let members: Vec<&str> = members.iter().map(|aor| aor.as_str()).collect();
            json!({"name": name, "members": members})
        })
        .collect();
    json["policies"] = configured::policies_of(domain, &directory).into();
    Ok(Answer::Json(json))
}

fn settings(domain: &Domain, directory: &Directory) -> Value {
    let accounts = directory.account_aors().into_iter();
    let accounts = accounts.filter(|aor| aor.domain() == domain.name);
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
        "accounts": accounts.count(),
        "orbits": domain.orbits.iter().map(|range| range.count()).sum::<usize>(),
        "resources": domain.resources.iter().map(|range| range.count()).sum::<usize>(),
        "privacy": domain.privacy as u8,
        "max_call_seconds": domain.max_call_duration.as_secs(),
        "min_expires_seconds": domain.min_expires.as_secs(),
        "max_expires_seconds": domain.max_expires.as_secs(),
    })
}

async fn accounts<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let page = Page::of(&request)?;
    let domain = request.query("domain");
    let domain = domain.map(|text| request.caller.domain(text, &directory));
    let domain = domain.transpose()?;
    let text = request.query("search").map(str::to_lowercase);
    let is_wanted = |aor: &Aor| {
        let contains = |text: &String| {
            aor.as_str().to_lowercase().contains(text)
                || directory.name_of(aor).to_lowercase().contains(text)
        };
        request.caller.is_for(aor.domain())
            && domain.as_ref().is_none_or(|domain| domain == aor.domain())
            && text.as_ref().is_none_or(contains)
    };
    let aors: Vec<Aor> = directory
        .account_aors()
        .into_iter()
        .filter(is_wanted)
        .collect();
    let (aors, next) = page.cut(&aors, Aor::as_str);
    let items = aors
        .iter()
        .map(|aor| account_json(aor, &directory))
        .collect();
    Ok(Answer::Json(cursor::json(items, next)))
}

async fn account<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.aor(&directory)?;
    match directory.account(aor.as_str()) {
        Some(_) => Ok(Answer::Json(account_json(&aor, &directory))),
        None => Err(Problem::new(
            ProblemKind::NotFound,
            format!("{aor} has no account"),
        )),
    }
}

fn account_json(aor: &Aor, directory: &Directory) -> Value {
    let account = directory.account(aor.as_str());
    let details = directory.details(aor);
    json!({
        "aor": aor.as_str(),
        "user": aor.user(),
        "domain": aor.domain(),
        "auth_id": account.and_then(|account| account.auth_id()),
        "feeder": account.is_some_and(|account| account.is_feeder),
        "display": details.display,
        "alternative": details.alternative,
        "voicemail": details.voicemail,
        "groups": directory.groups_with(aor),
    })
}
