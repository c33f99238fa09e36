//! HTTP/2 on one encrypted connection (RFC 9113): many requests at once.
//!
//! | a client that | is answered by | counter |
//! |---|---|---|
//! | has more than `REQUESTS_MAX` requests at once | a reset of each further one (REFUSED_STREAM), which it may repeat | `http2_streams_reset` |
//! | leaves a request or its response incomplete for `RESPONSE_TIME`, unless the connection has a stream of events | a reset (CANCEL) | `http2_streams_reset` |
//! | sends more than `HEADERS_OCTETS_MAX` of headers | 431 | `http2_streams_reset` |
//! | resets more than `OWN_RESETS_MAX` requests before they are begun, or has us reset `FAULTS_MAX` | GOAWAY (ENHANCE_YOUR_CALM) | `http2_goaways` |
//! | sends a body in many pieces without octets | GOAWAY (ENHANCE_YOUR_CALM) | `http2_goaways` |
//! | sends more than `IDLE_FRAMES_MAX` frames without a request, and without events sent to it: PING, SETTINGS, PRIORITY | the end of the connection | `http2_floods` |
//! | sends no request for `NEXT_HEAD_TIME` | the end of the connection | |
//!
//! The limits of bodies and queries are those of the pages, in every version of HTTP.

mod frames;
mod guard;
mod requests;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, header};

use crate::http::connections::Visit;
use crate::http::engine::Engine;
use crate::http::facts::Scheme;
use crate::http::representation::response::{Body, Response};
use crate::http::server::connection::{self, NEXT_HEAD_TIME, RESPONSE_TIME};
use crate::http::server::dispatch;
use crate::http::server::http2::guard::Guarded;
use crate::http::server::http2::requests::Requests;
use crate::http::server::io::Io;
use crate::http::site::{Endpoint, Site};
use crate::http::transport_counters::count;

/// Requests of one connection at once.
const REQUESTS_MAX: u32 = 32;
/// Octets of the headers of a request, decoded: the longest query that a page takes, and as much besides.
const HEADERS_OCTETS_MAX: u32 = 16 << 10;
/// Requests that the client reset before they were begun.
const OWN_RESETS_MAX: usize = 20;
/// Requests that were reset for the client's faults.
const FAULTS_MAX: usize = 256;
/// Octets of a request's body that may be on their way: the longest form.
const BODY_WINDOW: u32 = 16 << 10;
/// Octets of all bodies of a connection that may be on their way; the least that the RFC knows.
const CONNECTION_WINDOW: u32 = (64 << 10) - 1;
/// Octets of a response that wait for the client to read.
const UNSENT_OCTETS_MAX: usize = 64 << 10;

/// Serves one connection to its end.
pub(super) async fn serve<E: Engine>(io: Io<'_>, visit: &Rc<Visit>, site: &Site<E>) {
    let service = service_fn(|mut request: Request<Incoming>| async move {
        visit.begin(NEXT_HEAD_TIME);
        request.extensions_mut().insert(Scheme::Https);
        let method = request.method().clone();
        let mut response = dispatch::respond(request, Endpoint::Public, visit, site).await;
        visit.begin(NEXT_HEAD_TIME);
        connection::tie(&mut response, visit);
        Ok::<_, Infallible>(in_http2(response, &method, visit))
    });
    let mut requests = Requests::new(RESPONSE_TIME, visit);
    let guard = Guarded::new(io, &site.counters, visit);
    let has_said_goaway = guard.has_said_goaway();
    let connection = http2::Builder::new(requests.executor())
        .max_concurrent_streams(REQUESTS_MAX)
        .max_header_list_size(HEADERS_OCTETS_MAX)
        .max_pending_accept_reset_streams(OWN_RESETS_MAX)
        .max_local_error_reset_streams(FAULTS_MAX)
        .initial_stream_window_size(BODY_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(UNSENT_OCTETS_MAX)
        .serve_connection(guard, service);
    let mut connection = pin!(connection);
    let serving = poll_fn(|context| {
        if visit.is_last() {
            connection.as_mut().graceful_shutdown();
        }
        let ended = connection.as_mut().poll(context);
        if ended.is_pending() {
            requests.poll(context);
        }
        ended
    });
    if let Some(Err(error)) = visit.bound(serving).await {
        if has_said_goaway.get() {
            count(&site.counters.http2_goaways);
        }
        tracing::debug!(%error, "connection ended");
    }
}

/// A response as HTTP/2 wants it: the end of the connection is no header, and the response to HEAD has no
/// body.
fn in_http2(mut response: Response, method: &Method, visit: &Visit) -> Response {
    if response.headers_mut().remove(header::CONNECTION).is_some() {
        visit.close();
    }
    if *method == Method::HEAD {
        let length = response.body().size_hint().lower();
        *response.body_mut() = Body::default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
