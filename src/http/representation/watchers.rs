//! Who watches an address, or subscribes to a list.

use serde_json::{Value, json};

use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::{address, span, write_silent};
use crate::presence::Aor;
use crate::presence::policy::DecidingRule;
use crate::shard::contract::report::{WatcherReport, WatcherState};

/// The columns, most useful first.
const COLUMNS: [&str; 14] = [
    "WATCHER",
    "PACKAGE",
    "STATE",
    "LIST",
    "PRIVACY",
    "RULE",
    "PROFILE",
    "AGE",
    "REMAINING",
    "NOTIFIES",
    "FLOW",
    "TARGET",
    "SHARD",
    "CALL-ID",
];
/// Columns shown without --wide.
const NARROW: usize = 9;

/// The subscriptions to an address.
#[derive(Debug)]
pub(crate) struct Watchers {
    /// The address.
    pub(crate) aor: Aor,
    /// The subscriptions.
    pub(crate) reports: Vec<WatcherReport>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Representation for Watchers {
    fn text(&self, columns: Option<usize>) -> String {
        let aor = &self.aor;
        let mut text = match self.reports.len() {
            0 => format!("{aor} has no watchers.\n"),
            1 => format!("1 subscription to {aor}\n\n"),
            count => format!("{count} subscriptions to {aor}\n\n"),
        };
        if !self.reports.is_empty() {
            let shown = columns.map_or(COLUMNS.len(), |_| NARROW);
            let mut table = Table::new(&COLUMNS[..shown]);
            for report in &self.reports {
                table.add(row(report).into_iter().take(shown));
            }
            table.write(columns, &mut text);
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({
            "aor": self.aor.as_str(),
            "subscriptions": self.reports.iter().map(report_json).collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

fn row(report: &WatcherReport) -> [String; COLUMNS.len()] {
    [
        report.watcher.clone(),
        report.package.token().to_owned(),
        report.state.as_str().to_owned(),
        report.list.as_ref().map_or("-", Aor::as_str).to_owned(),
        (report.privacy as u8).to_string(),
        report.rule.to_string(),
        report.profile.clone(),
        report.age.map_or_else(|| "-".to_owned(), span),
        span(report.remaining),
        report.notifies.to_string(),
        address(report.transport, report.peer),
        report.target.clone(),
        report.shard.0.to_string(),
        report.call_id.clone(),
    ]
}

/// One subscription.
pub(crate) fn report_json(report: &WatcherReport) -> Value {
    json!({
        "presentity": report.presentity.as_str(),
        "watcher": report.watcher,
        "package": report.package.token(),
        "state": report.state.as_str(),
        "list": report.list.as_ref().map(Aor::as_str),
        "privacy": report.privacy as u8,
        "rule": rule_json(&report.rule),
        "profile": report.profile,
        "age_seconds": report.age.map(|age| age.as_secs()),
        "remaining_seconds": report.remaining.as_secs(),
        "notifies": report.notifies,
        "cseq": report.sequence,
        "unanswered": report.unanswered,
        "refused": report.refused,
        "last_answer": last_answer(report),
        "transport": report.transport.name(),
        "peer": report.peer.to_string(),
        "target": report.target,
        "shard": report.shard.0,
        "call_id": report.call_id,
    })
}

/// The outcome of the last NOTIFY.
const fn last_answer(report: &WatcherReport) -> &'static str {
    match (report.state, report.unanswered, report.refused) {
        (_, 1.., _) => "none",
        (_, _, 1..) => "refused",
        (WatcherState::AwaitingResponse, ..) => "waiting",
        _ => "accepted",
    }
}

fn rule_json(rule: &DecidingRule) -> Value {
    match rule {
        DecidingRule::Default => json!({"kind": "default"}),
        DecidingRule::Document => json!({"kind": "document"}),
        DecidingRule::Policy { number, text } => {
            json!({"kind": "policy", "number": number, "text": text})
        }
    }
}
