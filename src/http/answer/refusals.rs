//! The requests that were refused lately.

use serde_json::Value;
use serde_json::json;

use crate::http::answer::Answer;
use crate::http::answer::table::Table;
use crate::http::answer::text::address;
use crate::http::answer::text::span;
use crate::http::answer::text::write_silent;
use crate::shard::shield::RefusalReport;

/// All of them.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// The refusals.
    pub(crate) reports: Vec<RefusalReport>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Answer for Refusals {
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = String::new();
        if self.reports.is_empty() {
            text.push_str("Nothing was refused.\n");
        } else {
            table(&self.reports).write(columns, &mut text);
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({
            "refusals": self.reports.iter().map(json).collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

fn table(reports: &[RefusalReport]) -> Table {
    let mut table = Table::new(&[
        "AGO", "ADDRESS", "METHOD", "ANSWERED", "FROM", "USER", "TO", "COUNT",
    ]);
    for report in reports {
        table.add([
            span(report.age),
            address(report.transport, report.peer),
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

fn json(report: &RefusalReport) -> Value {
    json!({
        "age_seconds": report.age.as_secs(),
        "transport": report.transport.uri_parameter(),
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
