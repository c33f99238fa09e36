//! The operator's pages on the control socket: questions (GET) and commands (POST). The answers are
//! text for a terminal, which the command line prints as they are.
//!
//! | page | fields |
//! |---|---|
//! | `/why`, `/watchers` | `aor`, `wide` |
//! | `/counters`, `/loops`, `/refusals`, `/status` | |
//! | `/reload` | `accept_removal` |
//! | `/list` | `list`, or none for all lists |
//! | `/list/create` | `list`, `name`, `style`, `members` |
//! | `/list/delete` | `list` |
//! | `/list/add`, `/list/remove` | `list`, `member`, `at` |
//! | `/say/...` | see [`say`] |
//! | `/rules`, `/rules/remove` | `aor` |
//! | `/rules/import` | `aor` in the query, the document as the body |
//! | `/rules/approve`, `/rules/deny` | `watcher`, `aor`, `politely` |
//!
//! Fields come in the query or in a form. A command is done when its answer comes: every shard has
//! it, and whoever subscribes is being told.

mod aor;
mod form;
mod lists;
mod loops;
mod refusal;
mod refusals;
mod rules;
mod say;
mod status;
mod why;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use glommio::timer::sleep;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;

use crate::directory::Directory;
use crate::http::Site;
use crate::http::answer::response;
use crate::http::answer::response::Answer;
use crate::http::control::form::Form;
use crate::http::control::refusal::Refusal;
use crate::http::engine::Engine;
use crate::shard::Command;
use crate::shard::ShardId;

/// How often a directory is offered to a shard whose inbox is full.
const OFFERS_MAX: u32 = 20;
/// The time between two offers.
const OFFER_PAUSE: Duration = Duration::from_millis(50);

/// Answers one request.
pub(super) async fn answer<E: Engine>(request: Request<Incoming>, site: &Site<E>) -> Answer {
    let path = request.uri().path().to_owned();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_question = matches!(
        path.as_str(),
        "/why"
            | "/watchers"
            | "/counters"
            | "/loops"
            | "/refusals"
            | "/status"
            | "/list"
            | "/rules"
    );
    let is_command = path == "/reload"
        || lists::is_command(&path)
        || rules::is_command(&path)
        || say::is_command(&path);
    let done = match (is_question, is_command) {
        (true, _) if !is_read => return response::not_allowed("GET, HEAD"),
        (_, true) if request.method() != Method::POST => return response::not_allowed("POST"),
        (true, _) => ask(&path, request.uri().query().unwrap_or_default(), site).await,
        (_, true) => act(&path, request, site).await,
        (false, false) => return response::text(StatusCode::NOT_FOUND, "Not Found\n"),
    };
    done.map_or_else(Refusal::into_answer, |text| {
        response::text(StatusCode::OK, text)
    })
}

async fn ask<E: Engine>(path: &str, query: &str, site: &Site<E>) -> Result<String, Refusal> {
    match path {
        "/why" => why::why(query, site).await,
        "/watchers" => why::watchers(query, site).await,
        "/list" => lists::show(query, &site.directory()),
        "/rules" => rules::show(query, &site.directory()),
        "/loops" => loops::show(query, site).await,
        "/refusals" => refusals::show(query, site).await,
        "/status" => status::show(query, site).await,
        _ => Ok(why::counters(site).await),
    }
}

async fn act<E: Engine>(
    path: &str,
    request: Request<Incoming>,
    site: &Site<E>,
) -> Result<String, Refusal> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = form::body(request).await?;
    // Texts may be somebody's affair; which command it was, and that it was done, is not.
    tracing::debug!(path, "command");
    if path == "/reload" {
        reload(&query, &body, site).await
    } else if say::is_command(path) {
        say::act(path, &query, &body, site).await
    } else if lists::is_command(path) {
        lists::act(path, &query, &body, site).await
    } else {
        rules::act(path, &query, &body, site).await
    }
}

/// `POST /reload`
async fn reload<E: Engine>(query: &str, body: &[u8], site: &Site<E>) -> Result<String, Refusal> {
    let form = Form::parse(query, body, &["accept_removal"])?;
    let accepts_removal = form.is_yes("accept_removal")?;
    match site.engine.reload(accepts_removal).await {
        Ok(Ok(text)) => Ok(text + "\n"),
        Ok(Err(why)) => Err(Refusal::NotReloaded(why)),
        Err(_) => Err(Refusal::Silent),
    }
}

/// Puts what `edit` makes of the directory in its place, gives it to every shard, and waits until
/// each has it. Returns the new one.
async fn edit<E: Engine>(
    site: &Site<E>,
    edit: impl FnOnce(&Directory) -> Result<Directory, Refusal>,
) -> Result<Arc<Directory>, Refusal> {
    let offer = |directory: &Arc<Directory>, shards: &[ShardId]| {
        let ask = |shard: &ShardId| {
            let reload = Command::Reload(Arc::clone(directory));
            (*shard, site.engine.ask(*shard, reload))
        };
        (
            Arc::clone(directory),
            shards.iter().map(ask).collect::<Vec<_>>(),
        )
    };
    let mut shards: Vec<ShardId> = (0..site.engine.shards()).map(ShardId).collect();
    let (edited, mut offers) = site
        .directory
        .change(edit, |directory| offer(directory, &shards))?;
    for _ in 0..OFFERS_MAX {
        let replies = offers
            .into_iter()
            .map(async |(shard, reply)| (shard, reply.await));
        let replies = join_all(replies).await;
        shards.clear();
        shards.extend(
            replies
                .iter()
                .filter(|(_, reply)| reply.is_err())
                .map(|(shard, _)| *shard),
        );
        if shards.is_empty() {
            return Ok(edited);
        }
        sleep(OFFER_PAUSE).await;
        (_, offers) = site.directory.repeat(|directory| offer(directory, &shards));
    }
    Err(Refusal::HalfDone)
}
