//! `GET /refusals`: requests that were refused lately, by SIP and at `call_state.htm`.

use std::time::Duration;

use crate::http::Site;
use crate::http::answer::table::Table;
use crate::http::answer::table::span;
use crate::http::control::form::Form;
use crate::http::control::refusal::Refusal;
use crate::http::control::why::columns;
use crate::http::control::why::complain_of_silence;
use crate::http::engine::Engine;
use crate::http::failed_attempts::FailedAttempt;
use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::ShardId;
use crate::shard::contract::report::RefusalReport;

/// A row: the time since the latest of its requests, and what is said of them.
type Row = (Duration, [String; 8]);

/// Asks every shard; the latest comes first.
pub(super) async fn show<E: Engine>(query: &str, site: &Site<E>) -> Result<String, Refusal> {
    let form = Form::parse(query, b"", &["wide"])?;
    let columns = columns(&form)?;
    let mut reports = Vec::new();
    let mut silent = Vec::new();
    for shard in 0..site.engine.shards() {
        match site.engine.ask(ShardId(shard), Command::Refusals).await {
            Ok(Reply::Refusals(found)) => reports.extend(found),
            Ok(_) | Err(_) => silent.push(shard),
        }
    }
    reports.sort_by_key(|report| (report.age, report.peer));
    let failures = site.attempts.failures();
    let rows = reports.iter().map(row_of_request);
    let mut rows: Vec<Row> = rows.chain(failures.iter().map(row_of_attempt)).collect();
    rows.sort_by_key(|(age, _)| *age);
    let mut text = String::new();
    if rows.is_empty() {
        text.push_str("Nothing was refused.\n");
    } else {
        table(rows).write(columns, &mut text);
    }
    complain_of_silence(&silent, &mut text);
    Ok(text)
}

fn table(rows: Vec<Row>) -> Table {
    let mut table = Table::new(&[
        "AGO", "ADDRESS", "METHOD", "ANSWERED", "FROM", "USER", "TO", "COUNT",
    ]);
    for (_, cells) in rows {
        table.add(cells);
    }
    table
}

fn row_of_request(report: &RefusalReport) -> Row {
    let cells = [
        span(report.age),
        format!("{} {}", report.transport.uri_parameter(), report.peer),
        report.method.clone(),
        format!("{} {}", report.status, report.reason),
        report.from.clone(),
        report.user.clone().unwrap_or_else(|| "-".to_owned()),
        report.to.clone(),
        report.count.to_string(),
    ];
    (report.age, cells)
}

fn row_of_attempt(attempt: &FailedAttempt) -> Row {
    let age = attempt.latest.elapsed();
    let cells = [
        span(age),
        format!("http {}", attempt.peer),
        "call_state.htm".to_owned(),
        attempt.status.to_string(),
        "-".to_owned(),
        attempt.user.clone(),
        attempt.realm.clone(),
        attempt.count.to_string(),
    ];
    (age, cells)
}
