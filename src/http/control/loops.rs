//! `GET /loops`: the phones that keep repeating a request without success.

use std::cmp::Reverse;

use crate::http::control::{ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::loops::Loops;
use crate::http::site::Site;
use crate::shard::{Command, Reply};

/// Asks every shard; the busiest phone comes first.
pub(crate) async fn show<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    let pick = |reply| match reply {
        Reply::Loops(found) => Some(found),
        _ => None,
    };
    let (mut reports, silent) = site.ask_all(|| Command::Loops, pick).await;
    reports.sort_by_key(|report| (Reverse(report.per_minute()), report.peer));
    Ok(Box::new(Loops { reports, silent }))
}
