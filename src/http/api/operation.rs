//! The operations of the API, and what all of them share: who may call them, the request that a handler gets,
//! and how its answer is sent.

use std::net::IpAddr;

use futures_util::future::LocalBoxFuture;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode, header};
use serde_json::Value;

use crate::directory::tokens::Role;
use crate::http::api::caller::{self, Caller, Presented};
use crate::http::api::entity_tag;
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::control::ControlResult;
use crate::http::engine::Engine;
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::{Endpoint, Site};

/// The beginning of all paths of the API.
pub(crate) const PREFIX: &str = "/api/v1/";
/// Octets of a body, unless an operation takes more.
pub(super) const BODY_OCTETS_MAX: usize = 256 << 10;

/// The method of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiMethod {
    /// GET, and HEAD for the head of the same response.
    Get,
    Post,
    Put,
    Delete,
}

/// An operation as its table describes it.
pub(super) struct Description {
    pub(super) method: ApiMethod,
    /// The path below [`PREFIX`], with `{name}` for a segment that may be anything.
    pub(super) path: &'static str,
    /// The least role of the caller; None if the operation needs no token.
    pub(super) role: Option<Role>,
    /// What it does, in a sentence.
    pub(super) summary: &'static str,
    /// The parameters of the query, by their names in `schemas.json`. One with `*` at its end may be
    /// repeated.
    pub(super) parameters: &'static [&'static str],
    pub(super) body: BodySchema,
    pub(super) answer: AnswerSchema,
}

/// The body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodySchema {
    None,
    /// JSON of this schema.
    Json {
        schema: &'static str,
        octets_max: usize,
    },
    /// Another media type.
    Document {
        media_type: &'static str,
        octets_max: usize,
    },
}

impl BodySchema {
    /// JSON of this schema, of the usual length.
    pub(super) const fn json(schema: &'static str) -> Self {
        Self::Json {
            schema,
            octets_max: BODY_OCTETS_MAX,
        }
    }
}

/// The body of a response to a request that succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerSchema {
    /// JSON of this schema.
    Json(&'static str),
    /// JSON of this schema with an entity tag, because several clients may edit it.
    Tagged(&'static str),
    /// The same of what a PUT may make: 201 if it is new.
    Created(&'static str),
    /// Nothing: 204.
    Nothing,
    /// Another media type.
    Document(&'static str),
}

/// An operation.
pub(super) struct Operation<E: 'static> {
    pub(super) description: Description,
    pub(super) handler: ApiHandler<E>,
}

/// The handler of an operation.
pub(super) type ApiHandler<E> =
    for<'s> fn(ApiRequest, &'s Site<E>) -> LocalBoxFuture<'s, ApiResult>;

/// The result of an operation.
pub(super) type ApiResult = Result<Answer, Problem>;

/// The answer of an operation.
pub(super) enum Answer {
    /// 200 with JSON.
    Json(Value),
    /// 201 with JSON.
    Created(Value),
    /// 204
    Nothing,
    /// A response of another kind.
    Whole(Response),
}

impl Answer {
    /// What a PUT has made, or replaced.
    pub(super) fn created(is_new: bool, json: Value) -> Self {
        match is_new {
            true => Self::Created(json),
            false => Self::Json(json),
        }
    }
}

/// An asynchronous function as the handler of an operation.
macro_rules! handler {
    ($handler:path) => {
        |request, site| Box::pin($handler(request, site))
    };
}
pub(super) use handler;

impl<E: Engine> Operation<E> {
    /// All tables.
    const TABLES: [&'static [Self]; 16] = [
        Self::PRESENCE,
        Self::UPDATE,
        Self::EVENTS,
        Self::FEEDS,
        Self::SUBSCRIPTIONS,
        Self::CONNECTORS,
        Self::HISTORY,
        Self::DOMAINS,
        Self::GROUPS,
        Self::POLICIES,
        Self::ACCOUNTS,
        Self::LISTS,
        Self::RULES,
        Self::NODE,
        Self::SESSION,
        Self::DOCUMENT,
    ];

    /// All operations.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> + Clone {
        Self::TABLES.into_iter().flatten()
    }

    /// The operations at a path.
    fn of_path(path: &str) -> impl Iterator<Item = &'static Self> + Clone + use<E> {
        let below = path.strip_prefix(PREFIX).unwrap_or_default().to_owned();
        Self::all().filter(move |operation| is_at(operation.description.path, &below))
    }
}

/// Whether a path matches a template.
fn is_at(template: &str, path: &str) -> bool {
    let mut names = template.split('/');
    let mut texts = path.split('/');
    loop {
        match (names.next(), texts.next()) {
            (None, None) => return true,
            (Some(name), Some(text)) if name.starts_with('{') && !text.is_empty() => {}
            (Some(name), Some(text)) if name == text => {}
            _ => return false,
        }
    }
}

impl ApiMethod {
    pub(super) fn is(self, method: &Method) -> bool {
        match self {
            Self::Get => matches!(*method, Method::GET | Method::HEAD),
            Self::Post => *method == Method::POST,
            Self::Put => *method == Method::PUT,
            Self::Delete => *method == Method::DELETE,
        }
    }

    /// As written in `Allow`.
    const fn allowed(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// As written in an OpenAPI document.
    pub(super) const fn in_openapi(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// Responds to a request below [`PREFIX`].
pub(crate) async fn respond<E: Engine>(
    request: Request<Incoming>,
    (peer, endpoint): (IpAddr, Endpoint),
    site: &Site<E>,
) -> Response {
    let mut found = Operation::<E>::of_path(request.uri().path());
    let is_its = |operation: &&Operation<E>| operation.description.method.is(request.method());
    let found: Option<&'static Operation<E>> = found.find(is_its);
    match found {
        Some(operation) => {
            let answer = run(operation, request, (peer, endpoint), site).await;
            answer.unwrap_or_else(Problem::into_response)
        }
        None => respond_without_operation::<E>(&request),
    }
}

/// The response to a request for which there is no operation.
fn respond_without_operation<E: Engine>(request: &Request<Incoming>) -> Response {
    let mut found = Operation::<E>::of_path(request.uri().path()).peekable();
    if found.peek().is_none() {
        let why = "there is no such operation: see /api/v1/openapi.json";
        return Problem::new(ProblemKind::NotFound, why).into_response();
    }
    let allow = response::allow(found.map(|operation| operation.description.method.allowed()));
    if *request.method() == Method::OPTIONS {
        return response::options(allow);
    }
    let why = format!(
        "the methods here are {}",
        allow.to_str().unwrap_or_default()
    );
    let response = Problem::new(ProblemKind::MethodNotAllowed, why).into_response();
    response::closing(response::with(response, header::ALLOW, allow))
}

async fn run<E: Engine>(
    operation: &Operation<E>,
    request: Request<Incoming>,
    (peer, endpoint): (IpAddr, Endpoint),
    site: &Site<E>,
) -> Result<Response, Problem> {
    let description = &operation.description;
    let (method, headers) = (request.method(), request.headers());
    let caller = match description.role {
        Some(role) => {
            let query = description.parameters.contains(&"token");
            let query = request.uri().query().filter(|_| query);
            let presented = Presented {
                method,
                headers,
                query: query.unwrap_or_default(),
            };
            let caller = caller::of_request(presented, (peer, endpoint), site).await?;
            caller.require(role)?;
            caller
        }
        None => Caller::Stranger,
    };
    if description.method != ApiMethod::Get {
        // The address and the body may be private, and are not logged.
        let (by, path) = (caller.name(), description.path);
        tracing::debug!(by, path, "API");
    }
    let request = ApiRequest::read(description, caller, peer, request).await?;
    let known = request.headers.clone();
    match (operation.handler)(request, site).await? {
        Answer::Nothing => Ok(nothing()),
        Answer::Whole(response) => Ok(response),
        Answer::Created(json) => {
            let tag = entity_tag::of(&json);
            let mut response = with_json(&json);
            *response.status_mut() = StatusCode::CREATED;
            Ok(response::with(response, header::ETAG, tag))
        }
        Answer::Json(json) => {
            let (AnswerSchema::Tagged(_) | AnswerSchema::Created(_)) = description.answer else {
                return Ok(with_json(&json));
            };
            let tag = entity_tag::of(&json);
            let is_get = description.method == ApiMethod::Get;
            let response = match is_get && entity_tag::is_known(&known, &tag) {
                true => not_modified(),
                false => with_json(&json),
            };
            Ok(response::with(response, header::ETAG, tag))
        }
    }
}

/// The result of a page of the operator, as the answer of an operation.
pub(super) async fn shown(page: impl Future<Output = ControlResult>) -> ApiResult {
    Ok(Answer::Json(page.await?.json()))
}

/// 200 with JSON.
pub(super) fn with_json(json: &Value) -> Response {
    let text = json.to_string() + "\n";
    response::typed(StatusCode::OK, "application/json", text)
}

/// 204
pub(super) fn nothing() -> Response {
    without_body(StatusCode::NO_CONTENT)
}

fn not_modified() -> Response {
    without_body(StatusCode::NOT_MODIFIED)
}

fn without_body(status: StatusCode) -> Response {
    let mut response = response::text(status, "");
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_their_templates() {
        assert!(is_at("presence", "presence"));
        assert!(is_at("presence/{aor}/note", "presence/1@abc.com/note"));
        for path in [
            "presence/1@abc.com",
            "presence//note",
            "presence/1/note/",
            "other/1/note",
            "",
        ] {
            assert!(!is_at("presence/{aor}/note", path), "{path}");
        }
    }
}
