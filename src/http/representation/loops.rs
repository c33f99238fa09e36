//! Looping phones: those that keep repeating a request that fails.

use serde_json::{Value, json};

use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::{address, span, write_silent};
use crate::shard::contract::report::LoopReport;

/// All of them.
#[derive(Debug)]
pub(crate) struct Loops {
    /// The phones.
    pub(crate) reports: Vec<LoopReport>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Representation for Loops {
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = match self.reports.len() {
            0 => "No looping phones.\n".to_owned(),
            1 => "1 looping phone\n\n".to_owned(),
            count => format!("{count} looping phones\n\n"),
        };
        if !self.reports.is_empty() {
            table(&self.reports).write(columns, &mut text);
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({
            "phones": self.reports.iter().map(json).collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

fn table(reports: &[LoopReport]) -> Table {
    let mut table = Table::new(&[
        "ADDRESS",
        "PHONE",
        "METHOD",
        "TO",
        "RESPONSE",
        "PER MINUTE",
        "FOR",
        "USER-AGENT",
    ]);
    for report in reports {
        table.add([
            address(report.transport, report.peer),
            report.phone.clone(),
            report.method.clone(),
            report.target.clone(),
            report.status.to_string(),
            report.per_minute().to_string(),
            span(report.age),
            report.user_agent.clone(),
        ]);
    }
    table
}

fn json(report: &LoopReport) -> Value {
    json!({
        "transport": report.transport.name(),
        "peer": report.peer.to_string(),
        "phone": report.phone,
        "method": report.method,
        "to": report.target,
        "status": report.status,
        "requests": report.requests,
        "per_minute": report.per_minute(),
        "age_seconds": report.age.as_secs(),
        "user_agent": report.user_agent,
        "shard": report.shard.0,
    })
}
