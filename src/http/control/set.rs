//! State that the operator, or a feeder on the operator's behalf, sets for an address:
//! `POST /set/...`.
//!
//! | page | fields |
//! |---|---|
//! | `dnd` | `state`: on, off |
//! | `forward` | `kind`: immediate, busy, no-answer; `target`, or off; `rings` |
//! | `note` | `text`, or off |
//! | `presence` | `basic`: open, closed, off; `activities` of RPID, separated by spaces |
//! | `messages` | `counts`: new/old, or off; `urgent`: new/old |
//! | `lamp` | `state`: early, confirmed, off; `from`, `display`, `expires` |
//! | `park`, `unpark` | `from`, `display`, `expires` |
//! | `appearance` | `index`, `state`, `party` |
//! | `registered`, `unregistered` | `contact`, `expires` |
//!
//! All have `aor`, an address that the directory knows. The state lasts until it is replaced or
//! expires; without a store, until the process ends.

use std::sync::Arc;
use std::time::Duration;

use crate::http::control::{ControlRefusal, ControlResult, Form, why};
use crate::http::engine::Engine;
use crate::http::site::{CallNumbers, Site};
use crate::presence::call::{
    Appearance, AppearanceState, CallParts, CallState, Direction, Party, appearance,
};
use crate::presence::composition::activity;
use crate::presence::source::{
    CallSource, Forward, ForwardKind, MessageClass, MessageCounts, Messages, RichPresence,
    StateUpdate,
};
use crate::presence::{Aor, CallDialog};
use crate::shard::Reply;
use crate::sip::Uri;
use crate::sip::header::NameAddr;
use crate::sip::uri::sip_uri;

/// The beginning of the ids of calls that the operator reports.
const ID_PREFIX: &str = "operator";

/// Reads a state update from the form of one page.
pub(crate) type ReadUpdate = fn(&Form, &Aor, &CallNumbers) -> Result<StateUpdate, ControlRefusal>;

/// Sends the update to the owning shard and returns the new state.
pub(crate) async fn set<E: Engine>(form: Form, site: &Site<E>, read: ReadUpdate) -> ControlResult {
    let directory = site.directory();
    let aor = form.known_aor(&directory)?;
    if directory.is_list(&aor) {
        return Err(ControlRefusal::IsList(aor));
    }
    let said = read(&form, &aor, &site.call_numbers)?;
    match site.update_state(aor.clone(), said, None).await {
        Ok(Reply::Done) => why::state(aor, site).await,
        Ok(Reply::OverLimit) => Err(ControlRefusal::Full(
            "the shard is at its limit of presentities, or its store is behind",
        )),
        Ok(_) | Err(_) => Err(ControlRefusal::Silent),
    }
}

/// `POST /set/dnd`
pub(crate) fn do_not_disturb(
    form: &Form,
    _: &Aor,
    _: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    let is_on = form.word("state", [("on", true), ("off", false)])?;
    Ok(StateUpdate::DoNotDisturb(is_on))
}

/// `POST /set/forward`
pub(crate) fn forward(
    form: &Form,
    _: &Aor,
    _: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    let kinds = ForwardKind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = form.word("kind", kinds)?;
    let target = unless_off(form, "target")?;
    let ring_count = form.number("rings")?;
    if ring_count.is_some() && (kind != ForwardKind::NoAnswer || target.is_none()) {
        let why = "rings is valid only if kind is no-answer";
        return Err(ControlRefusal::Senseless(why));
    }
    if ring_count.is_some_and(|rings| !(1..=Forward::RINGS_MAX).contains(&rings)) {
        return Err(ControlRefusal::Senseless("rings must be between 1 and 99"));
    }
    Ok(StateUpdate::Forward(Forward {
        kind,
        is_active: target.is_some(),
        target: target.unwrap_or_default().into(),
        ring_count,
    }))
}

/// `POST /set/note`
pub(crate) fn note(form: &Form, _: &Aor, _: &CallNumbers) -> Result<StateUpdate, ControlRefusal> {
    Ok(StateUpdate::Note(unless_off(form, "text")?.map(Into::into)))
}

/// `POST /set/presence`
pub(crate) fn presence(
    form: &Form,
    _: &Aor,
    _: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    let basics = [("open", Some(true)), ("closed", Some(false)), ("off", None)];
    let open = form.word("basic", basics)?;
    let names = form.optional("activities")?.unwrap_or_default();
    if open.is_none() {
        return match names {
            "" => Ok(StateUpdate::Presence(None)),
            _ => Err(ControlRefusal::Senseless(
                "activities is not allowed if basic is off",
            )),
        };
    }
    let mut activities: Vec<Box<str>> = Vec::new();
    for name in names.split_whitespace() {
        if !activity::names().any(|known| known == name) && !activity::is_do_not_disturb(name) {
            return Err(ControlRefusal::NoWord {
                field: "activities",
                words: activity::names().collect::<Vec<_>>().join(", "),
            });
        }
        if !activities.iter().any(|known| **known == *name) {
            activities.push(name.into());
        }
    }
    Ok(StateUpdate::Presence(Some(RichPresence {
        open,
        activities,
        ..RichPresence::default()
    })))
}

/// `POST /set/messages`
pub(crate) fn messages(
    form: &Form,
    _: &Aor,
    _: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    let urgent = form.optional("urgent")?;
    let Some(counts) = unless_off(form, "counts")? else {
        return match urgent {
            None => Ok(StateUpdate::Messages(None)),
            Some(_) => Err(ControlRefusal::Senseless(
                "urgent is not allowed if counts is off",
            )),
        };
    };
    let (new, old) = pair(counts).ok_or(ControlRefusal::Senseless(
        "counts must be written as new/old, like 3/1",
    ))?;
    let (urgent_new, urgent_old) =
        urgent
            .map_or(Some((0, 0)), pair)
            .ok_or(ControlRefusal::Senseless(
                "urgent must be written as new/old, like 1/0",
            ))?;
    if urgent_new > new || urgent_old > old {
        let why = "there cannot be more urgent messages than messages";
        return Err(ControlRefusal::Senseless(why));
    }
    let counts = MessageCounts {
        new,
        old,
        urgent_new,
        urgent_old,
    };
    Ok(StateUpdate::Messages(Some(Messages {
        are_waiting: new > 0,
        account: None,
        counts: vec![(MessageClass::Voice, counts)],
    })))
}

/// `POST /set/lamp`
pub(crate) fn lamp(
    form: &Form,
    _: &Aor,
    numbers: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    let states = [
        ("early", Some(CallState::Early)),
        ("confirmed", Some(CallState::Confirmed)),
        ("off", None),
    ];
    let state = form.word("state", states)?;
    let remote = caller(form)?;
    let expires = form.time("expires")?;
    let id = numbers.next(ID_PREFIX);
    let call = state.map(|state| call(&id, state, Party::default(), remote));
    Ok(said_call(call, expires))
}

/// `POST /set/park`: one dialog on hold, which a call to the orbit picks up (W:C8.1).
pub(crate) fn park(
    form: &Form,
    orbit: &Aor,
    numbers: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    form.required("from")?;
    let address = sip_uri(orbit.user(), orbit.domain());
    let local = Party {
        identity: &address,
        display: "park",
        target: &address,
        rendering: Some(false),
    };
    let remote = Party {
        target: &address,
        ..caller(form)?
    };
    let id = numbers.next(ID_PREFIX);
    let call = call(&id, CallState::Confirmed, local, remote);
    Ok(said_call(Some(call), form.time("expires")?))
}

/// `POST /set/appearance`
pub(crate) fn appearance(
    form: &Form,
    _: &Aor,
    _: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    form.required("index")?;
    let index = form
        .number("index")?
        .and_then(|index| index.try_into().ok());
    let index = index.filter(|index| appearance::INDEXES.contains(index));
    let index = index.ok_or(ControlRefusal::Senseless("index must be between 1 and 32"))?;
    let states = AppearanceState::ALL.map(|state| (state.as_str(), state));
    let state = form.word("state", states)?;
    let party = form.optional("party")?;
    if party.is_some_and(|party| NameAddr::parse(party.as_bytes()).is_none()) {
        return Err(ControlRefusal::NoUri("party"));
    }
    Ok(StateUpdate::Appearance(Appearance {
        index,
        state,
        party: party.map(Into::into),
    }))
}

/// `POST /set/registered`
pub(crate) fn registered(
    form: &Form,
    _: &Aor,
    _: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    form.required("contact")?;
    let contact = uri(form, "contact")?.unwrap_or_default();
    let expires = form
        .time("expires")?
        .ok_or(ControlRefusal::Missing("expires"))?;
    Ok(StateUpdate::Registered(vec![(contact.into(), expires)]))
}

/// `POST /set/unpark`
pub(crate) fn unpark(_: &Form, _: &Aor, _: &CallNumbers) -> Result<StateUpdate, ControlRefusal> {
    Ok(said_call(None, None))
}

/// `POST /set/unregistered`
pub(crate) fn unregistered(
    _: &Form,
    _: &Aor,
    _: &CallNumbers,
) -> Result<StateUpdate, ControlRefusal> {
    Ok(StateUpdate::Unregistered)
}

fn said_call(call: Option<CallDialog>, expires: Option<Duration>) -> StateUpdate {
    StateUpdate::Call {
        source: CallSource::Operator,
        call: call.map(Arc::new),
        expires,
    }
}

fn call(id: &str, state: CallState, local: Party<'_>, remote: Party<'_>) -> CallDialog {
    CallDialog::from(CallParts {
        direction: Some(Direction::Recipient),
        local,
        remote,
        ..CallParts::new(id, state)
    })
}

/// The other party, as far as it is given.
fn caller(form: &Form) -> Result<Party<'_>, ControlRefusal> {
    Ok(Party {
        identity: uri(form, "from")?.unwrap_or_default(),
        display: form.optional("display")?.unwrap_or_default(),
        ..Party::default()
    })
}

fn uri<'f>(form: &'f Form, name: &'static str) -> Result<Option<&'f str>, ControlRefusal> {
    match form.optional(name)? {
        Some(text) if Uri::parse(text.as_bytes()).is_err() => Err(ControlRefusal::NoUri(name)),
        text => Ok(text),
    }
}

/// A text that must be there; None for `off`.
fn unless_off<'f>(form: &'f Form, name: &'static str) -> Result<Option<&'f str>, ControlRefusal> {
    Ok(Some(form.required(name)?).filter(|text| *text != "off"))
}

/// `3/1`
fn pair(text: &str) -> Option<(u32, u32)> {
    let (new, old) = text.split_once('/')?;
    Some((new.trim().parse().ok()?, old.trim().parse().ok()?))
}
