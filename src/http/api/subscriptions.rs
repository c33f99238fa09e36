//! All subscriptions: watcher, presentity, profile, and the outcome of the last NOTIFYs.

use serde_json::Value;

use crate::directory::tokens::Role;
use crate::http::api::cursor;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::Problem;
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::representation::watchers;
use crate::http::site::Site;
use crate::shard::contract::report::{WatcherReport, WatcherState};
use crate::shard::{Command, Reply, ShardId};

/// Items of a page unless the caller says otherwise, and at most.
const ITEMS: u64 = 1_000;
const ITEMS_MAX: u64 = cursor::ITEMS_MAX as u64;
/// Batches that one request searches: a search that finds little goes on with the next page.
const BATCHES_MAX: usize = 100;

impl<E: Engine> Operation<E> {
    /// What is asked of subscriptions.
    pub(super) const SUBSCRIPTIONS: &'static [Self] = &[Self {
        description: Description {
            method: ApiMethod::Get,
            path: "subscriptions",
            role: Some(Role::Reader),
            summary: "List subscriptions, each with the outcome of its last NOTIFYs. A page may have fewer items than limit and not be the last.",
            parameters: &["domain", "search", "state", "cursor", "limit"],
            body: BodySchema::None,
            answer: AnswerSchema::Json("SubscriptionPage"),
        },
        handler: handler!(list),
    }];
}

async fn list<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let limit = request.number("limit", 1, ITEMS_MAX)?.unwrap_or(ITEMS) as usize;
    let domain = request.query_domain(&directory)?;
    let text = request.query("search").map(str::to_lowercase);
    let state = state(&request)?;
    let is_wanted = |report: &WatcherReport| {
        let name = report.presentity.domain();
        let contains = |text: &String| {
            [report.presentity.as_str(), &report.watcher, &report.profile]
                .iter()
                .any(|field| field.to_lowercase().contains(text))
                || report.peer.to_string().contains(text)
        };
        request.caller.is_for(name)
            && domain.is_none_or(|domain| domain.name == name)
            && text.as_ref().is_none_or(contains)
            && state.is_none_or(|state| report.state == state)
    };
    let mut place = place(&request, site.engine.shards())?;
    let mut items: Vec<Value> = Vec::new();
    for _ in 0..BATCHES_MAX {
        let Some((shard, from)) = place.filter(|_| items.len() < limit) else {
            break;
        };
        let command = Command::Subscriptions { from };
        let reply = site.engine.ask(ShardId(shard), command).await;
        let Ok(Reply::Subscriptions(reports, next)) = reply else {
            return Err(Problem::unavailable());
        };
        let reports = reports.iter().filter(|report| is_wanted(report));
        items.extend(reports.map(watchers::report_json));
        place = match next {
            Some(next) => Some((shard, next)),
            None if shard + 1 < site.engine.shards() => Some((shard + 1, 0)),
            None => None,
        };
    }
    let next = place.map(|(shard, from)| format!("{shard}-{from}"));
    Ok(Answer::Json(cursor::json(items, next)))
}

fn state(request: &ApiRequest) -> Result<Option<WatcherState>, Problem> {
    let Some(word) = request.given("state").next() else {
        return Ok(None);
    };
    let mut states = WatcherState::ALL.into_iter();
    let words = WatcherState::ALL.map(WatcherState::as_str).join(", ");
    let unknown = || Problem::of_parameter("state", format!("must be one of: {words}"));
    let found = states.find(|state| state.as_str() == word);
    found.map(Some).ok_or_else(unknown)
}

/// The shard and the place of its table at which the page begins.
pub(super) fn place(request: &ApiRequest, shards: u16) -> Result<Option<(u16, u32)>, Problem> {
    let Some(text) = request.query("cursor") else {
        return Ok(Some((0, 0)));
    };
    let parts = text.split_once('-').and_then(|(shard, from)| {
        let shard: u16 = shard.parse().ok()?;
        Some((shard, from.parse().ok()?))
    });
    let fault = || Problem::of_parameter("cursor", "is not the next of an earlier page");
    let parts = parts.filter(|(shard, _)| *shard < shards);
    parts.map(Some).ok_or_else(fault)
}
