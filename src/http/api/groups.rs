//! The groups of a domain: shown, put, removed.

use serde_json::{Value, json};

use crate::directory::Directory;
use crate::directory::managed::{ChangeRefusal, ManagedChange};
use crate::directory::tokens::Role;
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::managed;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::site::Site;
use crate::presence::event::list::MEMBERS_MAX;
use crate::presence::policy::{People, WatcherCondition};

impl<E: Engine> Operation<E> {
    /// Operations on groups.
    pub(super) const GROUPS: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains/{domain}/groups/{group}",
                role: Some(Role::Reader),
                summary: "Show a group of a domain with its members, in their order.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Tagged("Group"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "domains/{domain}/groups/{group}",
                role: Some(Role::DomainAdmin),
                summary: "Add or replace a group, of at most 10,000 members. It is a list, too. A group of the operator's configuration file is refused with 409.",
                parameters: &[],
                body: BodySchema::Json {
                    schema: "NewGroup",
                    octets_max: 2 << 20,
                },
                answer: AnswerSchema::Created("Group"),
            },
            handler: handler!(put),
        },
        Self {
            description: Description {
                method: ApiMethod::Delete,
                path: "domains/{domain}/groups/{group}",
                role: Some(Role::DomainAdmin),
                summary: "Remove a group. Subscriptions to its list end. 409 if a policy or any_dn names it, or it is of the operator's configuration file.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Nothing,
            },
            handler: handler!(remove),
        },
    ];
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let domain = request.domain(&directory)?;
    let group = request.path("group");
    let json = group_json(&directory, &domain.name, group);
    json.map(Answer::Json).ok_or_else(|| {
        let why = format!("{} has no group \"{group}\"", domain.name);
        Problem::new(ProblemKind::NotFound, why)
    })
}

async fn put<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let domain = request.domain(&site.directory())?.name.clone();
    let group = request.path("group").to_owned();
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let members = fields.required_list("members", MEMBERS_MAX);
    let members = managed::list(members.unwrap_or_default(), "#/members", &faults);
    fields.end();
    let members = faults.unless(members)?;
    let change = ManagedChange::PutGroup {
        domain,
        group: group.clone(),
        members,
    };
    let show = move |directory: &Directory, domain: &str| group_json(directory, domain, &group);
    managed::put(site, &request, change, "group", show).await
}

async fn remove<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let domain = request.domain(&site.directory())?.name.clone();
    let group = request.path("group").to_owned();
    let conditions = managed::conditions(&request.headers, {
        let group = group.clone();
        move |directory, domain| group_json(directory, domain, &group)
    });
    let name = group.clone();
    let precondition = Box::new(move |directory: &Directory, domain: &str| {
        if group_json(directory, domain, &name).is_some() {
            conditions(directory, domain)?;
        }
        match user_of(directory, domain, &name) {
            Some(user) => Err(ChangeRefusal::Conflict(format!(
                "{user} names the group: change that first"
            ))),
            None => Ok(()),
        }
    });
    let change = ManagedChange::RemoveGroup { domain, group };
    managed::change(site, &request.caller, change, precondition, "group").await?;
    Ok(Answer::Nothing)
}

/// A group as it is shown; None if there is none.
pub(super) fn group_json(directory: &Directory, domain: &str, group: &str) -> Option<Value> {
    let members = directory.group(domain, group)?.iter();
    let members: Vec<&str> = members.map(|member| &*member.uri).collect();
    Some(json!({
        "domain": domain,
        "name": group,
        "members": members,
        "managed": directory.is_managed_group(domain, group),
    }))
}

/// What names a group, which without it would name a user.
fn user_of(directory: &Directory, domain: &str, group: &str) -> Option<String> {
    let is_it = |people: &People| matches!(people, People::Group(name) if **name == *group);
    let mut policies = directory.policies_of(domain).iter();
    let policy = policies.find(|policy| {
        let watchers = match &policy.watcher {
            WatcherCondition::People(people) => is_it(people),
            _ => false,
        };
        watchers || is_it(&policy.presentity)
    });
    let any_dn = directory.domain(domain)?.any_dn.iter().any(is_it);
    match policy {
        Some(policy) => Some(format!("policy {}", policy.number)),
        None => any_dn.then(|| "any_dn of the domain".to_owned()),
    }
}
