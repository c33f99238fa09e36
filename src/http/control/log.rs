//! `GET /log` and `POST /log/level`: what the server logs, and how that is changed while it runs.

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::log::LogFilter;
use crate::http::site::Site;
use crate::telemetry::logs;

/// The filter in force.
pub(crate) async fn show<E: Engine>(_: Form, _: &Site<E>) -> ControlResult {
    Ok(Box::new(LogFilter(logs::filter_in_force())))
}

/// Puts another filter in force, until the process ends.
pub(crate) async fn set<E: Engine>(form: Form, _: &Site<E>) -> ControlResult {
    let filter = form.required("filter")?;
    logs::set_filter(filter).map_err(ControlRefusal::NoFilter)?;
    let filter = logs::filter_in_force();
    tracing::warn!(%filter, "the operator changed what is logged");
    Ok(Box::new(LogFilter(filter)))
}
