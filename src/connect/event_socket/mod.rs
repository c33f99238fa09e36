//! FreeSWITCH by its event socket: the dialogue. What its events mean is in [`events`].
//!
//! We log in, ask for the events that we understand, as JSON, then read all lists. Requests are answered in their
//! order, between events. With a user name we log in as a user of the directory (`userauth`), whose rights are
//! `esl-allowed-events` and `esl-allowed-api`.

mod events;
mod frame;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::connect::board::{Board, Kind};
use crate::connect::event_socket::events::Events;
use crate::connect::event_socket::frame::Frame;
use crate::connect::protocol::{Fault, Protocol};
use crate::connect::users::Users;

/// The events that we understand.
const EVENTS: &str = "event json HEARTBEAT PRESENCE_IN CHANNEL_CREATE CHANNEL_CALLSTATE CHANNEL_ANSWER \
     CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY CALL_UPDATE CHANNEL_UUID \
     CUSTOM sofia::register sofia::unregister sofia::expire valet_parking::info";
/// A request without an effect.
const NOTHING: &str = "event json HEARTBEAT";
/// The lists that are read. Channels come before the orbits in which they are.
const LISTS: [(List, Kind, &str); 3] = [
    (List::Channels, Kind::Channels, "api show channels as json"),
    (
        List::Contacts,
        Kind::Contacts,
        "api show registrations as json",
    ),
    (List::Valet, Kind::Parked, "api valet_info"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Channels,
    Contacts,
    Valet,
}

/// Requests whose responses are awaited, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// To the login.
    Login,
    /// To the request for events.
    Events,
    /// To the request for a list.
    List(usize),
    /// To a request without an effect.
    Nothing,
}

/// A connection to FreeSWITCH.
pub(super) struct EventSocket {
    /// `auth SECRET` or `userauth USER:SECRET`
    login: Login,
    events: Events,
    awaited: VecDeque<Awaited>,
    is_open: bool,
    refused: Vec<usize>,
    complaints: Vec<String>,
}

/// What we log in by.
pub(super) struct Login {
    /// `user@domain`; None for the password of the socket alone.
    pub(super) user: Option<Box<str>>,
    /// The password.
    pub(super) password: Box<str>,
}

impl EventSocket {
    /// A new connection. `domain`: whose users count there; None for all.
    pub(super) fn new(login: Login, domain: Option<&str>, users: Rc<dyn Users>) -> Self {
        Self {
            login,
            events: Events::new(domain, users),
            awaited: VecDeque::new(),
            is_open: false,
            refused: Vec::new(),
            complaints: Vec::new(),
        }
    }

    fn take(
        &mut self,
        frame: &Frame<'_>,
        board: &mut Board,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match frame.head.get("Content-Type") {
            "auth/request" if self.awaited.is_empty() && !self.is_open => self.log_in(out),
            "command/reply" => return self.reply(frame, board, out),
            "api/response" => self.response(frame, board),
            "text/event-json" if self.is_open => {
                if let Ok(event) = serde_json::from_slice(frame.body) {
                    self.events.take(&event, board);
                }
            }
            "text/rude-rejection" => {
                let why = String::from_utf8_lossy(frame.body);
                return Err(Fault::Forbidden(why.trim().to_owned()));
            }
            "text/disconnect-notice" => return Err(Fault::Closed),
            _ => {}
        }
        Ok(())
    }

    fn log_in(&mut self, out: &mut Vec<u8>) {
        let password = &self.login.password;
        let request = match &self.login.user {
            Some(user) => format!("userauth {user}:{password}"),
            None => format!("auth {password}"),
        };
        self.ask(&request, Awaited::Login, out);
    }

    fn reply(
        &mut self,
        frame: &Frame<'_>,
        board: &mut Board,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let text = frame.head.get("Reply-Text");
        let is_refused = text.starts_with('-');
        match self.awaited.pop_front() {
            Some(Awaited::Login) if is_refused => return Err(Fault::Forbidden(text.to_owned())),
            Some(Awaited::Login) => self.ask(EVENTS, Awaited::Events, out),
            Some(Awaited::Events) if is_refused => {
                return Err(Fault::Forbidden(format!("events are refused: {text}")));
            }
            Some(Awaited::Events) => {
                self.is_open = true;
                self.read_all(board, out);
            }
            Some(Awaited::List(place)) => self.refuse(place, text),
            Some(Awaited::Nothing) | None => {}
        }
        Ok(())
    }

    fn response(&mut self, frame: &Frame<'_>, board: &mut Board) {
        let Some(Awaited::List(place)) = self.awaited.pop_front() else {
            return;
        };
        let Some((list, kind, _)) = LISTS.get(place) else {
            return;
        };
        let is_read = match list {
            List::Channels => self.events.channels(frame.body, board),
            List::Contacts => self.events.contacts(frame.body, board),
            List::Valet => self.events.valet(frame.body, board),
        };
        if is_read {
            board.end_reading(*kind);
        } else {
            let text = String::from_utf8_lossy(frame.body);
            self.refuse(place, text.lines().next().unwrap_or_default());
        }
    }

    /// A list that is refused is not read: a module is missing, or a right.
    fn refuse(&mut self, place: usize, why: &str) {
        if !self.refused.contains(&place) {
            self.refused.push(place);
            let request = LISTS.get(place).map_or("", |list| list.2);
            let why: String = why.chars().take(100).collect();
            self.complaints
                .push(format!("FreeSWITCH refuses \"{request}\": {why}"));
        }
    }

    fn ask(&mut self, request: &str, awaited: Awaited, out: &mut Vec<u8>) {
        out.extend_from_slice(request.as_bytes());
        out.extend_from_slice(b"\n\n");
        self.awaited.push_back(awaited);
    }
}

impl Protocol for EventSocket {
    fn receive(
        &mut self,
        octets: &[u8],
        board: &mut Board,
        requests: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let mut taken = 0;
        if !self.is_open && self.awaited.is_empty() && !begins_as_frame(octets) {
            return Err(Fault::Garbage("no frame of the event socket"));
        }
        while let Some((frame, octets)) = frame::take(octets.get(taken..).unwrap_or_default())? {
            taken += octets;
            self.take(&frame, board, requests)?;
        }
        Ok(taken)
    }

    fn read_all(&mut self, board: &mut Board, requests: &mut Vec<u8>) {
        if self.is_open && self.awaited.iter().all(|one| *one == Awaited::Nothing) {
            for (place, (_, kind, request)) in LISTS.iter().enumerate() {
                board.begin_reading(*kind);
                self.ask(request, Awaited::List(place), requests);
            }
        }
    }

    fn ask_for_life(&mut self, requests: &mut Vec<u8>) {
        if self.is_open && !self.awaited.contains(&Awaited::Nothing) {
            self.ask(NOTHING, Awaited::Nothing, requests);
        }
    }

    fn has_read_all(&self) -> bool {
        self.is_open && self.awaited.iter().all(|one| *one == Awaited::Nothing)
    }

    fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }
}

/// Whether octets may be the first of an event socket.
fn begins_as_frame(octets: &[u8]) -> bool {
    const BEGIN: &[u8] = b"Content-";
    let begun = octets.len().min(BEGIN.len());
    octets.get(..begun) == BEGIN.get(..begun)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
