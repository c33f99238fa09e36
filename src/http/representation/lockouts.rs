//! Lockouts after wrong credentials.

use serde_json::{Value, json};

use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::{span, write_silent};
use crate::shard::contract::lockout::LockoutReport;

/// All that are in force.
#[derive(Debug)]
pub(crate) struct LockoutList {
    /// The lockouts.
    pub(crate) reports: Vec<LockoutReport>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

/// Lockouts were lifted.
#[derive(Debug)]
pub(crate) struct LiftedLockouts {
    /// How many.
    pub(crate) count: usize,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Representation for LockoutList {
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = String::new();
        if self.reports.is_empty() {
            text.push_str("No address or account is locked out.\n");
        } else {
            let mut table = Table::new(&["ADDRESS", "ACCOUNT", "BY", "REMAINING"]);
            for report in &self.reports {
                table.add(row(report));
            }
            table.write(columns, &mut text);
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({
            "lockouts": self.reports.iter().map(json).collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

fn row(report: &LockoutReport) -> [String; 4] {
    let address = report.scope.address;
    let address = address.map_or_else(|| "any".to_owned(), |address| address.to_string());
    let account = report.scope.account.as_deref().unwrap_or("any").to_owned();
    let shard = report.shard;
    let by = shard.map_or_else(|| "http".to_owned(), |shard| format!("shard {}", shard.0));
    [address, account, by, span(report.remaining)]
}

fn json(report: &LockoutReport) -> Value {
    json!({
        "address": report.scope.address.map(|address| address.to_string()),
        "account": report.scope.account,
        "shard": report.shard.map(|shard| shard.0),
        "remaining_seconds": report.remaining.as_secs(),
    })
}

impl Representation for LiftedLockouts {
    fn text(&self, _: Option<usize>) -> String {
        let mut text = match self.count {
            0 => "no lockout was in force\n".to_owned(),
            1 => "1 lockout is lifted\n".to_owned(),
            count => format!("{count} lockouts are lifted\n"),
        };
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({"lifted": self.count, "silent_shards": self.silent})
    }
}
