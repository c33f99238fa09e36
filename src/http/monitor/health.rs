//! `/healthz` and `/readyz`: whether the process runs, and whether it accepts new work.

use hyper::StatusCode;

use crate::http::engine::Engine;
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::Site;

/// `GET /healthz`
pub(crate) fn alive() -> Response {
    response::text(StatusCode::OK, "OK\n")
}

/// `GET /readyz`: 200 as well while the store fails and the node goes on in memory, or while only the
/// history fails, with a body that says so.
pub(crate) fn ready<E: Engine>(site: &Site<E>) -> Response {
    if !site.engine.is_ready() {
        return response::unavailable();
    }
    match site.engine.store() {
        Some(store) if store.failure.is_some() && store.is_refusing => response::unavailable(),
        Some(store) if store.failure.is_some() => {
            response::text(StatusCode::OK, "degraded: the store cannot be written\n")
        }
        Some(store) if store.is_history_failing => {
            response::text(StatusCode::OK, "degraded: the history cannot be written\n")
        }
        _ => alive(),
    }
}
