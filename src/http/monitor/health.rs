//! `/healthz` and `/readyz`: whether the process answers, and whether it takes new work.

use hyper::StatusCode;

use crate::http::answer::response;
use crate::http::answer::response::Response;
use crate::http::engine::Engine;
use crate::http::site::Site;

/// `GET /healthz`
pub(crate) fn alive() -> Response {
    response::text(StatusCode::OK, "OK\n")
}

/// `GET /readyz`
pub(crate) fn ready<E: Engine>(site: &Site<E>) -> Response {
    if site.engine.is_ready() {
        alive()
    } else {
        response::unavailable()
    }
}
