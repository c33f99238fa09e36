//! `GET /relays`: the systems that are told states, and how each relay is.

use crate::http::control::{ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::relays::Relays;
use crate::http::site::Site;

/// In the order of the configuration, those by SIP last.
pub(crate) async fn show<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    let (reports, silent) = site.relays().await;
    Ok(Box::new(Relays { reports, silent }))
}
