//! `GET /refusals`: requests that were refused lately, by SIP and at `call_state.htm`.

use std::time::Instant;

use crate::http::control::{ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::refusals::Refusals;
use crate::http::site::Site;
use crate::shard::{Command, Reply};

/// Asks every shard; the latest comes first.
pub(crate) async fn show<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    let pick = |reply| match reply {
        Reply::Refusals(found) => Some(found),
        _ => None,
    };
    let (mut requests, silent) = site.ask_all(|| Command::Refusals, pick).await;
    requests.sort_by_key(|report| (report.age, report.peer));
    Ok(Box::new(Refusals {
        requests,
        attempts: site.attempts.failures(),
        now: Instant::now(),
        silent,
    }))
}
