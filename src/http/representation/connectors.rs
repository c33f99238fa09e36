//! Connectors, and the users that they subscribe to.

use serde_json::{Map, Value, json};

use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::{span, visible, write_silent};
use crate::shard::contract::connector::{ConnectorReport, ConnectorUserReport};

/// All connectors.
#[derive(Debug)]
pub(crate) struct ConnectorList {
    /// In the order of the configuration.
    pub(crate) reports: Vec<ConnectorReport>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

/// One connector, and its users.
#[derive(Debug)]
pub(crate) struct ConnectorDetails {
    /// The connector.
    pub(crate) report: ConnectorReport,
    /// The users shown.
    pub(crate) users: Vec<ConnectorUserReport>,
    /// Users not shown.
    pub(crate) more: usize,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

/// A connector was started, stopped or restarted.
#[derive(Debug)]
pub(crate) struct ConnectorOrdered {
    /// The connector.
    pub(crate) report: ConnectorReport,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Representation for ConnectorList {
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = String::new();
        if self.reports.is_empty() {
            text.push_str("There is no [[connector]] in the configuration.\n");
        } else {
            table(&self.reports).write(columns, &mut text);
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        json!({
            "connectors": self.reports.iter().map(connector_json).collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

impl Representation for ConnectorDetails {
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = String::new();
        table(std::slice::from_ref(&self.report)).write(columns, &mut text);
        if !self.users.is_empty() {
            text.push('\n');
            let mut table = Table::new(&["USER", "THERE", "PACKAGE", "STATUS", "REMAINING"]);
            for user in &self.users {
                table.add(user_row(user));
            }
            table.write(columns, &mut text);
        }
        if self.more > 0 {
            text.push_str(&format!("and {} more\n", self.more));
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        let mut json = connector_json(&self.report);
        json["items"] = self.users.iter().map(user_json).collect();
        json["items_not_shown"] = self.more.into();
        json["silent_shards"] = self.silent.clone().into();
        json
    }
}

impl Representation for ConnectorOrdered {
    fn text(&self, _: Option<usize>) -> String {
        let (name, status) = (&self.report.name, self.report.status.as_str());
        let mut text = visible(&format!("{name} is {status}")) + "\n";
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        connector_json(&self.report)
    }
}

fn table(reports: &[ConnectorReport]) -> Table {
    let mut table = Table::new(&[
        "CONNECTOR",
        "DOMAIN",
        "STATUS",
        "SINCE",
        "SERVER",
        "USERS",
        "SUBSCRIBED",
        "FAILED",
        "NEXT",
    ]);
    for report in reports {
        table.add(row(report));
    }
    table
}

fn row(report: &ConnectorReport) -> [String; 9] {
    let none = || "-".to_owned();
    [
        report.name.to_string(),
        report.domain.to_string(),
        report.status.as_str().to_owned(),
        report.age.map_or_else(none, span),
        report.peer.map_or_else(none, |peer| peer.to_string()),
        users(report).to_string(),
        report.subscriptions.to_string(),
        failed(report).to_string(),
        report.next_attempt.map_or_else(none, span),
    ]
}

fn users(report: &ConnectorReport) -> usize {
    report.users.iter().map(|(_, count)| count).sum()
}

fn failed(report: &ConnectorReport) -> usize {
    let failed = report
        .users
        .iter()
        .filter(|(status, _)| status.is_failure());
    failed.map(|(_, count)| count).sum()
}

/// A connector for programs.
pub(crate) fn connector_json(report: &ConnectorReport) -> Value {
    let by_status = report.users.iter();
    let by_status: Map<String, Value> = by_status
        .map(|(status, count)| (status.as_str().to_owned(), (*count).into()))
        .collect();
    json!({
        "name": *report.name,
        "domain": report.domain,
        "status": report.status.as_str(),
        "status_seconds": report.age.map(|age| age.as_secs()),
        "server": report.peer.map(|peer| peer.to_string()),
        "next_attempt_seconds": report.next_attempt.map(|next| next.as_secs()),
        "users": users(report),
        "users_by_status": by_status,
        "subscriptions": report.subscriptions,
        "notifies": report.counts.notifies,
        "failures": report.counts.failures,
    })
}

fn user_row(user: &ConnectorUserReport) -> [String; 5] {
    [
        user.aor.to_string(),
        user.target.to_string(),
        user.package.token().to_owned(),
        user.status.as_str().to_owned(),
        user.remaining.map_or_else(|| "-".to_owned(), span),
    ]
}

/// A user of a connector for programs.
pub(crate) fn user_json(user: &ConnectorUserReport) -> Value {
    json!({
        "aor": user.aor.as_str(),
        "uri": user.target,
        "package": user.package.token(),
        "status": user.status.as_str(),
        "remaining_seconds": user.remaining.map(|remaining| remaining.as_secs()),
    })
}
