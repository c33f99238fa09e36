//! Changes as server-sent events.
//!
//! A new reader gets `reset`, then the state of every address that any source has reported on, then every
//! change. One that comes back with `Last-Event-ID` gets what it missed, or `reset` and all states if that
//! is not there any more. An address of which no event says anything is as the configuration has it.
//! When the tokens may have changed, all readers end, and come back if they still may.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use glommio::timer::sleep;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderValue;

use crate::directory::Directory;
use crate::directory::tokens::Role;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::events::{EventFilter, EventKind, EventStream, Resumption};
use crate::http::representation::presentity_state;
use crate::http::representation::response;
use crate::http::representation::response::Body;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::shard::{Command, Reply, ShardId};

/// Addresses that one reader may name.
const AORS_MAX: usize = 1_000;
/// Readers at once.
const READERS_MAX: usize = 1_000;
/// States that a new reader gets; a reader of more must name a domain or addresses.
const STATES_MAX: usize = 100_000;

/// How long shards go on to tell changes after the last reader left: it may come back for what it missed.
const LINGER: Duration = Duration::from_secs(60);
/// The time between two looks whether there are readers.
const LOOK: Duration = Duration::from_secs(5);

/// Takes changes from the shards to the log, and has them stop when there are no readers. Never ends.
pub(crate) async fn log_changes<E: Engine>(site: Rc<Site<E>>) {
    let mut without_readers = Duration::ZERO;
    loop {
        let directory = site.directory();
        site.events.admit_by(&directory);
        let looked = Box::pin(sleep(LOOK));
        match select(Box::pin(site.changes.receive()), looked).await {
            Either::Left(((changes, lost), _)) => {
                if lost > 0 {
                    site.events.note_lost(lost);
                }
                for change in changes {
                    let json = presentity_state::of_change(&change, &directory);
                    site.events.append(&change, &json.to_string());
                }
                site.events.wake();
            }
            Either::Right(_) if site.events.has_readers() => without_readers = Duration::ZERO,
            Either::Right(_) => {
                without_readers += LOOK;
                if without_readers >= LINGER && site.events.is_told() {
                    site.events.stop();
                    tell(&site, false).await;
                }
            }
        }
    }
}

/// Has the shards tell changes, before a reader asks for the states. False if one does not respond.
async fn begin<E: Engine>(site: &Site<E>) -> bool {
    if site.events.is_told() {
        return true;
    }
    let is_told = tell(site, true).await;
    if is_told {
        site.events.start();
    }
    is_told
}

async fn tell<E: Engine>(site: &Site<E>, tells: bool) -> bool {
    for shard in (0..site.engine.shards()).map(ShardId) {
        let told = site.engine.ask(shard, Command::TellChanges(tells)).await;
        if !matches!(told, Ok(Reply::Done)) {
            return false;
        }
    }
    true
}

impl<E: Engine> Operation<E> {
    /// Events.
    pub(super) const EVENTS: &'static [Self] = &[Self {
        description: Description {
            method: ApiMethod::Get,
            path: "events",
            role: Some(Role::Reader),
            summary: "Follow every change of state and note, as server-sent events.",
            parameters: &["aor*", "domain*", "kind"],
            body: BodySchema::None,
            answer: AnswerSchema::Document("text/event-stream"),
        },
        handler: handler!(follow),
    }];
}

async fn follow<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let filter = filter(&request, &directory)?;
    site.events.admit_by(&directory);
    if site.events.readers() >= READERS_MAX {
        let why = format!("there are {READERS_MAX} readers of events already");
        return Err(Problem::new(ProblemKind::Unavailable, why));
    }
    if !begin(site).await {
        return Err(Problem::unavailable());
    }
    let last = request.headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok());
    let stream = match site.events.resume(last) {
        Resumption::From(next) => {
            let mut stream = EventStream::new(&site.events, next, filter);
            stream.begin_with(": goes on\n\n");
            stream
        }
        Resumption::Anew(next) => anew(next, filter, &directory, site).await?,
    };
    let mut response = response::text(StatusCode::OK, "");
    *response.body_mut() = Body::Events(Box::new(stream));
    let media_type = HeaderValue::from_static("text/event-stream");
    let response = response::with(response, header::CONTENT_TYPE, media_type);
    // A front proxy must not collect what should be seen at once.
    let unbuffered = HeaderValue::from_static("no");
    let name = header::HeaderName::from_static("x-accel-buffering");
    Ok(Answer::Whole(response::with(response, name, unbuffered)))
}

fn filter(request: &ApiRequest, directory: &Directory) -> Result<EventFilter, Problem> {
    let aors: Result<Vec<Aor>, Problem> = request
        .queries("aor")
        .map(|text| request.caller.aor(text, directory))
        .collect();
    let domains: Result<Vec<Box<str>>, Problem> = request
        .queries("domain")
        .map(|text| request.caller.domain(text, directory).map(Into::into))
        .collect();
    let (aors, mut domains) = (aors?, domains?);
    if aors.len() > AORS_MAX {
        let why = format!("may be given {AORS_MAX} times");
        return Err(Problem::of_parameter("aor", why));
    }
    if domains.is_empty() {
        domains = request.caller.domains().to_vec();
    }
    let kind = request.given("kind").next().map(|word| {
        let mut kinds = EventKind::ALL.into_iter();
        let unknown = || Problem::of_parameter("kind", "must be one of: state, note");
        kinds.find(|kind| kind.as_str() == word).ok_or_else(unknown)
    });
    Ok(EventFilter {
        domains,
        aors,
        kind: kind.transpose()?,
    })
}

/// A reader that begins with all states. Its place in the log is from before they were asked for, so no
/// change is missed.
async fn anew<E: Engine>(
    next: u64,
    filter: EventFilter,
    directory: &Directory,
    site: &Site<E>,
) -> Result<EventStream, Problem> {
    let mut stream = EventStream::new(&site.events, next, filter.clone());
    stream.begin_with("event: reset\ndata: {\"reason\":\"begin\"}\n\n");
    let mut count = 0;
    for shard in (0..site.engine.shards()).map(ShardId) {
        let mut from = Some(0);
        while let Some(place) = from {
            let command = Command::KnownStates { from: place };
            let reply = site.engine.ask(shard, command).await;
            let Ok(Reply::KnownStates(states, next)) = reply else {
                return Err(Problem::unavailable());
            };
            let states = states.iter().filter(|state| filter.is_about(&state.aor));
            let mut text = String::new();
            for state in states {
                count += 1;
                let json = presentity_state::of_state(state, directory);
                text.push_str(&format!("event: state\ndata: {json}\n\n"));
            }
            if count > STATES_MAX {
                let why = format!("more than {STATES_MAX} states: name a domain, or addresses");
                return Err(Problem::new(ProblemKind::Conflict, why));
            }
            if !text.is_empty() {
                stream.begin_with(text);
            }
            from = next;
        }
    }
    let id = site.events.id_before(next);
    stream.begin_with(format!(
        "id: {id}\nevent: ready\ndata: {{\"states\":{count}}}\n\n"
    ));
    Ok(stream)
}
