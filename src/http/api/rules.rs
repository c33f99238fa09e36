//! A presentity's own rules on who may watch it (RFC 4745, 5025).

use serde_json::json;

use crate::directory::tokens::Role;
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BODY_OCTETS_MAX, BodySchema, Description,
    Operation, handler, shown,
};
use crate::http::api::request::ApiRequest;
use crate::http::control::{self, Form};
use crate::http::engine::Engine;
use crate::http::site::Site;
use crate::presence::policy::Handling;

/// How one watcher may be handled.
const HANDLINGS: [(&str, Handling); 3] = [
    ("allow", Handling::Allow),
    ("polite-block", Handling::PoliteBlock),
    ("block", Handling::Block),
];

impl<E: Engine> Operation<E> {
    /// Operations on rules.
    pub(super) const RULES: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "rules/{aor}",
                role: Some(Role::Reader),
                summary: "Show the rules of an address on who may watch it.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Rules"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "rules/{aor}",
                role: Some(Role::DomainAdmin),
                summary: "Replace the rules of an address by a ruleset of RFC 4745 and 5025. At most 10,000 addresses of a domain have rules of their own (409).",
                parameters: &[],
                body: BodySchema::Document {
                    media_type: "application/auth-policy+xml",
                    octets_max: BODY_OCTETS_MAX,
                },
                answer: AnswerSchema::Json("Rules"),
            },
            handler: handler!(import),
        },
        Self {
            description: Description {
                method: ApiMethod::Delete,
                path: "rules/{aor}",
                role: Some(Role::DomainAdmin),
                summary: "Remove the rules of an address.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Nothing,
            },
            handler: handler!(remove),
        },
        Self {
            description: Description {
                method: ApiMethod::Put,
                path: "rules/{aor}/watchers/{watcher}",
                role: Some(Role::DomainAdmin),
                summary: "Allow or block one watcher of an address.",
                parameters: &[],
                body: BodySchema::json("WatcherDecision"),
                answer: AnswerSchema::Json("Rules"),
            },
            handler: handler!(decide),
        },
    ];
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let aor = request.known_aor(&site.directory())?;
    let form = Form::of([("aor", aor.to_string())]);
    match control::rules::show(form, site).await {
        Ok(rules) => Ok(Answer::Json(rules.json())),
        // Without rules, the list is empty.
        Err(control::ControlRefusal::NoRules(aor)) => {
            Ok(Answer::Json(json!({"aor": aor.as_str(), "rules": []})))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

async fn import<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let aor = request.known_aor(&site.directory())?;
    let form = Form::of([("aor", aor.to_string())]).with_document(request.document);
    shown(control::rules::import(form, site)).await
}

async fn remove<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let aor = request.known_aor(&site.directory())?;
    control::rules::remove(Form::of([("aor", aor.to_string())]), site).await?;
    Ok(Answer::Nothing)
}

async fn decide<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let aor = request.known_aor(&site.directory())?;
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let handling = fields.required_word("handling", &HANDLINGS);
    fields.end();
    let handling = faults.unless(handling.unwrap_or(Handling::Block))?;
    let form = Form::of([
        ("aor", aor.to_string()),
        ("watcher", request.path("watcher").to_owned()),
    ]);
    shown(control::rules::decide(form, site, handling)).await
}
