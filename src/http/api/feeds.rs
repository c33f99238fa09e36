//! Events of PBXs that report by HTTP in JSON of their own (`[[feed]]` in the configuration).
//!
//! An event with a state or a user that the feed does not know is ignored and counted: a PBX reports much that
//! no lamp shows, and that is no error. A user has one call here: the last report counts. A feed of a peer system
//! has one of its own (`presence::presentity::reported`).
//! A PBX that cannot send an `Authorization` header may put the token into the query.

use std::time::Duration;

use serde_json::{Value, json};

use crate::directory::feeds::{Feed, Meaning};
use crate::directory::tokens::Role;
use crate::directory::{Directory, Domain};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::api::update;
use crate::http::api::update::call_update;
use crate::http::engine::Engine;
use crate::http::site::{CallNumbers, Site};
use crate::presence::Aor;
use crate::presence::call::{CallDialog, CallParts, CallState, Direction, Party};
use crate::presence::origin::Origin;
use crate::presence::source::{RichPresence, StateUpdate};
use crate::sip::Uri;
use crate::sip::uri::sip_uri;

/// Events of one request.
const EVENTS_MAX: usize = 1_000;
/// Octets of a request.
const OCTETS_MAX: usize = 1 << 20;
/// Strings within strings that hold JSON.
const NESTED_MAX: usize = 4;
/// The beginning of the ids of calls that are reported here.
const ID_PREFIX: &str = "feed";

impl<E: Engine> Operation<E> {
    /// Feeds.
    pub(super) const FEEDS: &'static [Self] = &[Self {
        description: Description {
            method: ApiMethod::Post,
            path: "feeds/{feed}",
            role: Some(Role::Feeder),
            summary: "Report events in the JSON of a PBX, as a [[feed]] of the configuration describes it.",
            parameters: &["token"],
            body: BodySchema::Json {
                schema: "FeedBody",
                octets_max: OCTETS_MAX,
            },
            answer: AnswerSchema::Json("FeedResult"),
        },
        handler: handler!(report),
    }];
}

async fn report<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let feed = directory.feed(request.path("feed"));
    let feed = feed.filter(|feed| request.caller.is_for(&feed.domain));
    let unknown = || Problem::new(ProblemKind::NotFound, "there is no such feed");
    let feed = feed.ok_or_else(unknown)?;
    let domain = directory.domain(&feed.domain).ok_or_else(unknown)?;
    let found = at(&request.body, &feed.events, NESTED_MAX);
    let events = match found {
        Some(Value::Array(events)) => events,
        Some(event) => vec![event],
        None => Vec::new(),
    };
    if events.len() > EVENTS_MAX {
        let why = format!("has more than {EVENTS_MAX} events");
        return Err(Problem::of_body(format!("#{}", feed.events), why));
    }
    let origin = directory.peer_origin(|| Origin::of(&feed.name));
    let (mut accepted, mut ignored) = (0, 0);
    for event in &events {
        let Some((aor, updates)) = read(event, (feed, domain), &directory, &site.call_numbers)
        else {
            ignored += 1;
            continue;
        };
        for update in updates {
            update::send(aor.clone(), update, origin, site).await?;
        }
        accepted += 1;
    }
    Ok(Answer::Json(
        json!({"accepted": accepted, "ignored": ignored}),
    ))
}

/// The address of an event and the updates it means. None if the feed does not know its user or its state.
fn read(
    event: &Value,
    (feed, domain): (&Feed, &Domain),
    directory: &Directory,
    numbers: &CallNumbers,
) -> Option<(Aor, Vec<StateUpdate>)> {
    let user = text(&at(event, &feed.user, NESTED_MAX)?)?;
    let user = user.strip_prefix("sip:").unwrap_or(&user);
    let user = user.split('@').next().unwrap_or_default();
    let aor = Aor::new(user, &domain.name);
    if !directory.exists_in(domain, &aor) || directory.is_list(&aor) {
        return None;
    }
    let meaning = feed.meaning(&text(&at(event, &feed.state, NESTED_MAX)?)?)?;
    let party = feed.party.as_deref();
    let party = party.and_then(|party| text(&at(event, party, NESTED_MAX)?));
    let presence = |activity: Option<&str>| {
        StateUpdate::Presence(activity.map(|activity| RichPresence {
            open: Some(true),
            activities: vec![activity.into()],
            ..RichPresence::default()
        }))
    };
    let updates = match meaning {
        Meaning::Ringing | Meaning::Busy => {
            let is_ringing = meaning == Meaning::Ringing;
            vec![call(is_ringing, party.as_deref(), domain, numbers)]
        }
        Meaning::Idle => vec![call_update(None, Duration::ZERO)],
        Meaning::DoNotDisturb => vec![StateUpdate::DoNotDisturb(true)],
        Meaning::Available => vec![StateUpdate::DoNotDisturb(false), presence(None)],
        Meaning::Away => vec![StateUpdate::DoNotDisturb(false), presence(Some("away"))],
    };
    Some((aor, updates))
}

fn call(
    is_ringing: bool,
    party: Option<&str>,
    domain: &Domain,
    numbers: &CallNumbers,
) -> StateUpdate {
    let id = numbers.next(ID_PREFIX);
    let state = match is_ringing {
        true => CallState::Early,
        false => CallState::Confirmed,
    };
    let is_uri = |text: &&str| text.contains(':') && Uri::parse(text.as_bytes()).is_ok();
    let identity = party.map(|party| match is_uri(&party) {
        true => party.to_owned(),
        false => sip_uri(party, &domain.name),
    });
    let call = CallDialog::from(CallParts {
        direction: is_ringing.then_some(Direction::Recipient),
        remote: Party {
            identity: identity.as_deref().unwrap_or_default(),
            ..Party::default()
        },
        remote_is_private: !domain.reveal_number,
        ..CallParts::new(&id, state)
    });
    call_update(Some(call), domain.max_call_duration)
}

/// A user, a state or a number.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_sound = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
    is_sound.then_some(text)
}

/// The value at a pointer. A string on the path that holds JSON is parsed.
fn at(value: &Value, pointer: &str, nested: usize) -> Option<Value> {
    if pointer.is_empty() {
        return Some(value.clone());
    }
    if let Value::String(text) = value {
        let inner: Value = serde_json::from_str(text).ok()?;
        return at(&inner, pointer, nested.checked_sub(1)?);
    }
    let below = pointer.strip_prefix('/')?;
    let (name, rest) = match below.find('/') {
        Some(end) => below.split_at(end),
        None => (below, ""),
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    let found = match value {
        Value::Object(object) => object.get(&name)?,
        Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
        _ => return None,
    };
    at(found, rest, nested)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_goes_into_strings_that_hold_json() {
        let body = json!({
            "type": 30009,
            "msg": "{\"extension\":\"2005\",\"status\":\"business_trip\"}",
            "list": [{"a/b": 1}],
        });
        let found = |pointer: &str| at(&body, pointer, NESTED_MAX);
        assert_eq!(found("/msg/extension"), Some("2005".into()));
        assert_eq!(found("/list/0/a~1b"), Some(1.into()));
        assert_eq!(found("/type"), Some(30009.into()));
        for nothing in ["/msg/x", "/list/1", "/type/0", "type"] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
        let deep = (0..9).fold(json!({"a": 1}), |inner, _| json!({"a": inner.to_string()}));
        assert_eq!(at(&deep, &"/a".repeat(10), NESTED_MAX), None);
    }
}
