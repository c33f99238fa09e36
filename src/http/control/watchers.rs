//! `GET /watchers`: who watches an address, or subscribes to a list.

use crate::http::control::{ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::watchers::Watchers;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::shard::contract::report::WatcherReport;
use crate::shard::{Command, Reply};

/// Asks every shard.
pub(crate) async fn show<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let aor = form.known_aor(&site.directory())?;
    let pick = |reply| match reply {
        Reply::Watchers(found) => Some(found),
        _ => None,
    };
    let (mut reports, silent) = site.ask_all(|| Command::Watchers(aor.clone()), pick).await;
    reports.sort_by(|left, right| key(left).cmp(&key(right)));
    Ok(Box::new(Watchers {
        aor,
        reports,
        silent,
    }))
}

fn key(report: &WatcherReport) -> (&str, &str, Option<&str>, &str) {
    let list = report.list.as_ref().map(Aor::as_str);
    (
        &report.watcher,
        report.package.token(),
        list,
        &report.call_id,
    )
}
