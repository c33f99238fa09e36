//! Dispatch: checks common to all requests, then the route table.

use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, header};

use crate::http::api;
use crate::http::connections::Visit;
use crate::http::control::form::BodyKind;
use crate::http::control::{ControlRefusal, Form};
use crate::http::engine::Engine;
use crate::http::representation::response::Response;
use crate::http::representation::{COLUMNS_HEADER, Format, response};
use crate::http::routes::{Handler, Page, Route, Who};
use crate::http::server::host;
use crate::http::site::{Endpoint, Site};

/// Octets of a query; a longer one is 414 (W:E3.28).
const QUERY_OCTETS_MAX: usize = 8 << 10;
/// Octets of a query to the API, which may name a thousand addresses.
const API_QUERY_OCTETS_MAX: usize = 60 << 10;
/// All methods of all routes, for `OPTIONS *` (RFC 9110 §9.3.7).
const ALL_METHODS: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

/// Responds to one request.
pub(super) async fn respond<E: Engine>(
    request: Request<Incoming>,
    endpoint: Endpoint,
    visit: &Visit,
    site: &Site<E>,
) -> Response {
    if let Some(refusal) = refusal_of_any(&request) {
        return refusal;
    }
    let is_open = |route: &Route<E>| route.who == Who::Anybody;
    if visit.is_spare() && !Route::of_path(request.uri().path(), endpoint).any(is_open) {
        return response::closing(response::unavailable());
    }
    if request.uri().path().starts_with(api::PREFIX) {
        return api::respond(request, (visit.peer(), endpoint), site).await;
    }
    match find(&request, endpoint) {
        Some(route) => run(route, request, visit.peer(), site).await,
        None => without_route::<E>(&request, endpoint),
    }
}

/// The route of a request.
fn find<E: Engine>(request: &Request<Incoming>, endpoint: Endpoint) -> Option<&'static Route<E>> {
    let mut routes = Route::of_path(request.uri().path(), endpoint);
    routes.find(|route| route.method.is(request.method()))
}

/// The response to a request without a route: there is no such page, or it has other methods.
fn without_route<E: Engine>(request: &Request<Incoming>, endpoint: Endpoint) -> Response {
    let path = request.uri().path();
    let is_options = *request.method() == Method::OPTIONS;
    if is_options && path == "*" {
        return response::options(HeaderValue::from_static(ALL_METHODS));
    }
    let routes = Route::<E>::of_path(path, endpoint);
    if routes.clone().next().is_none() {
        return response::not_found();
    }
    let allow = response::allow(routes.map(|route| route.method.as_str()));
    if is_options {
        response::options(allow)
    } else {
        response::not_allowed(allow)
    }
}

/// A refusal that applies to every endpoint; None if the request is acceptable.
fn refusal_of_any(request: &Request<Incoming>) -> Option<Response> {
    if !host::is_valid(request) {
        return Some(response::last(StatusCode::BAD_REQUEST, "Bad Request\n"));
    }
    // RFC 9112 §6.1 lets a server refuse any transfer coding. Ours has no use for one, and where
    // none is taken, a request with Content-Length and Transfer-Encoding cannot hide a second one
    // from a proxy (W:E3.28).
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        return Some(response::last(
            StatusCode::LENGTH_REQUIRED,
            "Length Required\n",
        ));
    }
    let query = request.uri().query().unwrap_or_default();
    let octets_max = match request.uri().path().starts_with(api::PREFIX) {
        true => API_QUERY_OCTETS_MAX,
        false => QUERY_OCTETS_MAX,
    };
    (query.len() > octets_max).then(|| response::last(StatusCode::URI_TOO_LONG, "URI Too Long\n"))
}

async fn run<E: Engine>(
    route: &Route<E>,
    request: Request<Incoming>,
    peer: IpAddr,
    site: &Site<E>,
) -> Response {
    match &route.handler {
        Handler::Raw(handler) => handler(request, peer, site).await,
        Handler::Page(page) => {
            let format = Format::preferred(request.headers());
            let response = page_response(route.path, page, request, format, site).await;
            response.unwrap_or_else(|refusal| refusal.into_response(format))
        }
    }
}

async fn page_response<E: Engine>(
    path: &str,
    page: &Page<E>,
    request: Request<Incoming>,
    format: Format,
    site: &Site<E>,
) -> Result<Response, ControlRefusal> {
    let columns = columns(request.headers());
    let form = Form::read(request, page.body, page.fields).await?;
    if page.body != BodyKind::Ignored {
        // Log the command but not its fields, which may be private.
        tracing::debug!(path, "command");
    }
    let is_wide = form.is_wide()?;
    let value = (page.handler)(form, site).await?;
    Ok(response::ok(&*value, format, (!is_wide).then_some(columns)))
}

/// The columns of the client's terminal.
fn columns(headers: &HeaderMap) -> usize {
    let columns = headers.get(COLUMNS_HEADER);
    let columns = columns.and_then(|columns| columns.to_str().ok()?.parse().ok());
    columns.unwrap_or(usize::MAX)
}
