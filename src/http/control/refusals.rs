//! `GET /refusals`: requests that were refused lately.

use crate::http::Site;
use crate::http::answer::table::Table;
use crate::http::answer::table::span;
use crate::http::control::form::Form;
use crate::http::control::refusal::Refusal;
use crate::http::control::why::columns;
use crate::http::control::why::complain_of_silence;
use crate::http::engine::Engine;
use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::ShardId;
use crate::shard::shield::RefusalReport;

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
    let mut text = String::new();
    if reports.is_empty() {
        text.push_str("Nothing was refused.\n");
    } else {
        table(&reports).write(columns, &mut text);
    }
    complain_of_silence(&silent, &mut text);
    Ok(text)
}

fn table(reports: &[RefusalReport]) -> Table {
    let mut table = Table::new(&[
        "AGO", "ADDRESS", "METHOD", "ANSWERED", "FROM", "USER", "TO", "COUNT",
    ]);
    for report in reports {
        table.add([
            span(report.age),
            format!("{} {}", report.transport.uri_parameter(), report.peer),
            report.method.clone(),
            format!("{} {}", report.status, report.reason),
            report.from.clone(),
            report.user.clone().unwrap_or_else(|| "-".to_owned()),
            report.to.clone(),
            report.count.to_string(),
        ]);
    }
    table
}
