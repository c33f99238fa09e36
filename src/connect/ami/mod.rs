//! Asterisk by its manager interface (AMI): the dialogue. What its events mean is in [`events`].
//!
//! We log in by MD5, so that the password is not sent, ask for events of the class `call` alone, then read all
//! lists. Rights that are needed: `read = call`, `write = reporting`.

mod events;
mod frame;

use std::rc::Rc;

use md5::{Digest, Md5};

use crate::connect::ami::events::Events;
use crate::connect::board::{Board, Kind};
use crate::connect::headers::Headers;
use crate::connect::protocol::{Fault, Protocol};
use crate::connect::users::Users;
use crate::sip::digest::client::Login;

/// The lists that are read, in this order: hints come before what is found by them. Each with what it tells of, and
/// the event at its end.
const LISTS: [(&str, &[Kind], &str); 5] = [
    (
        "ExtensionStateList",
        &[Kind::Lamps],
        "ExtensionStateListComplete",
    ),
    (
        "DeviceStateList",
        &[Kind::Phones],
        "DeviceStateListComplete",
    ),
    (
        "PresenceStateList",
        &[Kind::Said],
        "PresenceStateListComplete",
    ),
    (
        "CoreShowChannels",
        &[Kind::Channels],
        "CoreShowChannelsComplete",
    ),
    ("ParkedCalls", &[Kind::Parked], "ParkedCallsComplete"),
];

/// A connection to Asterisk.
pub(super) struct Ami {
    login: Login,
    events: Events,
    phase: Phase,
    /// The lists that are still to be read, as places of [`LISTS`].
    unread: Vec<usize>,
    /// The lists that were refused.
    refused: Vec<usize>,
    complaints: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The greeting is awaited.
    Greeting,
    /// The number to log in with is awaited.
    Challenge,
    /// The response to the login is awaited.
    Login,
    /// Events come.
    Open,
}

impl Ami {
    /// A new connection. `contexts`: whose hints count; empty for all.
    pub(super) fn new(login: Login, contexts: &[Box<str>], users: Rc<dyn Users>) -> Self {
        Self {
            login,
            events: Events::new(contexts, users),
            phase: Phase::Greeting,
            unread: Vec::new(),
            refused: Vec::new(),
            complaints: Vec::new(),
        }
    }

    fn take(&mut self, block: &Headers, board: &mut Board, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.phase {
            Phase::Greeting => {}
            Phase::Challenge => self.log_in(block, out)?,
            Phase::Login => self.logged_in(block, board, out)?,
            Phase::Open if !block.get("Response").is_empty() => {
                if block.get("Response").eq_ignore_ascii_case("error") {
                    self.refuse(block, board, out);
                }
            }
            Phase::Open => {
                self.events.take(block, board);
                self.end_list(block, board, out);
            }
        }
        Ok(())
    }

    fn log_in(&mut self, block: &Headers, out: &mut Vec<u8>) -> Result<(), Fault> {
        if block.get("Response").is_empty() {
            return Ok(());
        }
        let challenge = block.get("Challenge");
        if challenge.is_empty() {
            return Err(Fault::Forbidden(block.get("Message").to_owned()));
        }
        let secret = [challenge, &self.login.password].concat();
        let key = Md5::digest(secret);
        let key: String = key.iter().map(|octet| format!("{octet:02x}")).collect();
        let user = &self.login.user;
        let fields = format!("AuthType: MD5\r\nUsername: {user}\r\nKey: {key}\r\nEvents: call\r\n");
        act("Login", "login", &fields, out);
        self.phase = Phase::Login;
        Ok(())
    }

    fn logged_in(
        &mut self,
        block: &Headers,
        board: &mut Board,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match block.get("Response") {
            "" => Ok(()),
            response if response.eq_ignore_ascii_case("success") => {
                self.phase = Phase::Open;
                self.read_all(board, out);
                Ok(())
            }
            _ => Err(Fault::Forbidden(block.get("Message").to_owned())),
        }
    }

    /// Asks for the next list.
    fn read_next(&mut self, board: &mut Board, out: &mut Vec<u8>) {
        let Some(place) = self.unread.first() else {
            return;
        };
        if let Some((action, kinds, _)) = LISTS.get(*place) {
            kinds.iter().for_each(|kind| board.begin_reading(*kind));
            act(action, action, "", out);
        }
    }

    /// A list that is refused is not read: a module is missing, or a right.
    fn refuse(&mut self, block: &Headers, board: &mut Board, out: &mut Vec<u8>) {
        let Some(place) = self.unread.first().copied() else {
            return;
        };
        let Some((action, ..)) = LISTS
            .get(place)
            .filter(|list| list.0 == block.get("ActionID"))
        else {
            return;
        };
        if !self.refused.contains(&place) {
            self.refused.push(place);
            let why = block.get("Message");
            self.complaints
                .push(format!("Asterisk refuses {action}: {why}"));
        }
        self.unread.remove(0);
        self.read_next(board, out);
    }

    fn end_list(&mut self, block: &Headers, board: &mut Board, out: &mut Vec<u8>) {
        let list = self.unread.first().and_then(|place| LISTS.get(*place));
        let Some((_, kinds, _)) = list.filter(|(_, _, end)| *end == block.get("Event")) else {
            return;
        };
        kinds.iter().for_each(|kind| board.end_reading(*kind));
        self.unread.remove(0);
        self.read_next(board, out);
    }
}

impl Protocol for Ami {
    fn receive(
        &mut self,
        octets: &[u8],
        board: &mut Board,
        requests: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let mut taken = 0;
        if self.phase == Phase::Greeting {
            let Some(greeting) = frame::greeting(octets)? else {
                return Ok(0);
            };
            taken = greeting;
            act("Challenge", "challenge", "AuthType: MD5\r\n", requests);
            self.phase = Phase::Challenge;
        }
        while let Some((block, octets)) = frame::block(octets.get(taken..).unwrap_or_default())? {
            taken += octets;
            self.take(&block, board, requests)?;
        }
        Ok(taken)
    }

    fn read_all(&mut self, board: &mut Board, requests: &mut Vec<u8>) {
        if self.phase == Phase::Open && self.unread.is_empty() {
            self.unread = (0..LISTS.len()).collect();
            self.read_next(board, requests);
        }
    }

    fn ask_for_life(&mut self, requests: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            act("Ping", "ping", "", requests);
        }
    }

    fn has_read_all(&self) -> bool {
        self.phase == Phase::Open && self.unread.is_empty()
    }

    fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }
}

/// Appends an action. `fields`: whole lines.
fn act(action: &str, id: &str, fields: &str, out: &mut Vec<u8>) {
    let text = format!("Action: {action}\r\nActionID: {id}\r\n{fields}\r\n");
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
