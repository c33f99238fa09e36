//! `GET /status` and `GET /counters`: how the server is, and what it counted.

use crate::http::control::{ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::monitor;
use crate::http::representation::status::Status;
use crate::http::site::Site;

/// A few facts and figures.
pub(crate) async fn status<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    let counters = monitor::count(site).await;
    let (domains, accounts) = site.directory().count();
    Ok(Box::new(Status {
        is_ready: site.engine.is_ready(),
        is_draining: site.engine.is_draining(),
        uptime: site.facts.started.elapsed(),
        facts: site.facts.clone(),
        domains,
        accounts,
        shards: site.engine.shards(),
        subscriptions: counters.value("subscriptions"),
        notifies_sent: counters.value("notifies_sent"),
        store_failure: site.engine.store().and_then(|store| store.failure),
        silent: counters.silent,
    }))
}

/// Every counter.
pub(crate) async fn counters<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    Ok(Box::new(monitor::count(site).await))
}
