//! Domains: listed and shown as configured; those that the API keeps are put and removed, with their orbits.

use serde_json::{Value, json};

use crate::directory::Directory;
use crate::directory::managed::ManagedChange;
use crate::directory::tokens::Role;
use crate::http::api::cursor::{self, Page};
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::managed;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::representation::configured;
use crate::http::site::Site;
use crate::presence::event::list::MEMBERS_MAX;

/// Octets of a body.
const OCTETS_MAX: usize = 2 << 20;

impl<E: Engine> Operation<E> {
    /// Operations on domains.
    pub(super) const DOMAINS: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains",
                role: Some(Role::Reader),
                summary: "List the domains that the token is for, by name.",
                parameters: &["cursor", "limit"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("DomainPage"),
            },
            handler: handler!(list),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains/{domain}",
                role: Some(Role::Reader),
                summary: "Show a domain: its settings, groups and policies. What is in settings can be put.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Tagged("Domain"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "domains/{domain}",
                role: Some(Role::Admin),
                summary: "Add or replace a domain, with the keys of [[domain]] in the configuration; a key that is left out gets its default, \
                          but parks_token stays as it is. Like a reload, this reads the operator's configuration file again and puts it into force; \
                          if that has faults, nothing changes (409). The API keeps at most 10,000 domains, each of at most 2 MiB with its groups and \
                          policies; more is refused with 409, and so is a domain of the operator's file.",
                parameters: &[],
                body: BodySchema::Json {
                    schema: "DomainSettings",
                    octets_max: OCTETS_MAX,
                },
                answer: AnswerSchema::Created("Domain"),
            },
            handler: handler!(put),
        },
        Self {
            description: Description {
                method: ApiMethod::Delete,
                path: "domains/{domain}",
                role: Some(Role::Admin),
                summary: "Remove a domain with its groups and policies, and the accounts, lists and rules that the API made in it. Its \
                          subscriptions end, and its people are erased: their calls, notes, do-not-disturb, registrations and history, what they \
                          watch, and their names in the calls and the history of others. Not erased are lists and rules of other domains that name \
                          them, backups, and logs. This is sure once it is acknowledged; a large history takes longer, and until then the name \
                          cannot be put again (409). 409 for a domain of the operator's file, or one that the file names, in a token for example.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Nothing,
            },
            handler: handler!(remove),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains/{domain}/orbits",
                role: Some(Role::Reader),
                summary: "List the park orbits of a domain: ranges and names.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Tagged("Orbits"),
            },
            handler: handler!(orbits),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "domains/{domain}/orbits",
                role: Some(Role::DomainAdmin),
                summary: "Replace the park orbits of a domain that the API keeps: at most 10,000 users. The other settings stay as they are.",
                parameters: &[],
                body: BodySchema::Json {
                    schema: "Orbits",
                    octets_max: OCTETS_MAX,
                },
                answer: AnswerSchema::Tagged("Orbits"),
            },
            handler: handler!(put_orbits),
        },
    ];
}

async fn list<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let page = Page::of(&request)?;
    let domains = directory.domains().iter().map(|domain| &*domain.name);
    let domains = domains.filter(|name| request.caller.is_for(name));
    let mut domains: Vec<&str> = domains.collect();
    domains.sort_unstable();
    let (domains, next) = page.cut(&domains, |name| name);
    let counts = directory.accounts_by_domain();
    let accounts = |name: &str| counts.get(name).copied().unwrap_or_default();
    let items = domains.iter();
    let items = items.filter_map(|name| configured::domain(&directory, name, accounts(name)));
    Ok(Answer::Json(cursor::json(items.collect(), next)))
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let name = &request.domain(&directory)?.name;
    managed::shown(domain_json(&directory, name))
}

async fn put<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let domain = request.path("domain").to_owned();
    let faults = Faults::default();
    let settings = managed::settings(&request.body, "#", &faults);
    let settings = faults.unless(settings)?;
    let change = ManagedChange::PutDomain { domain, settings };
    managed::put(site, &request, change, "domain", domain_json).await
}

async fn remove<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let domain = request.domain(&site.directory())?.name.clone();
    let precondition = managed::conditions(&request.headers, domain_json);
    let change = ManagedChange::RemoveDomain { domain };
    managed::change(site, &request.caller, change, precondition, "domain").await?;
    Ok(Answer::Nothing)
}

async fn orbits<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let name = &request.domain(&directory)?.name;
    managed::shown(orbits_json(&directory, name))
}

async fn put_orbits<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let domain = request.domain(&site.directory())?.name.clone();
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let orbits = fields.required_list("orbits", MEMBERS_MAX);
    let orbits = managed::list(orbits.unwrap_or_default(), "#/orbits", &faults);
    fields.end();
    let orbits = faults.unless(orbits)?;
    let change = ManagedChange::PutOrbits { domain, orbits };
    managed::put(site, &request, change, "domain", orbits_json).await
}

/// A domain as it is shown; None if there is none.
fn domain_json(directory: &Directory, name: &str) -> Option<Value> {
    let domain = directory.domain(name)?;
    let accounts = directory.account_aors_of(name).len();
    let mut json = configured::domain(directory, name, accounts)?;
    json["settings"] = configured::settings(domain, directory);
    let groups = directory.groups_of(name).into_iter();
    json["groups"] = groups
        .map(|(group, members)| {
            let members: Vec<&str> = members.iter().map(|aor| aor.as_str()).collect();
            let is_managed = directory.is_managed_group(name, group);
            json!({"name": group, "members": members, "managed": is_managed})
        })
        .collect();
    let policies = directory.policies_of(name).iter();
    json["policies"] = policies
        .map(|policy| {
            let mut json = configured::policy(policy, domain);
            json["managed"] = directory.is_managed_policy(policy).into();
            json
        })
        .collect();
    Some(json)
}

fn orbits_json(directory: &Directory, name: &str) -> Option<Value> {
    let orbits = directory.domain(name)?.orbits.iter();
    let orbits: Vec<String> = orbits.map(ToString::to_string).collect();
    Some(json!({"orbits": orbits}))
}
