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

/// `GET /readyz`: 200 as well while the store fails and the node goes on in memory, with a body that
/// says so.
pub(crate) fn ready<E: Engine>(site: &Site<E>) -> Response {
    if !site.engine.is_ready() {
        return response::unavailable();
    }
    let store = site.engine.store();
    match store.filter(|store| store.failure.is_some()) {
        None => alive(),
        Some(store) if store.is_refusing => response::unavailable(),
        Some(_) => response::text(StatusCode::OK, "degraded: the store cannot be written\n"),
    }
}
