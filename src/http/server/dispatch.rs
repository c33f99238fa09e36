//! Which page a request is for.

use std::net::IpAddr;

use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header;

use crate::http::Site;
use crate::http::answer::response;
use crate::http::answer::response::Answer;
use crate::http::call_state;
use crate::http::connections::Visit;
use crate::http::control;
use crate::http::engine::Engine;
use crate::http::monitor::metrics;
use crate::http::server::host;
use crate::http::server::listener::Door;

/// Octets of a query; a longer one is 414 (W:E3.28).
const QUERY_OCTETS_MAX: usize = 8 << 10;

/// Answers one request.
pub(crate) async fn answer<E: Engine>(
    request: Request<Incoming>,
    door: Door,
    visit: &Visit,
    site: &Site<E>,
) -> Answer {
    if !host::is_valid(&request) {
        return response::last(StatusCode::BAD_REQUEST, "Bad Request\n");
    }
    // RFC 9112 §6.1 lets a server refuse any transfer coding. Ours has no use for one, and where
    // none is taken, a request with Content-Length and Transfer-Encoding cannot hide a second one
    // from a proxy (W:E3.28).
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        return response::last(StatusCode::LENGTH_REQUIRED, "Length Required\n");
    }
    if request
        .uri()
        .query()
        .is_some_and(|query| query.len() > QUERY_OCTETS_MAX)
    {
        return response::last(StatusCode::URI_TOO_LONG, "URI Too Long\n");
    }
    match door {
        Door::Public if visit.is_spare() && !tells_how_we_do(&request) => {
            response::last_unavailable()
        }
        Door::Public => public(request, visit.peer(), site).await,
        Door::Control => control::answer(request, site).await,
    }
}

async fn public<E: Engine>(request: Request<Incoming>, peer: IpAddr, site: &Site<E>) -> Answer {
    match request.uri().path() {
        "/call_state.htm" => call_state::answer(request, peer, site).await,
        "/healthz" | "/readyz" | "/metrics" if !is_read(&request) => {
            response::not_allowed("GET, HEAD")
        }
        "/healthz" => response::text(StatusCode::OK, "OK\n"),
        "/readyz" if site.engine.is_ready() => response::text(StatusCode::OK, "OK\n"),
        "/readyz" => response::unavailable(),
        "/metrics" => metrics::answer(site).await,
        _ => not_found(),
    }
}

/// Whether it is for a page that must be there however many connections others hold.
fn tells_how_we_do(request: &Request<Incoming>) -> bool {
    matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics")
}

fn is_read(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn not_found() -> Answer {
    response::text(StatusCode::NOT_FOUND, "Not Found\n")
}
