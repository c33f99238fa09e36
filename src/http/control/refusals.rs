//! `GET /refusals`: requests that were refused lately.

use crate::http::answer::refusals::Refusals;
use crate::http::control::Answered;
use crate::http::control::Form;
use crate::http::engine::Engine;
use crate::http::site::Site;
use crate::shard::Command;
use crate::shard::Reply;

/// Asks every shard; the latest comes first.
pub(crate) async fn show<E: Engine>(_: Form, site: &Site<E>) -> Answered {
    let pick = |reply| match reply {
        Reply::Refusals(found) => Some(found),
        _ => None,
    };
    let (mut reports, silent) = site.ask_all(|| Command::Refusals, pick).await;
    reports.sort_by_key(|report| (report.age, report.peer));
    Ok(Box::new(Refusals { reports, silent }))
}
