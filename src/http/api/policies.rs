//! The policies that the API keeps for a domain, as one ordered list. Those of the operator's configuration file
//! are tried before them.

use serde_json::{Map, Value, json};

use crate::directory::Directory;
use crate::directory::managed::{ManagedChange, Settings};
use crate::directory::tokens::Role;
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::managed;
use crate::http::api::operation::{
    AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::representation::configured;
use crate::http::site::Site;

/// Policies of one request; the configuration keeps fewer.
const POLICIES_MAX: usize = 10_000;
/// The keys of a policy that can be put.
const KEYS: [&str; 5] = ["watcher", "presentity", "package", "handling", "privacy"];

impl<E: Engine> Operation<E> {
    /// Operations on policies.
    pub(super) const POLICIES: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains/{domain}/policies",
                role: Some(Role::Reader),
                summary: "List the policies that the API keeps for a domain, in the order in which they are tried. They can be put again.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Tagged("Policies"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "domains/{domain}/policies",
                role: Some(Role::DomainAdmin),
                summary: "Replace the policies that the API keeps for a domain: at most 100, tried in this order after those of the operator's \
                          configuration file. Live subscriptions follow at once.",
                parameters: &[],
                body: BodySchema::json("Policies"),
                answer: AnswerSchema::Tagged("Policies"),
            },
            handler: handler!(put),
        },
    ];
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let name = &request.domain(&directory)?.name;
    managed::shown(policies_json(&directory, name))
}

async fn put<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let domain = request.domain(&site.directory())?.name.clone();
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let policies = fields.required_list("policies", POLICIES_MAX);
    let policies = policies.unwrap_or_default().iter().enumerate();
    let policies: Vec<Settings> = policies
        .map(|(index, policy)| managed::settings(policy, &format!("#/policies/{index}"), &faults))
        .collect();
    fields.end();
    let policies = faults.unless(policies)?;
    let change = ManagedChange::PutPolicies { domain, policies };
    managed::put(site, &request, change, "domain", policies_json).await
}

/// The policies as they can be put again.
fn policies_json(directory: &Directory, name: &str) -> Option<Value> {
    let domain = directory.domain(name)?;
    let policies = directory.policies_of(name).iter();
    let policies = policies.filter(|policy| directory.is_managed_policy(policy));
    let policies = policies.map(|policy| {
        let json = configured::policy(policy, domain);
        let keys = KEYS.iter().filter(|key| !json[**key].is_null());
        keys.map(|key| ((*key).to_owned(), json[*key].clone()))
            .collect::<Map<String, Value>>()
    });
    let policies: Vec<Map<String, Value>> = policies.collect();
    Some(json!({"policies": policies}))
}
