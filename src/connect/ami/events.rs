//! What Asterisk's events mean.
//!
//! - A channel (`Newchannel`, `Newstate`, `Hangup`, `Hold` ..., `CoreShowChannel`) is a call of the user whose
//!   device it is of. Hints say whose device it is (`ExtensionStatus`); without a hint the device is named after its
//!   user: `PJSIP/101`. `Local` channels join other channels and are of no user.
//! - The state of a device with channels says whether its phone is registered; a hint on devices without channels
//!   (`Custom:...`) is a lamp.
//! - `Custom:DND101` and the presence state of a user (`CustomPresence:101`) declare.
//! - A parking space is an orbit.
//!
//! Events of other names are ignored.

use std::collections::HashMap;
use std::rc::Rc;

use crate::connect::board::{Board, Caller, Channel, FACTS_MAX};
use crate::connect::headers::Headers;
use crate::connect::users::Users;
use crate::presence::call::{CallState, Direction};
use crate::presence::source::RichPresence;

/// What Asterisk writes where it has no number or name.
const NONE: &str = "<unknown>";
/// The devices by which FreePBX and others show do-not-disturb; the user follows.
const DO_NOT_DISTURB: &str = "Custom:DND";
/// Octets of a hint that is remembered.
const HINT_OCTETS_MAX: usize = 4096;
/// The provider of presence states that dial plans set.
const PRESENCE: &str = "CustomPresence:";

/// Reads events. It remembers hints.
pub(super) struct Events {
    contexts: Vec<Box<str>>,
    users: Rc<dyn Users>,
    /// The devices and the presence state of each hint, by its extension.
    hints: HashMap<Box<str>, Hint>,
    extensions_by_device: HashMap<Box<str>, Vec<Box<str>>>,
}

/// `PJSIP/desk&PJSIP/mobile&Custom:DND101,CustomPresence:101`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hint {
    devices: Vec<Box<str>>,
    presence: Box<str>,
}

impl Hint {
    /// A hint in the words of Asterisk; one that is too long names no device.
    fn parse(text: &str) -> Self {
        let text = if text.len() <= HINT_OCTETS_MAX {
            text
        } else {
            ""
        };
        let (devices, presence) = text.split_once(',').unwrap_or((text, ""));
        let devices = devices.split('&').map(str::trim);
        let devices = devices.filter(|device| !device.is_empty());
        Self {
            devices: devices.map(Into::into).collect(),
            presence: presence.trim().into(),
        }
    }

    fn has_channels(&self) -> bool {
        self.devices.iter().any(|device| has_channels(device))
    }
}

impl Events {
    pub(super) fn new(contexts: &[Box<str>], users: Rc<dyn Users>) -> Self {
        Self {
            contexts: contexts.to_vec(),
            users,
            hints: HashMap::new(),
            extensions_by_device: HashMap::new(),
        }
    }

    /// Writes on the board what an event says.
    pub(super) fn take(&mut self, event: &Headers, board: &mut Board) {
        match event.get("Event") {
            "ExtensionStatus" => self.extension(event, board),
            "DeviceStateChange" => self.device(event, board),
            "PresenceStateChange" => self.presence(event, board),
            "CoreShowChannel" | "Newchannel" | "Newstate" | "NewConnectedLine" | "NewCallerid" => {
                self.channel(event, None, board);
            }
            "Hold" => self.channel(event, Some(true), board),
            "Unhold" => self.channel(event, Some(false), board),
            "Hangup" => board.hang_up(event.get("Uniqueid")),
            "ParkedCall" => self.parked(event, board),
            "UnParkedCall" | "ParkedCallTimeOut" | "ParkedCallGiveUp" => {
                board.unpark(event.get("ParkingSpace"));
            }
            _ => {}
        }
    }

    /// A hint and its state, for a user. The state counts where no device of the hint has channels.
    fn extension(&mut self, event: &Headers, board: &mut Board) {
        let (user, context) = (event.get("Exten"), event.get("Context"));
        let is_ours = self.contexts.is_empty() || self.contexts.iter().any(|one| **one == *context);
        if !is_ours || !self.users.has(user) {
            return;
        }
        let status: i32 = event.get("Status").parse().unwrap_or(-1);
        if status < 0 {
            self.forget_hint(user);
            board.lamp(user, None);
            return;
        }
        let hint = Hint::parse(event.get("Hint"));
        let lamp = match hint.has_channels() {
            true => None,
            false => lamp(status),
        };
        self.learn_hint(user, hint);
        board.lamp(user, lamp);
    }

    fn learn_hint(&mut self, user: &str, hint: Hint) {
        if self.hints.get(user) == Some(&hint) {
            return;
        }
        self.forget_hint(user);
        if self.hints.len() >= FACTS_MAX {
            return;
        }
        for device in &hint.devices {
            let users = self.extensions_by_device.entry(device.clone()).or_default();
            users.push(user.into());
        }
        self.hints.insert(user.into(), hint);
    }

    fn forget_hint(&mut self, user: &str) {
        for device in self
            .hints
            .remove(user)
            .into_iter()
            .flat_map(|hint| hint.devices)
        {
            if let Some(users) = self.extensions_by_device.get_mut(&device) {
                users.retain(|known| **known != *user);
                if users.is_empty() {
                    self.extensions_by_device.remove(&device);
                }
            }
        }
    }

    /// The user of a device: the first whose hint has it, or the one that it is named after.
    fn user_of<'a>(&'a self, device: &'a str) -> Option<&'a str> {
        let hinted = self.extensions_by_device.get(device);
        if let Some(user) = hinted.and_then(|users| users.first()) {
            return Some(user);
        }
        let (_, user) = device.split_once('/')?;
        self.users.has(user).then_some(user)
    }

    fn device(&self, event: &Headers, board: &mut Board) {
        let (device, state) = (event.get("Device"), event.get("State"));
        if let Some(user) = device.strip_prefix(DO_NOT_DISTURB) {
            let is_on = matches!(state, "INUSE" | "BUSY" | "ONHOLD" | "RINGING" | "RINGINUSE");
            if self.users.has(user) {
                let said = is_on.then(|| activity("dnd"));
                board.say(device, user, said);
            }
        } else if has_channels(device)
            && let Some(user) = self.user_of(device)
        {
            match state {
                "UNKNOWN" | "INVALID" => board.phone_unknown(device),
                state => board.phone(device, user, state != "UNAVAILABLE"),
            }
        }
    }

    /// `CustomPresence:101`, or the presence state that a hint names.
    fn presence(&self, event: &Headers, board: &mut Board) {
        let provider = event.get("Presentity");
        let mut hints = self.hints.iter();
        let hinted = hints.find(|(_, hint)| *hint.presence == *provider);
        let named = provider.strip_prefix(PRESENCE);
        let user = hinted.map(|(user, _)| &**user);
        let user = user.or_else(|| named.filter(|user| self.users.has(user)));
        if let Some(user) = user {
            board.say(provider, user, declared(event));
        }
    }

    fn channel(&self, event: &Headers, is_on_hold: Option<bool>, board: &mut Board) {
        let (id, name) = (event.get("Uniqueid"), event.get("Channel"));
        let Some(user) = device_of(name).and_then(|device| self.user_of(device)) else {
            return;
        };
        let known = board.known_channel(id).map(|(_, channel)| channel);
        let Some((state, direction)) = stage(event.get("ChannelState"), known) else {
            return;
        };
        let channel = Channel {
            state,
            direction,
            party: party(event, direction),
            is_on_hold: is_on_hold
                .or_else(|| Some(known?.is_on_hold))
                .unwrap_or_default(),
        };
        board.channel(id, user, channel);
    }

    fn parked(&self, event: &Headers, board: &mut Board) {
        let orbit = event.get("ParkingSpace");
        if self.users.has(orbit) {
            let number = known(event.get("ParkeeCallerIDNum"));
            let name = unescaped(known(event.get("ParkeeCallerIDName")));
            board.park(orbit, Caller::new(number, &name));
        }
    }
}

/// Whether a device has channels: those without are written with a colon, `Custom:lamp`.
fn has_channels(device: &str) -> bool {
    device.contains('/')
}

/// The device of a channel: `PJSIP/101` of `PJSIP/101-0000002a`.
fn device_of(channel: &str) -> Option<&str> {
    let (device, _) = channel.rsplit_once('-')?;
    let is_joining = device.starts_with("Local/");
    (has_channels(device) && !is_joining).then_some(device)
}

/// The state of a hint, which is a sum of bits: 1 in use, 2 busy, 4 unavailable, 8 ringing, 16 on hold.
fn lamp(status: i32) -> Option<CallState> {
    const RINGING: i32 = 8;
    const TAKEN: i32 = 1 | 2 | 16;
    match status {
        status if status & TAKEN != 0 => Some(CallState::Confirmed),
        status if status & RINGING != 0 => Some(CallState::Early),
        _ => None,
    }
}

/// The state and direction of a channel by its number; None for one that is not a call yet.
fn stage(state: &str, known: Option<&Channel>) -> Option<(CallState, Option<Direction>)> {
    let before = known.and_then(|channel| channel.direction);
    match state {
        // Dialing, Ring (the phone calls), Dialing Offhook
        "3" | "4" | "8" => Some((CallState::Early, Some(Direction::Initiator))),
        // Ringing, Pre-ring
        "5" | "9" => Some((CallState::Early, Some(Direction::Recipient))),
        // Up, Busy
        "6" | "7" => Some((CallState::Confirmed, before)),
        _ => None,
    }
}

/// The other party; while a call of the user has no connected number, the number that was dialled.
fn party(event: &Headers, direction: Option<Direction>) -> Caller {
    let number = known(event.get("ConnectedLineNum"));
    let dialled = event.get("Exten");
    let is_number =
        dialled.starts_with(|first: char| first.is_ascii_digit() || "+*#".contains(first));
    match direction {
        Some(Direction::Initiator) if number.is_empty() && is_number => Caller::new(dialled, ""),
        _ => Caller::new(number, &unescaped(known(event.get("ConnectedLineName")))),
    }
}

fn known(text: &str) -> &str {
    if text == NONE { "" } else { text }
}

/// A text that Asterisk wrote with the escapes of C.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\').then(|| characters.next()).flatten();
        match escaped {
            Some(character @ ('\\' | '"' | '\'' | '?')) => plain.push(character),
            Some(_) => plain.push(' '),
            None => plain.push(character),
        }
    }
    plain
}

fn activity(name: &str) -> RichPresence {
    RichPresence {
        activities: vec![name.into()],
        ..RichPresence::default()
    }
}

/// What a presence state declares.
fn declared(event: &Headers) -> Option<RichPresence> {
    let mut said = match event.get("Status") {
        "dnd" => activity("dnd"),
        "away" | "xa" => activity("away"),
        "available" | "chat" => RichPresence {
            open: Some(true),
            ..RichPresence::default()
        },
        "unavailable" => RichPresence {
            open: Some(false),
            ..RichPresence::default()
        },
        _ => return None,
    };
    let texts = [event.get("Message"), event.get("Subtype")];
    let note = texts.into_iter().find(|text| !text.is_empty());
    said.note = note.map(|note| unescaped(note).into());
    Some(said)
}
