//! Resource lists: shown, put, deleted. Live subscriptions follow at once.

use serde_json::{Value, json};

use crate::directory::lists::{ListFault, StoredList};
use crate::directory::tokens::Role;
use crate::directory::{Directory, Domain};
use crate::http::api::caller::Caller;
use crate::http::api::cursor::{self, Page};
use crate::http::api::entity_tag;
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::control::edit::edit;
use crate::http::control::lists::USER_OCTETS_MAX;
use crate::http::control::{self, ControlRefusal, Form};
use crate::http::engine::Engine;
use crate::http::representation::list;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::presence::event::list::{MEMBERS_MAX, Member};

impl<E: Engine> Operation<E> {
    /// Operations on lists.
    pub(super) const LISTS: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "lists",
                role: Some(Role::Reader),
                summary: "List the stored resource lists, without their members.",
                parameters: &["domain", "cursor", "limit"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("ListPage"),
            },
            handler: handler!(all),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "lists/{aor}",
                role: Some(Role::Reader),
                summary: "Show a list with its members: a stored one, a group, orbits, parked, any-dn.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Tagged("List"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "lists/{aor}",
                role: Some(Role::DomainAdmin),
                summary: "Create or replace a list. Subscribed phones are notified at once. At most 10,000 lists of a domain can differ from the configuration (409).",
                parameters: &[],
                body: BodySchema::Json {
                    schema: "NewList",
                    octets_max: 2 << 20,
                },
                answer: AnswerSchema::Tagged("List"),
            },
            handler: handler!(put),
        },
        Self {
            description: Description {
                method: ApiMethod::Delete,
                path: "lists/{aor}",
                role: Some(Role::DomainAdmin),
                summary: "Delete a list. Its subscriptions end.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Nothing,
            },
            handler: handler!(delete),
        },
    ];
}

async fn all<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let page = Page::of(&request)?;
    let domain = request.query_domain(&directory)?;
    let mut lists = directory.stored_lists();
    lists.retain(|(aor, _)| {
        let is_of = |domain: &Domain| domain.name == aor.domain();
        request.caller.is_for(aor.domain()) && domain.is_none_or(is_of)
    });
    lists.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let (lists, next) = page.cut(&lists, |(aor, _)| aor.as_str());
    let items = lists.iter().map(|(aor, list)| {
        json!({
            "aor": aor.as_str(),
            "name": list.name,
            "style": list::word(list.style),
            "owner": list.owner.as_ref().map(Aor::as_str),
            "members": list.members.len(),
        })
    });
    Ok(Answer::Json(cursor::json(items.collect(), next)))
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.aor(&directory)?;
    Ok(Answer::Json(list_json(&aor, &request.caller, site).await?))
}

/// The list as the operator's command shows it. Of a member in a domain that the caller may not see, only the
/// URI is shown: neither the name nor whether the address exists.
async fn list_json<E: Engine>(
    aor: &Aor,
    caller: &Caller,
    site: &Site<E>,
) -> Result<Value, Problem> {
    let shown = control::lists::show(Form::of([("list", aor.to_string())]), site).await?;
    let mut json = shown.json();
    let directory = site.directory();
    let members = json["members"].as_array_mut().into_iter().flatten();
    for member in members {
        let uri = member["uri"].as_str().unwrap_or_default();
        let address = uri.strip_prefix("sip:").unwrap_or(uri).to_owned();
        let (user, host) = address.rsplit_once('@').unwrap_or_default();
        let domain = directory.domain(host).map(|domain| domain.name.as_str());
        if domain.is_some_and(|domain| !caller.is_for(domain)) {
            member["name"] = user.into();
            member["is_list"] = false.into();
        }
    }
    Ok(json)
}

async fn put<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let aor = request.aor(&site.directory())?;
    if aor.user().is_empty() || aor.user().len() > USER_OCTETS_MAX {
        let why = format!("the user of a list has 1 to {USER_OCTETS_MAX} octets");
        return Err(Problem::of_parameter("aor", why));
    }
    let list = new_list(&request.body, &aor, &site.directory())?;
    let present = list_json(&aor, &request.caller, site).await.ok();
    entity_tag::check(&request.headers, present.as_ref())?;
    let put = |directory: &Directory| {
        // The owner cannot be set here, and stays.
        let owner = directory.stored_list(&aor).ok();
        let owner = owner.and_then(|before| before.owner.clone());
        let list = list.clone();
        let with_list = directory.with_list(&aor, StoredList { owner, ..list });
        with_list.map_err(ControlRefusal::from)
    };
    edit(site, &aor, put).await?;
    Ok(Answer::Json(list_json(&aor, &request.caller, site).await?))
}

fn new_list(body: &Value, aor: &Aor, directory: &Directory) -> Result<StoredList, Problem> {
    let faults = Faults::default();
    let fields = Fields::of(body, "#", &faults);
    let name = fields.text("name").map(Into::into);
    let style = fields.word("style", &list::STYLES).unwrap_or_default();
    let members = fields
        .required_list("members", MEMBERS_MAX)
        .unwrap_or_default();
    let members: Vec<Member> = members
        .iter()
        .enumerate()
        .filter_map(|(index, value)| {
            let member = value.as_str().ok_or_else(|| "must be a string".to_owned());
            let member = member.and_then(|text| {
                directory
                    .member(text, aor.domain())
                    .map_err(|fault: ListFault| fault.to_string())
            });
            member
                .map_err(|why| faults.add(format!("#/members/{index}"), why))
                .ok()
        })
        .collect();
    fields.end();
    faults.unless(StoredList {
        name,
        style,
        owner: None,
        members,
    })
}

async fn delete<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.aor(&directory)?;
    if directory.stored_list(&aor).is_err() {
        let why = format!("there is no stored list {aor}");
        return Err(Problem::new(ProblemKind::NotFound, why));
    }
    let present = list_json(&aor, &request.caller, site).await.ok();
    entity_tag::check(&request.headers, present.as_ref())?;
    let without = |directory: &Directory| {
        let without = directory.without_list(&aor);
        without.map_err(ControlRefusal::from)
    };
    edit(site, &aor, without).await?;
    Ok(Answer::Nothing)
}
