//! `GET /loops`: the phones that send the same again and again in vain.

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
use crate::shard::contract::report::LoopReport;

/// Asks every shard; the busiest phone comes first.
pub(super) async fn show<E: Engine>(query: &str, site: &Site<E>) -> Result<String, Refusal> {
    let form = Form::parse(query, b"", &["wide"])?;
    let columns = columns(&form)?;
    let mut reports = Vec::new();
    let mut silent = Vec::new();
    for shard in 0..site.engine.shards() {
        match site.engine.ask(ShardId(shard), Command::Loops).await {
            Ok(Reply::Loops(found)) => reports.extend(found),
            Ok(_) | Err(_) => silent.push(shard),
        }
    }
    reports.sort_by_key(|report| (std::cmp::Reverse(report.per_minute()), report.peer));
    let mut text = match reports.len() {
        0 => "No phone loops.\n".to_owned(),
        1 => "1 phone loops\n\n".to_owned(),
        count => format!("{count} phones loop\n\n"),
    };
    if !reports.is_empty() {
        table(&reports).write(columns, &mut text);
    }
    complain_of_silence(&silent, &mut text);
    Ok(text)
}

fn table(reports: &[LoopReport]) -> Table {
    let mut table = Table::new(&[
        "ADDRESS",
        "PHONE",
        "SENDS",
        "TO",
        "ANSWERED",
        "A MINUTE",
        "FOR",
        "USER-AGENT",
    ]);
    for report in reports {
        table.add([
            format!("{} {}", report.transport.uri_parameter(), report.peer),
            report.phone.clone(),
            report.method.clone(),
            report.target.clone(),
            report.answered.to_string(),
            report.per_minute().to_string(),
            span(report.age),
            report.user_agent.clone(),
        ]);
    }
    table
}
