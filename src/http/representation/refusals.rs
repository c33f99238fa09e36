//! The requests that were refused recently, by SIP and at the public pages.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::failed_attempts::FailedAttempt;
use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::{address, span, write_silent};
use crate::shard::contract::report::RefusalReport;

/// All of them.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// Requests of SIP.
    pub(crate) requests: Vec<RefusalReport>,
    /// Attempts at the public pages.
    pub(crate) attempts: Vec<FailedAttempt>,
    /// When this was asked.
    pub(crate) now: Instant,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

/// A row of the table, with the age by which rows are sorted.
type Row = (Duration, [String; 8]);

impl Representation for Refusals {
    fn text(&self, columns: Option<usize>) -> String {
        let requests = self.requests.iter().map(request_row);
        let attempts = self.attempts.iter();
        let attempts = attempts.map(|attempt| attempt_row(attempt, self.now));
        let mut rows: Vec<Row> = requests.chain(attempts).collect();
        rows.sort_by_key(|(age, _)| *age);
        let mut text = String::new();
        if rows.is_empty() {
            text.push_str("No request was refused.\n");
        } else {
            table(rows).write(columns, &mut text);
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        let attempts = self.attempts.iter();
        let attempts = attempts.map(|attempt| attempt_json(attempt, self.now));
        json!({
            "refusals": self.requests.iter().map(request_json).collect::<Vec<_>>(),
            "failed_call_state": attempts.collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

fn table(rows: Vec<Row>) -> Table {
    let mut table = Table::new(&[
        "AGO", "ADDRESS", "METHOD", "RESPONSE", "FROM", "USER", "TO", "COUNT",
    ]);
    for (_, cells) in rows {
        table.add(cells);
    }
    table
}

fn request_row(report: &RefusalReport) -> Row {
    let cells = [
        span(report.age),
        address(report.transport, report.peer),
        report.method.clone(),
        format!("{} {}", report.status, report.reason),
        report.from.clone(),
        report.user.clone().unwrap_or_else(|| "-".to_owned()),
        report.to.clone(),
        report.count.to_string(),
    ];
    (report.age, cells)
}

fn attempt_row(attempt: &FailedAttempt, now: Instant) -> Row {
    let age = now.saturating_duration_since(attempt.latest);
    let cells = [
        span(age),
        format!("http {}", attempt.peer),
        attempt.page.to_owned(),
        attempt.status.to_string(),
        "-".to_owned(),
        attempt.user.clone(),
        attempt.realm.clone(),
        attempt.count.to_string(),
    ];
    (age, cells)
}

fn request_json(report: &RefusalReport) -> Value {
    json!({
        "age_seconds": report.age.as_secs(),
        "transport": report.transport.name(),
        "peer": report.peer.to_string(),
        "method": report.method,
        "status": report.status,
        "reason": report.reason,
        "from": report.from,
        "user": report.user,
        "to": report.to,
        "count": report.count,
        "shard": report.shard.0,
    })
}

fn attempt_json(attempt: &FailedAttempt, now: Instant) -> Value {
    let age = now.saturating_duration_since(attempt.latest);
    json!({
        "age_seconds": age.as_secs(),
        "page": attempt.page,
        "peer": attempt.peer.to_string(),
        "status": attempt.status.as_u16(),
        "domain": attempt.realm,
        "user": attempt.user,
        "count": attempt.count,
    })
}
