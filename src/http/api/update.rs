//! Reports of state: calls, notes, do-not-disturb, call forwarding; of one address, or of many at once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::changes::shown;
use crate::directory::tokens::Role;
use crate::directory::{Directory, Domain};
use crate::http::api::fields::{Faults, Fields};
use crate::http::api::operation::{
    Answer, AnswerSchema, ApiMethod, ApiResult, BodySchema, Description, Operation, handler,
};
use crate::http::api::presence;
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::api::request::ApiRequest;
use crate::http::control::ControlRefusal;
use crate::http::engine::Engine;
use crate::http::site::{CallNumbers, Site, by_owner};
use crate::presence::Aor;
use crate::presence::call::{CallDialog, CallParts, CallState, Direction, Party};
use crate::presence::origin::Origin;
use crate::presence::source::{CallSource, Forward, ForwardKind, StateUpdate};
use crate::shard::{Command, Reply};

/// Updates in one request.
const UPDATES_MAX: usize = 10_000;
/// Octets of such a request.
const UPDATES_OCTETS_MAX: usize = 4 << 20;
/// Updates in one command: a longer command would hold up its shard.
const UPDATES_PER_COMMAND: usize = 500;
/// The beginning of the ids of calls that are reported here.
const ID_PREFIX: &str = "api";

/// The states of a call.
const CALL_STATES: [(&str, CallState); 4] = [
    ("trying", CallState::Trying),
    ("early", CallState::Early),
    ("confirmed", CallState::Confirmed),
    ("terminated", CallState::Terminated),
];
const DIRECTIONS: [(&str, Direction); 2] = [
    ("initiator", Direction::Initiator),
    ("recipient", Direction::Recipient),
];

/// The row of an operation that changes the state of the address in its path.
macro_rules! change {
    ($method:ident, $path:literal, $body:expr, $summary:literal, $handler:path) => {
        Self {
            description: Description {
                method: ApiMethod::$method,
                path: $path,
                role: Some(Role::Feeder),
                summary: $summary,
                parameters: &[],
                body: $body,
                answer: AnswerSchema::Json("State"),
            },
            handler: handler!($handler),
        }
    };
}

impl<E: Engine> Operation<E> {
    /// Reports about presentities.
    pub(super) const UPDATE: &'static [Self] = &[
        Self {
            description: Description {
                method: ApiMethod::Post,
                path: "updates",
                role: Some(Role::Feeder),
                summary: "Report the calls of many addresses at once. Nothing is applied if the body has a fault.",
                parameters: &[],
                body: BodySchema::Json {
                    schema: "Updates",
                    octets_max: UPDATES_OCTETS_MAX,
                },
                answer: AnswerSchema::Json("UpdateResults"),
            },
            handler: handler!(update_many),
        },
        change!(
            Put,
            "presence/{aor}/call",
            BodySchema::json("Call"),
            "Report the call of an address. It replaces the one reported before.",
            set_call
        ),
        change!(
            Delete,
            "presence/{aor}/call",
            BodySchema::None,
            "Report that the call of an address has ended.",
            end_call
        ),
        change!(
            Put,
            "presence/{aor}/note",
            BodySchema::json("Note"),
            "Set the note of an address.",
            set_note
        ),
        change!(
            Delete,
            "presence/{aor}/note",
            BodySchema::None,
            "Remove the note of an address.",
            remove_note
        ),
        change!(
            Put,
            "presence/{aor}/do-not-disturb",
            BodySchema::json("DoNotDisturb"),
            "Turn do-not-disturb on or off.",
            set_do_not_disturb
        ),
        change!(
            Put,
            "presence/{aor}/forwarding/{kind}",
            BodySchema::json("Forwarding"),
            "Forward the calls of an address: immediate, busy or no-answer.",
            set_forwarding
        ),
        change!(
            Delete,
            "presence/{aor}/forwarding/{kind}",
            BodySchema::None,
            "Stop forwarding the calls of an address.",
            end_forwarding
        ),
    ];
}

async fn set_note<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let text = fields.required_text("text").map(Into::into);
    fields.end();
    let update = faults.unless(StateUpdate::Note(text))?;
    apply(&request, update, site).await
}

async fn remove_note<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    apply(&request, StateUpdate::Note(None), site).await
}

async fn set_do_not_disturb<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let is_on = fields.required_boolean("active").unwrap_or_default();
    fields.end();
    let update = faults.unless(StateUpdate::DoNotDisturb(is_on))?;
    apply(&request, update, site).await
}

async fn set_forwarding<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let kind = forward_kind(&request)?;
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let target = fields.required_text("target").unwrap_or_default();
    let rings = fields.number("rings", 1, Forward::RINGS_MAX.into());
    if rings.is_some() && kind != ForwardKind::NoAnswer {
        fields.fault("rings", "is allowed for no-answer only");
    }
    fields.end();
    let update = faults.unless(StateUpdate::Forward(Forward {
        kind,
        is_active: true,
        target: target.into(),
        ring_count: rings.map(|rings| rings as u32),
    }))?;
    apply(&request, update, site).await
}

async fn end_forwarding<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let update = StateUpdate::Forward(Forward {
        kind: forward_kind(&request)?,
        is_active: false,
        target: "".into(),
        ring_count: None,
    });
    apply(&request, update, site).await
}

fn forward_kind(request: &ApiRequest) -> Result<ForwardKind, Problem> {
    let word = request.path("kind");
    let mut kinds = ForwardKind::ALL.into_iter();
    let unknown = || {
        let why = "the kinds of forwarding are immediate, busy and no-answer";
        Problem::new(ProblemKind::NotFound, why)
    };
    kinds.find(|kind| kind.as_str() == word).ok_or_else(unknown)
}

async fn set_call<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.known_aor(&directory)?;
    let domain = directory
        .domain(aor.domain())
        .ok_or_else(Problem::unavailable)?;
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let update = call(&fields, domain, &site.call_numbers);
    fields.end();
    let update = faults.unless(update)?;
    apply(&request, update, site).await
}

async fn end_call<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    apply(&request, call_update(None, Duration::ZERO), site).await
}

/// Reads the fields of a call.
fn call(fields: &Fields<'_>, domain: &Domain, numbers: &CallNumbers) -> StateUpdate {
    let state = fields.required_word("state", &CALL_STATES);
    let direction = fields.word("direction", &DIRECTIONS);
    let party = fields.uri("party").unwrap_or_default();
    let display = fields.text("display").unwrap_or_default();
    let is_private = fields.boolean("private").unwrap_or_default();
    let cap = domain.max_call_duration;
    let expires = fields.seconds("expires_seconds");
    let expires = expires.map_or(cap, |expires| expires.min(cap));
    let state = state.filter(|state| *state != CallState::Terminated);
    let Some(state) = state else {
        return call_update(None, Duration::ZERO);
    };
    let id = numbers.next(ID_PREFIX);
    // A ringing phone is the callee, unless the report says otherwise.
    let otherwise = (state == CallState::Early).then_some(Direction::Recipient);
    let call = CallDialog::from(CallParts {
        direction: direction.or(otherwise),
        remote: Party {
            identity: party,
            display,
            ..Party::default()
        },
        remote_is_private: is_private || !domain.reveal_number,
        ..CallParts::new(&id, state)
    });
    call_update(Some(call), expires)
}

/// The update for a call; None for one that has ended.
pub(super) fn call_update(call: Option<CallDialog>, expires: Duration) -> StateUpdate {
    StateUpdate::Call {
        source: CallSource::CallState,
        call: call.map(Arc::new),
        expires: Some(expires),
    }
}

/// Applies an update to the address in the path. Answers with the new state.
async fn apply<E: Engine>(request: &ApiRequest, update: StateUpdate, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let aor = request.known_aor(&directory)?;
    check_no_list(&aor, &directory)?;
    let origin = directory.peer_origin(|| Origin::of(request.caller.name()));
    send(aor.clone(), update, origin, site).await?;
    let states = presence::states(&[aor], site).await?;
    let state = states.first().ok_or_else(Problem::unavailable)?;
    Ok(Answer::Json(shown::of_state(state, &directory)))
}

/// Takes an update to the shard that owns the address.
pub(super) async fn send<E: Engine>(
    aor: Aor,
    update: StateUpdate,
    origin: Option<Origin>,
    site: &Site<E>,
) -> Result<(), Problem> {
    match site.update_state(aor, update, origin).await {
        Ok(Reply::Done) => Ok(()),
        Ok(_) | Err(_) => Err(Problem::unavailable()),
    }
}

fn check_no_list(aor: &Aor, directory: &Directory) -> Result<(), Problem> {
    match directory.is_list(aor) {
        true => Err(ControlRefusal::IsList(aor.clone()).into()),
        false => Ok(()),
    }
}

/// All updates are checked before any is applied. The updates of one address are applied in their order.
async fn update_many<E: Engine>(request: ApiRequest, site: &Site<E>) -> ApiResult {
    let directory = site.directory();
    let faults = Faults::default();
    let fields = Fields::of(&request.body, "#", &faults);
    let updates = fields
        .required_list("updates", UPDATES_MAX)
        .unwrap_or_default();
    fields.end();
    let mut read: Vec<(usize, (Aor, StateUpdate))> = Vec::with_capacity(updates.len());
    for (index, value) in updates.iter().enumerate() {
        let fields = Fields::of(value, &format!("#/updates/{index}"), &faults);
        let aor = fields.required_text("aor");
        let aor = aor.and_then(|text| match known_aor(&request, text, &directory) {
            Ok(aor) => Some(aor),
            Err(problem) => {
                fields.fault("aor", problem.detail());
                None
            }
        });
        let domain = aor.as_ref().and_then(|aor| directory.domain(aor.domain()));
        if let (Some(aor), Some(domain)) = (aor, domain) {
            let update = call(&fields, domain, &site.call_numbers);
            read.push((index, (aor, update)));
            fields.end();
        }
    }
    let read = faults.unless(read)?;
    let origin = directory.peer_origin(|| Origin::of(request.caller.name()));
    let mut refused = Vec::new();
    for (shard, mut left) in by_owner(read, |(_, (aor, _))| aor, site.engine.shards()) {
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(UPDATES_PER_COMMAND));
            let (indexes, some): (Vec<usize>, Vec<_>) = left.into_iter().unzip();
            left = rest;
            let command = Command::UpdateStates {
                updates: some,
                origin,
            };
            let taken = match site.engine.ask(shard, command).await {
                Ok(Reply::Updated(taken)) => taken,
                Ok(_) | Err(_) => vec![false; indexes.len()],
            };
            let pairs = indexes.into_iter().zip(taken);
            refused.extend(
                pairs
                    .filter(|(_, is_taken)| !is_taken)
                    .map(|(index, _)| index),
            );
        }
    }
    refused.sort_unstable();
    let refused_json: Vec<Value> = refused
        .iter()
        .map(|index| json!({"index": index, "problem": Problem::unavailable().json()}))
        .collect();
    Ok(Answer::Json(json!({
        "accepted": updates.len() - refused.len(),
        "refused": refused_json,
    })))
}

fn known_aor(request: &ApiRequest, text: &str, directory: &Directory) -> Result<Aor, Problem> {
    let aor = request.caller.aor(text, directory)?;
    if !directory.exists(&aor) {
        return Err(Problem::new(ProblemKind::NotFound, "does not exist"));
    }
    check_no_list(&aor, directory)?;
    Ok(aor)
}
