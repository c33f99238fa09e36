//! The server as a whole: status, counters, refusals, loops, relays, lockouts, reload; and the parked calls of a domain.

use serde_json::json;

use crate::directory::tokens::Role;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler, shown,
};
use crate::http::api::problem::Problem;
use crate::http::api::request::ApiRequest;
use crate::http::control::{self, Form};
use crate::http::engine::Engine;
use crate::http::parks;
use crate::http::site::Site;

/// The row of a question about the whole server, which is a page of the operator.
macro_rules! question {
    ($path:literal, $schema:literal, $summary:literal, $page:path) => {
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: $path,
                role: Some(Role::Admin),
                summary: $summary,
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json($schema),
            },
            handler: |_, site| Box::pin(shown($page(Form::of([]), site))),
        }
    };
}

impl<E: Engine> Operation<E> {
    /// Operations on the whole server.
    pub(super) const NODE: &'static [Self] = &[
        question!(
            "node",
            "Node",
            "Show the status of the server: readiness, listeners, load.",
            control::status::status
        ),
        question!(
            "counters",
            "Counters",
            "Show everything that the server counts.",
            control::status::counters
        ),
        question!(
            "refusals",
            "Refusals",
            "List recently refused requests.",
            control::refusals::show
        ),
        question!(
            "loops",
            "Loops",
            "List phones that keep repeating a failing request.",
            control::loops::show
        ),
        question!(
            "relays",
            "Relays",
            "List the relays to other systems, and how each is.",
            control::relays::show
        ),
        question!(
            "lockouts",
            "Lockouts",
            "List addresses and accounts that are locked out after wrong credentials.",
            control::lockouts::show
        ),
        Self {
            description: Description {
                method: ApiMethod::Delete,
                path: "lockouts/{who}",
                role: Some(Role::Admin),
                summary: "Lift lockouts: of an IP address, of an account, or all.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Lifted"),
            },
            handler: handler!(lift),
        },
        Self {
            description: Description {
                method: ApiMethod::Post,
                path: "reload",
                role: Some(Role::Admin),
                summary: "Read the configuration again.",
                parameters: &["accept_removal"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Reloaded"),
            },
            handler: handler!(reload),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "domains/{domain}/parked-calls",
                role: Some(Role::Reader),
                summary: "List the calls that are parked in the orbits of a domain.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("ParkedCalls"),
            },
            handler: handler!(parked_calls),
        },
    ];
}

async fn lift<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let form = Form::of([("who", request.path("who").to_owned())]);
    let lifted = control::lockouts::lift(form, site).await;
    Ok(Answer::Json(lifted.map_err(Problem::of_query)?.json()))
}

async fn reload<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let accepts = request.is_true("accept_removal")?;
    let accepts = accepts.then(|| ("accept_removal", "yes".to_owned()));
    shown(control::reload::reload(Form::of(accepts), site)).await
}

async fn parked_calls<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let domain = request.domain(&directory)?;
    let parked = parks::parked_calls(domain, site).await;
    let calls = parked.ok_or_else(Problem::unavailable)?;
    let items = calls.iter().map(|call| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        json!({
            "orbit": call.orbit.as_str(),
            "party": some(&call.identity),
            "display": some(&call.display),
            "parked_seconds": call.age.map(|age| age.as_secs()),
        })
    });
    Ok(Answer::Json(json!({"items": items.collect::<Vec<_>>()})))
}
