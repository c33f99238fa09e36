//! Changes as server-sent events.
//!
//! A new reader gets `reset`, then the state of every address that any source has reported on, then every
//! change. A reader that reconnects with `Last-Event-ID` gets the changes that it missed, or `reset` and all
//! states if those are no longer in the log. An address that no event names has the state of an address on
//! which no source has reported. When tokens may have changed, all streams end; a reader whose token is still
//! valid reconnects.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use glommio::timer::sleep;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header;
use hyper::header::HeaderValue;

use crate::changes::shown;
use crate::directory::Directory;
use crate::directory::tokens::Role;
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::engine::Engine;
use crate::http::events::{EventFilter, EventKind, EventStream, Fetched, FirstPart, Resumption};
use crate::http::representation::response;
use crate::http::representation::response::Body;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::shard::{ChangeReader, Command, Reply, ShardId};

/// Addresses that one reader may name.
const AORS_MAX: usize = 1_000;
/// Readers at once.
const READERS_MAX: usize = 1_000;
/// Slots of a shard's table of presentities that one part of the initial states covers.
const PLACES_AT_ONCE: u32 = 200;

/// How long shards keep sending changes after the last reader has left, in case it reconnects.
const LINGER: Duration = Duration::from_secs(60);
/// The time between two rounds in which readers get the changes since the last round. A write to each of a
/// hundred readers for each change would take a CPU, which a shard may share.
const PACE: Duration = Duration::from_millis(20);
/// The time between two checks whether there are readers.
const LOOK: Duration = Duration::from_secs(5);

/// Takes changes from the shards to the log. Without readers, it stops the shards from sending them. Never
/// ends.
pub(crate) async fn log_changes<E: Engine>(site: Rc<Site<E>>) {
    let mut without_readers = Duration::ZERO;
    loop {
        let directory = site.directory();
        site.events.admit_by(&directory);
        let looked = Box::pin(sleep(LOOK));
        match select(Box::pin(site.changes.receive()), looked).await {
            Either::Left((received, _)) => {
                if received.lost > 0 {
                    site.events.note_lost(received.lost);
                }
                let changes = received.changes();
                for change in changes.filter(|change| change.state.addressees.has(None)) {
                    let json = shown::of_change(change, &directory);
                    site.events.append(change, &json.to_string());
                }
                let is_all = received.is_all();
                site.changes.give_back(received);
                if is_all {
                    site.events.wake();
                    sleep(PACE).await;
                }
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

/// Makes the shards send changes; this must precede a reader's request for the states. False if a shard does
/// not respond.
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
        let told = site
            .engine
            .ask(shard, Command::TellChanges(ChangeReader::Events, tells))
            .await;
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
        let why = format!("there are already {READERS_MAX} readers of events");
        return Err(Problem::new(ProblemKind::Unavailable, why));
    }
    if !begin(site).await {
        return Err(Problem::unavailable());
    }
    let last = request.headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok());
    let (next, first): (u64, Fetched) = match site.events.resume(last) {
        Resumption::From(next) => (next, (Bytes::from_static(b": goes on\n\n"), None)),
        Resumption::Anew(next) => {
            let states: Box<dyn FirstPart> = Box::new(AllStates {
                engine: site.engine.clone(),
                directory: Arc::clone(&directory),
                filter: filter.clone(),
                shard: 0,
                place: 0,
                count: 0,
                id: site.events.id_before(next),
            });
            let reset = b"event: reset\ndata: {\"reason\":\"begin\"}\n\n";
            (next, (Bytes::from_static(reset), Some(states)))
        }
    };
    let stream = EventStream::new(&site.events, next, filter, first);
    let mut response = response::text(StatusCode::OK, "");
    *response.body_mut() = Body::Events(Box::new(stream));
    let media_type = HeaderValue::from_static("text/event-stream");
    let response = response::with(response, header::CONTENT_TYPE, media_type);
    // A front proxy must not buffer events.
    let unbuffered = HeaderValue::from_static("no");
    let name = header::HeaderName::from_static("x-accel-buffering");
    Ok(Answer::Whole(response::with(response, name, unbuffered)))
}

fn filter(request: &ApiRequest, directory: &Directory) -> Result<EventFilter, Problem> {
    let aors: Result<HashSet<Aor>, Problem> = request
        .queries("aor")
        .map(|text| request.caller.aor(text, directory))
        .collect();
    let domains: Result<Vec<Box<str>>, Problem> = request
        .queries("domain")
        .map(|text| Ok(request.caller.domain(text, directory)?.name.as_str().into()))
        .collect();
    let (aors, mut domains) = (aors?, domains?);
    if aors.len() > AORS_MAX {
        let why = format!("may be given at most {AORS_MAX} times");
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

/// The initial states of a new reader, fetched in small parts. Its place in the log is taken before the first
/// part is asked for, so no change is missed.
struct AllStates<E> {
    engine: E,
    directory: Arc<Directory>,
    filter: EventFilter,
    /// Where the next part begins.
    shard: u16,
    place: u32,
    /// How many there were.
    count: usize,
    /// The id of the event before the first of the log.
    id: String,
}

impl<E: Engine> FirstPart for AllStates<E> {
    fn fetch(self: Box<Self>) -> LocalBoxFuture<'static, Option<Fetched>> {
        self.next_part().boxed_local()
    }
}

impl<E: Engine> AllStates<E> {
    async fn next_part(mut self: Box<Self>) -> Option<Fetched> {
        if self.shard >= self.engine.shards() {
            let (id, count) = (&self.id, self.count);
            let ready = format!("id: {id}\nevent: ready\ndata: {{\"states\":{count}}}\n\n");
            return Some((ready.into(), None));
        }
        let command = Command::KnownStates {
            from: self.place,
            places: PLACES_AT_ONCE,
            peer_system: None,
        };
        let reply = self.engine.ask(ShardId(self.shard), command).await;
        let Ok(Reply::KnownStates(states, next)) = reply else {
            return None;
        };
        let mut text = String::new();
        let states = states.iter();
        for state in states.filter(|state| self.filter.is_about(&state.aor)) {
            self.count += 1;
            let json = shown::of_state(state, &self.directory);
            text.push_str(&format!("event: state\ndata: {json}\n\n"));
        }
        (self.shard, self.place) = match next {
            Some(place) => (self.shard, place),
            None => (self.shard + 1, 0),
        };
        Some((text.into(), Some(self)))
    }
}
