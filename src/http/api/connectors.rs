//! Connectors: the PBXs and presence servers that we subscribe to, their users, and orders to start, stop and
//! restart one.

use serde_json::{Value, json};

use crate::directory::tokens::Role;
use crate::http::api::cursor;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::api::subscriptions::place;
use crate::http::control::connectors as control;
use crate::http::engine::Engine;
use crate::http::representation::connectors::{connector_json, user_json};
use crate::http::site::Site;
use crate::shard::contract::connector::{ConnectorOrder, ConnectorReport};

/// Users of a page unless the caller says otherwise.
const ITEMS: u64 = 1_000;

/// The row of an order.
macro_rules! order {
    ($path:literal, $summary:literal, $order:expr) => {
        Self {
            description: Description {
                method: ApiMethod::Post,
                path: $path,
                role: Some(Role::DomainAdmin),
                summary: $summary,
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Connector"),
            },
            handler: |request, site| Box::pin(order(request, $order, site)),
        }
    };
}

impl<E: Engine> Operation<E> {
    /// Operations on connectors.
    pub(super) const CONNECTORS: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "connectors",
                role: Some(Role::Reader),
                summary: "List connectors: the PBXs and presence servers that are subscribed to.",
                parameters: &["domain"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Connectors"),
            },
            handler: handler!(list),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "connectors/{connector}",
                role: Some(Role::Reader),
                summary: "Show a connector.",
                parameters: &[],
                body: BodySchema::None,
                answer: AnswerSchema::Json("Connector"),
            },
            handler: handler!(show),
        },
        Self {
            description: Description {
                method: ApiMethod::Get,
                path: "connectors/{connector}/users",
                role: Some(Role::Reader),
                summary: "List the users that a connector subscribes to, or is told of. A page may have fewer or more items than limit and not be the last.",
                parameters: &["cursor", "limit"],
                body: BodySchema::None,
                answer: AnswerSchema::Json("ConnectorUserPage"),
            },
            handler: handler!(users),
        },
        order!(
            "connectors/{connector}/start",
            "Start a connector that was stopped.",
            ConnectorOrder::Start
        ),
        order!(
            "connectors/{connector}/stop",
            "End the subscriptions of a connector, until it is started, or a reload changes it.",
            ConnectorOrder::Stop
        ),
        order!(
            "connectors/{connector}/restart",
            "Begin all subscriptions of a connector anew.",
            ConnectorOrder::Restart
        ),
    ];
}

async fn list<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let domain = request.query_domain(&directory)?;
    let (reports, silent) = site.connectors().await;
    let is_wanted = |report: &&ConnectorReport| {
        request.caller.is_for(&report.domain)
            && domain.is_none_or(|domain| *domain.name == *report.domain)
    };
    let items: Vec<Value> = reports
        .iter()
        .filter(is_wanted)
        .map(connector_json)
        .collect();
    Ok(Answer::Json(
        json!({"items": items, "silent_shards": silent}),
    ))
}

async fn show<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let name = name_of(&request, site)?;
    let (reports, _) = site.connectors().await;
    let report = control::named(reports, &name).map_err(Problem::of_query)?;
    Ok(Answer::Json(connector_json(&report)))
}

async fn users<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let name = name_of(&request, site)?;
    let items_max = cursor::ITEMS_MAX as u64;
    let limit = request.number("limit", 1, items_max)?.unwrap_or(ITEMS) as usize;
    let mut place = place(&request, site.engine.shards())?;
    let mut items: Vec<Value> = Vec::new();
    while let Some(from) = place.filter(|_| items.len() < limit) {
        let found = control::users_from(&name, from, site).await;
        let (users, next) = found.ok_or_else(Problem::unavailable)?;
        items.extend(users.iter().map(user_json));
        place = next;
    }
    let next = place.map(|(shard, from)| format!("{shard}-{from}"));
    Ok(Answer::Json(cursor::json(items, next)))
}

async fn order<E: Engine>(request: ApiRequest, order: ConnectorOrder, site: &Site<E>) -> ApiResult {
    let name = name_of(&request, site)?;
    let ordered = control::order_connector(&name, order, site).await;
    ordered.map_err(Problem::of_query)?;
    show(request, site).await
}

/// The connector in the path, if the caller may see its domain.
fn name_of<E: Engine>(request: &ApiRequest, site: &Site<E>) -> Result<String, Problem> {
    let directory = site.directory();
    let connector = directory.connector(request.path("connector"));
    let connector = connector.filter(|connector| request.caller.is_for(&connector.domain));
    let unknown = || Problem::new(ProblemKind::NotFound, "there is no such connector");
    Ok(connector.ok_or_else(unknown)?.name.to_string())
}
