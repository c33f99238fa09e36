//! `GET /connectors` and `POST /connectors/start`, `/stop`, `/restart`: the PBXs and presence servers that
//! we subscribe to, and the users that each is asked about.

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::connectors::{ConnectorDetails, ConnectorList, ConnectorOrdered};
use crate::http::site::Site;
use crate::shard::contract::connector::{ConnectorOrder, ConnectorReport, ConnectorUserReport};
use crate::shard::{Command, Reply, ShardId};

/// Users of one connector that are listed; further ones are counted.
const USERS_MAX: usize = 1_000;

/// All connectors, or one with its users.
pub(crate) async fn show<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let (reports, silent) = site.connectors().await;
    let Some(name) = form.optional("name")? else {
        return Ok(Box::new(ConnectorList { reports, silent }));
    };
    let report = named(reports, name)?;
    let mut users = Vec::new();
    let mut place = Some((0, 0));
    while let Some((shard, from)) = place {
        let (more, next) = users_from(name, (shard, from), site)
            .await
            .ok_or(ControlRefusal::Silent)?;
        users.extend(more);
        place = next;
    }
    // Failures first; among equals in order of the users.
    users.sort_by(|one: &ConnectorUserReport, other| {
        let key = |user: &ConnectorUserReport| !user.status.is_failure();
        (key(one), &one.aor).cmp(&(key(other), &other.aor))
    });
    let more = users.len().saturating_sub(USERS_MAX);
    users.truncate(USERS_MAX);
    Ok(Box::new(ConnectorDetails {
        report,
        users,
        more,
        silent,
    }))
}

/// Starts a connector.
pub(crate) async fn start<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    order_of(&form, ConnectorOrder::Start, site).await
}

/// Stops a connector.
pub(crate) async fn stop<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    order_of(&form, ConnectorOrder::Stop, site).await
}

/// Restarts a connector.
pub(crate) async fn restart<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    order_of(&form, ConnectorOrder::Restart, site).await
}

async fn order_of<E: Engine>(form: &Form, order: ConnectorOrder, site: &Site<E>) -> ControlResult {
    let name = form.required("name")?;
    order_connector(name, order, site).await?;
    let (reports, silent) = site.connectors().await;
    let report = named(reports, name)?;
    Ok(Box::new(ConnectorOrdered { report, silent }))
}

/// Has every shard start, stop or restart a connector.
pub(crate) async fn order_connector<E: Engine>(
    name: &str,
    order: ConnectorOrder,
    site: &Site<E>,
) -> Result<(), ControlRefusal> {
    let directory = site.directory();
    let known = directory.connector(name);
    known.ok_or_else(|| ControlRefusal::NoConnector(name.to_owned()))?;
    let command = || Command::OrderConnector {
        name: name.into(),
        order,
    };
    site.engine.order_connector(name, order);
    let pick = |reply| matches!(reply, Reply::Done).then(|| vec![()]);
    let (_, silent) = site.ask_all(command, pick).await;
    match silent.is_empty() {
        true => Ok(()),
        false => Err(ControlRefusal::Silent),
    }
}

/// The report of a connector.
pub(crate) fn named(
    reports: Vec<ConnectorReport>,
    name: &str,
) -> Result<ConnectorReport, ControlRefusal> {
    let mut reports = reports.into_iter();
    let found = reports.find(|report| *report.name == *name);
    found.ok_or_else(|| ControlRefusal::NoConnector(name.to_owned()))
}

/// A shard, and a place of its table.
pub(crate) type Place = (u16, u32);

/// The next users of a connector from a place on, and the place from where to go on. None if the shard does
/// not answer.
pub(crate) async fn users_from<E: Engine>(
    name: &str,
    (shard, from): Place,
    site: &Site<E>,
) -> Option<(Vec<ConnectorUserReport>, Option<Place>)> {
    if let Some((users, next)) = site.engine.connector_users(name, from) {
        return Some((users, next.map(|next| (shard, next))));
    }
    let command = Command::ConnectorUsers {
        name: name.into(),
        from,
    };
    let reply = site.engine.ask(ShardId(shard), command).await;
    let Ok(Reply::ConnectorUsers(users, next)) = reply else {
        return None;
    };
    let other = (shard + 1 < site.engine.shards()).then_some((shard + 1, 0));
    Some((users, next.map(|next| (shard, next)).or(other)))
}
