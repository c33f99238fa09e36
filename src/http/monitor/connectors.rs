//! The connectors in `/metrics`.

use crate::http::engine::Engine;
use crate::http::monitor::family::{Family, Kind};
use crate::http::site::Site;
use crate::shard::contract::connector::{ConnectorReport, ConnectorStatus};

/// Connectors that are labels; further ones are left out.
const CONNECTORS_MAX: usize = 100;

/// The families of all connectors, in the order of the configuration.
pub(super) async fn families<E: Engine>(site: &Site<E>) -> [Family; 5] {
    if site.directory().connectors().is_empty() {
        return of(&[]);
    }
    let (mut reports, _) = site.connectors().await;
    reports.truncate(CONNECTORS_MAX);
    of(&reports)
}

fn of(reports: &[ConnectorReport]) -> [Family; 5] {
    let family = |name, kind, help, value: fn(&ConnectorReport) -> u64| {
        let family = Family::new(name, kind, help);
        reports.iter().fold(family, |family, report| {
            family.with_labels(&[("connector", &report.name)], value(report))
        })
    };
    [
        status(reports),
        family(
            "connector_users",
            Kind::Gauge,
            "Users that a connector subscribes to.",
            |report| report.users.iter().map(|(_, count)| *count as u64).sum(),
        ),
        family(
            "connector_subscriptions",
            Kind::Gauge,
            "Subscriptions of ours that the server of a connector has.",
            |report| report.subscriptions as u64,
        ),
        family(
            "connector_notifies",
            Kind::Counter,
            "NOTIFYs from the server of a connector that were taken.",
            |report| report.counts.notifies,
        ),
        family(
            "connector_failures",
            Kind::Counter,
            "Requests to the server of a connector that brought no success.",
            |report| report.counts.failures,
        ),
    ]
}

/// 1 for the status that a connector has, 0 for the others.
fn status(reports: &[ConnectorReport]) -> Family {
    let help = "1 if a connector has the status, else 0.";
    let family = Family::new("connector_status", Kind::Gauge, help);
    let samples = reports
        .iter()
        .flat_map(|report| ConnectorStatus::ALL.map(|status| (report, status)));
    samples.fold(family, |family, (report, status)| {
        let labels = [("connector", &*report.name), ("status", status.as_str())];
        family.with_labels(&labels, u64::from(report.status == status))
    })
}
