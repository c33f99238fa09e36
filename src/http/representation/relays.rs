//! Relays: the systems that are told states.

use serde_json::{Value, json};

use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::{span, write_silent};
use crate::relay::RelayReport;

/// All relays.
#[derive(Debug)]
pub(crate) struct Relays {
    /// In the order of the configuration, those by SIP last.
    pub(crate) reports: Vec<RelayReport>,
    /// Shards that did not answer, of which those by SIP lack something.
    pub(crate) silent: Vec<u16>,
}

impl Representation for Relays {
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = match self.reports.len() {
            0 => return "No relays.\n".to_owned(),
            1 => "1 relay\n\n".to_owned(),
            count => format!("{count} relays\n\n"),
        };
        table(&self.reports).write(columns, &mut text);
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({
            "relays": self.reports.iter().map(json).collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

fn table(reports: &[RelayReport]) -> Table {
    let mut table = Table::new(&[
        "RELAY",
        "KIND",
        "STATUS",
        "QUEUED",
        "OLDEST",
        "SENT",
        "FAILED",
        "DEAD LETTERS",
        "UNKNOWN",
        "LAST FAILURE",
    ]);
    for report in reports {
        let oldest = match report.queued {
            0 => "-".to_owned(),
            _ => span(report.oldest),
        };
        table.add([
            report.name.to_string(),
            report.kind.to_owned(),
            report.condition.as_str().to_owned(),
            report.queued.to_string(),
            oldest,
            report.sent.to_string(),
            report.failed.to_string(),
            report.dead_letters.to_string(),
            report.unknown.to_string(),
            report.fault.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table
}

fn json(report: &RelayReport) -> Value {
    json!({
        "name": report.name,
        "kind": report.kind,
        "status": report.condition.as_str(),
        "queued": report.queued,
        "oldest_seconds": report.oldest.as_secs(),
        "sent": report.sent,
        "failed": report.failed,
        "retried": report.retried,
        "dead_letters": report.dead_letters,
        "unknown": report.unknown,
        "overflows": report.overflows,
        "snapshots": report.snapshots,
        "last_failure": report.fault,
    })
}
