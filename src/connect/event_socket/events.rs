//! What FreeSWITCH's events and lists mean.
//!
//! - A channel is a call of the user that its presence id names (`101@pbx.example.com`), which FreeSWITCH gives to
//!   every channel of a user of its directory.
//! - `PRESENCE_IN` without a channel is a lamp of a dial plan or script, or what a phone has published.
//! - `valet_parking::info` tells of orbits, `sofia::register` and its like of contacts.
//!
//! Other events are ignored.

use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::connect::board::{Board, Caller, Channel};
use crate::connect::users::Users;
use crate::presence::call::{CallState, Direction};
use crate::presence::source::RichPresence;

/// An event: its headers.
pub(super) type Event = Map<String, Value>;

/// Reads events and lists.
pub(super) struct Events {
    domain: Option<Box<str>>,
    users: Rc<dyn Users>,
}

/// A list as `show ... as json` writes it. Without rows it has no `rows`.
#[derive(Deserialize)]
struct Rows {
    row_count: u64,
    #[serde(default)]
    rows: Vec<Event>,
}

impl Events {
    pub(super) fn new(domain: Option<&str>, users: Rc<dyn Users>) -> Self {
        Self {
            domain: domain.map(Into::into),
            users,
        }
    }

    /// Writes on the board what an event says.
    pub(super) fn take(&self, event: &Event, board: &mut Board) {
        match get(event, "Event-Name") {
            "CHANNEL_HANGUP_COMPLETE" | "CHANNEL_DESTROY" => {
                board.hang_up(get(event, "Unique-ID"));
            }
            "PRESENCE_IN" => self.presence(event, board),
            "CUSTOM" => match get(event, "Event-Subclass") {
                "sofia::register" => {
                    let (user, host) = (get(event, "from-user"), get(event, "from-host"));
                    if let Some(user) = self.user_at(user, host) {
                        board.phone(get(event, "call-id"), user, true);
                    }
                }
                "sofia::unregister" | "sofia::expire" => board.phone_left(get(event, "call-id")),
                "valet_parking::info" => self.orbit(event, board),
                _ => {}
            },
            name if name.starts_with("CHANNEL_") || name == "CALL_UPDATE" => {
                // A channel that goes on under another id.
                let before = get(event, "Old-Unique-ID");
                if !before.is_empty() {
                    board.hang_up(before);
                }
                self.channel(event, board);
            }
            _ => {}
        }
    }

    /// Reads `show channels as json`. False if it is none.
    pub(super) fn channels(&self, body: &[u8], board: &mut Board) -> bool {
        let rows = rows(body);
        for row in rows.iter().flatten() {
            if let Some(user) = self.user(get(row, "presence_id")) {
                self.listed(row, user, board);
            }
        }
        rows.is_some()
    }

    /// Reads `show registrations as json`. False if it is none.
    pub(super) fn contacts(&self, body: &[u8], board: &mut Board) -> bool {
        let rows = rows(body);
        for row in rows.iter().flatten() {
            if let Some(user) = self.user_at(get(row, "reg_user"), get(row, "realm")) {
                board.phone(get(row, "token"), user, true);
            }
        }
        rows.is_some()
    }

    /// Reads `valet_info`: `<extension uuid="...">701</extension>`. False if it is none.
    pub(super) fn valet(&self, body: &[u8], board: &mut Board) -> bool {
        let text = String::from_utf8_lossy(body);
        if !text.trim_start().starts_with("<lots>") {
            return false;
        }
        for element in text.split("<extension uuid=\"").skip(1) {
            let element = element.split_once("</").map_or("", |(begin, _)| begin);
            if let Some((channel, orbit)) = element.split_once("\">")
                && self.users.has(orbit)
            {
                let known = board.known_channel(channel);
                let parked = known.map(|(user, channel)| match channel.party.number.is_empty() {
                    true => Caller::new(user, ""),
                    false => channel.party.clone(),
                });
                board.park(orbit, parked.unwrap_or_default());
            }
        }
        true
    }

    /// A user of ours by `101@pbx.example.com`.
    fn user<'a>(&self, id: &'a str) -> Option<&'a str> {
        let (user, host) = id.split_once('@')?;
        self.user_at(user, host)
    }

    fn user_at<'a>(&self, user: &'a str, host: &str) -> Option<&'a str> {
        let domain = self.domain.as_deref().unwrap_or(host);
        (domain.eq_ignore_ascii_case(host) && self.users.has(user)).then_some(user)
    }

    fn channel(&self, event: &Event, board: &mut Board) {
        let Some(user) = self.user(get(event, "Channel-Presence-ID")) else {
            return;
        };
        let direction = match get(event, "Presence-Call-Direction") {
            "" => get(event, "Call-Direction"),
            direction => direction,
        };
        let direction = direction_of(direction);
        let Some(state) = state_of(get(event, "Channel-Call-State"), direction) else {
            return;
        };
        let channel = Channel {
            state,
            direction: Some(direction),
            party: party(event, direction),
            is_on_hold: get(event, "Channel-Call-State") == "HELD",
        };
        board.channel(get(event, "Unique-ID"), user, channel);
    }

    /// A row of the list of channels.
    fn listed(&self, row: &Event, user: &str, board: &mut Board) {
        let direction = direction_of(get(row, "direction"));
        let call_state = get(row, "callstate");
        let Some(state) = state_of(call_state, direction) else {
            return;
        };
        let party = match direction {
            Direction::Initiator => match get(row, "callee_num") {
                "" => Caller::new(get(row, "dest"), ""),
                number => Caller::new(number, get(row, "callee_name")),
            },
            Direction::Recipient => Caller::new(get(row, "cid_num"), get(row, "cid_name")),
        };
        let channel = Channel {
            state,
            direction: Some(direction),
            party,
            is_on_hold: call_state == "HELD",
        };
        board.channel(get(row, "uuid"), user, channel);
    }

    fn orbit(&self, event: &Event, board: &mut Board) {
        let orbit = get(event, "Valet-Extension");
        match get(event, "Action") {
            "hold" if self.users.has(orbit) => {
                let number = get(event, "Caller-Caller-ID-Number");
                board.park(
                    orbit,
                    Caller::new(number, get(event, "Caller-Caller-ID-Name")),
                );
            }
            "bridge" | "exit" => board.unpark(orbit),
            _ => {}
        }
    }

    fn presence(&self, event: &Event, board: &mut Board) {
        let is_told_otherwise =
            !get(event, "Channel-Name").is_empty() || get(event, "proto") == "park";
        if is_told_otherwise {
            return;
        }
        let Some(user) = self.user(get(event, "from")) else {
            return;
        };
        match get(event, "answer-state") {
            "" => {
                if let Some(said) = declared(get(event, "rpid"), get(event, "status")) {
                    board.say(user, user, said);
                }
            }
            "early" | "ringing" => board.lamp(user, Some(CallState::Early)),
            "confirmed" | "answered" => board.lamp(user, Some(CallState::Confirmed)),
            _ => board.lamp(user, None),
        }
    }
}

/// A header; empty if there is none.
fn get<'e>(event: &'e Event, name: &str) -> &'e str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn rows(body: &[u8]) -> Option<Vec<Event>> {
    let rows: Rows = serde_json::from_slice(body).ok()?;
    (rows.row_count as usize == rows.rows.len()).then_some(rows.rows)
}

/// A channel comes in to FreeSWITCH from the user who calls.
fn direction_of(direction: &str) -> Direction {
    match direction {
        "outbound" => Direction::Recipient,
        _ => Direction::Initiator,
    }
}

/// The state of a channel; None for one that is not a call yet, or is over.
fn state_of(call_state: &str, direction: Direction) -> Option<CallState> {
    match call_state {
        "RINGING" | "EARLY" | "RING_WAIT" => Some(CallState::Early),
        "DIALING" if direction == Direction::Initiator => Some(CallState::Early),
        "ACTIVE" | "HELD" | "UNHELD" => Some(CallState::Confirmed),
        _ => None,
    }
}

fn party(event: &Event, direction: Direction) -> Caller {
    let names = match direction {
        Direction::Initiator => ["Caller-Callee-ID-Number", "Caller-Callee-ID-Name"],
        Direction::Recipient => ["Caller-Caller-ID-Number", "Caller-Caller-ID-Name"],
    };
    let [number, name] = names.map(|name| get(event, name));
    match (direction, number) {
        (Direction::Initiator, "") => Caller::new(get(event, "Caller-Destination-Number"), ""),
        (Direction::Initiator, number) => Caller::new(number, name),
        (Direction::Recipient, number) => {
            let mut caller = Caller::new(number, name);
            caller.is_private |= get(event, "Caller-Privacy-Hide-Number") == "true";
            caller
        }
    }
}

/// What a phone has published: its activity, and a note. None if the event says nothing about that, as that of a
/// registration; Some(None) for nothing any more.
fn declared(activity: &str, status: &str) -> Option<Option<RichPresence>> {
    let status = status.trim();
    if ["Registered", "Unregistered"]
        .iter()
        .any(|word| status.starts_with(word))
    {
        return None;
    }
    let is_dnd = status.eq_ignore_ascii_case("do not disturb");
    let activities: Vec<Box<str>> = match activity {
        _ if is_dnd => vec!["dnd".into()],
        "" | "unknown" | "active" | "online" => Vec::new(),
        activity => vec![activity.into()],
    };
    let is_plain = ["", "Available", "Online", "Idle", "Active"].contains(&status);
    let note = (!is_plain && !is_dnd && status != activity).then(|| status.into());
    let is_empty = activities.is_empty() && note.is_none();
    Some((!is_empty).then_some(RichPresence {
        open: None,
        activities,
        note,
        alternative: None,
    }))
}
