//! HTTP/1.1 on one connection: one request after the other.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use crate::http::connections::Visit;
use crate::http::engine::Engine;
use crate::http::facts::Scheme;
use crate::http::server::connection::{self, NEXT_HEAD_TIME, RESPONSE_TIME};
use crate::http::server::dispatch;
use crate::http::server::io::Io;
use crate::http::site::{Endpoint, Site};

/// Octets of a request's head. Longer than the longest request line hyper knows, so that an
/// over-long query gets 414 rather than 431.
const HEAD_OCTETS_MAX: usize = 80 << 10;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;

/// Serves one connection to its end.
pub(super) async fn serve<E: Engine>(
    io: Io<'_>,
    endpoint: Endpoint,
    scheme: Scheme,
    visit: &Rc<Visit>,
    site: &Site<E>,
) {
    let service = service_fn(async |mut request: Request<Incoming>| {
        visit.begin(RESPONSE_TIME);
        request.extensions_mut().insert(scheme);
        let mut response = dispatch::respond(request, endpoint, visit, site).await;
        visit.begin(NEXT_HEAD_TIME);
        connection::tie(&mut response, visit);
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        // A client may close its sending side and still wait for the response.
        .half_close(true)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_OCTETS_MAX)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let serving = poll_fn(|context| {
        if visit.is_last() {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    });
    if let Some(Err(error)) = visit.bound(serving).await {
        // What hyper says about a request that it cannot read never quotes it.
        tracing::debug!(%error, "connection ended");
    }
}
