//! The session of the dashboard: the token is in a cookie that scripts cannot read, so that a script injected
//! into the page cannot steal it.

use hyper::header;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use crate::directory::tokens::Role;
use crate::http::api::caller::{self, COOKIE, Caller};
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
    nothing, with_json,
};
use crate::http::api::problem::Problem;
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::Site;

/// How long the browser keeps it: a working day.
const SECONDS: u32 = 12 * 3600;

impl<E: Engine> Operation<E> {
    /// The session of the dashboard.
    pub(super) const SESSION: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "session",
                role: Some(Role::Reader),
                summary: "Show the name, role and domains of the token.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Session"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Post,
                path: "session",
                role: None,
                summary: "Begin a session of the dashboard: keep the token in a cookie.",
                parameters: &[],
                body: BodySchema::json("Login"),
                answer: AnswerSchema::Json("Session"),
            },
            handler: handler!(begin),
        },
        Self {
            description: Description {
                method: ApiMethod::Delete,
                path: "session",
                role: None,
                summary: "End the session: remove the cookie.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Nothing,
            },
            handler: handler!(end),
        },
    ];
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    Ok(Answer::Json(session(&request.caller, site)))
}

async fn begin<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let text = fields.required_text("token").unwrap_or_default();
    fields.end();
    faults.unless(())?;
    let token = caller::of_token(text, request.peer, site).await?;
    let json = session(&Caller::Bearer(token), site);
    with_cookie(with_json(&json), text, SECONDS, request.is_encrypted)
}

async fn end<E: Engine>(request: ApiRequest, _: &Site<E>) -> ApiResult {
    with_cookie(nothing(), "", 0, request.is_encrypted)
}

fn session<E>(caller: &Caller, site: &Site<E>) -> Value {
    let directory = site.directory();
    let domains = directory.domains().iter();
    let names = domains.map(|domain| domain.name.as_str());
    json!({
        "name": caller.name(),
        "role": caller.role().map(Role::as_str),
        "domains": names.filter(|name| caller.is_for(name)).collect::<Vec<_>>(),
        "all_domains": caller.is_for_all(),
    })
}

/// `SameSite=Strict`: a browser does not send it with requests of other sites' pages.
fn with_cookie(response: Response, token: &str, seconds: u32, is_encrypted: bool) -> ApiResult {
    let secure = if is_encrypted { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={token}; Path=/api/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    let cookie = HeaderValue::try_from(cookie)
        .map_err(|_| Problem::of_body("#/token", "contains characters that no token has"))?;
    Ok(Answer::Whole(response::with(
        response,
        header::SET_COOKIE,
        cookie,
    )))
}
