//! The server as a whole: how it is, what it counts, whom it refuses; parked calls.

use serde_json::json;

use crate::directory::tokens::Role;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::Problem;
use crate::http::api::request::ApiRequest;
use crate::http::control::{self, Form};
use crate::http::engine::Engine;
use crate::http::parks;
use crate::http::site::Site;

/// The row of a question about the whole server.
macro_rules! question {
    ($path:literal, $schema:literal, $summary:literal, $handler:path) => {
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
            handler: handler!($handler),
        }
    };
}

impl<E: Engine> Operation<E> {
    /// What is asked of the whole server.
    pub(super) const NODE: &'static [Self] = &[
        question!(
            "node",
            "Node",
            "Show how the server is: readiness, listeners, load.",
            status
        ),
        question!(
            "counters",
            "Counters",
            "Show everything that the server counts.",
            counters
        ),
        question!(
            "refusals",
            "Refusals",
            "List requests that were refused lately.",
            refusals
        ),
        question!(
            "loops",
            "Loops",
            "List phones that keep repeating a failing request.",
            loops
        ),
        question!(
            "lockouts",
            "Lockouts",
            "List who is locked out after wrong credentials.",
            lockouts
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

async fn status<E: Engine>(_: ApiRequest, site: &Site<E>) -> ApiResult {
    let shown = control::status::status(Form::of([]), site).await?;
    Ok(Answer::Json(shown.json()))
}

async fn counters<E: Engine>(_: ApiRequest, site: &Site<E>) -> ApiResult {
    let shown = control::status::counters(Form::of([]), site).await?;
    Ok(Answer::Json(shown.json()))
}

async fn refusals<E: Engine>(_: ApiRequest, site: &Site<E>) -> ApiResult {
    let shown = control::refusals::show(Form::of([]), site).await?;
    Ok(Answer::Json(shown.json()))
}

async fn loops<E: Engine>(_: ApiRequest, site: &Site<E>) -> ApiResult {
    let shown = control::loops::show(Form::of([]), site).await?;
    Ok(Answer::Json(shown.json()))
}

async fn lockouts<E: Engine>(_: ApiRequest, site: &Site<E>) -> ApiResult {
    let shown = control::lockouts::show(Form::of([]), site).await?;
    Ok(Answer::Json(shown.json()))
}

async fn lift<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let form = Form::of([("who", request.path("who").to_owned())]);
    let lifted = control::lockouts::lift(form, site).await;
    Ok(Answer::Json(lifted.map_err(Problem::of_query)?.json()))
}

async fn reload<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let accepts = request.is_true("accept_removal")?;
    let accepts = accepts.then(|| ("accept_removal", "yes".to_owned()));
    let reloaded = control::reload::reload(Form::of(accepts), site).await?;
    Ok(Answer::Json(reloaded.json()))
}

async fn parked_calls<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let name = request.domain(&directory)?;
    let domain = directory.domain(&name).ok_or_else(Problem::unavailable)?;
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
