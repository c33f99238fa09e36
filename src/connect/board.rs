//! What a PBX tells of its channels, orbits, phones and people, and what follows for each user.
//!
//! Both protocols write on it; it knows neither. The worker takes the users whose facts changed, and asks for their
//! reports: if the facts of a user change twice meanwhile, one report follows, with the newest state.

use std::collections::{HashSet, VecDeque};

use crate::connect::facts::{Facts, KEY_OCTETS_MAX};
use crate::presence::call::{CallDialog, CallParts, CallState, Direction, Party};
use crate::presence::source::RichPresence;
use crate::sip::uri::sip_uri;

/// Facts of each kind that one connector keeps; those of others are not taken, and counted.
pub(super) const FACTS_MAX: usize = 100_000;
/// Channels whose end is remembered, so that a list that is older does not bring them back.
const ENDED_MAX: usize = 4_096;
/// Octets of a number or name that are kept.
const PARTY_OCTETS_MAX: usize = 256;
/// Octets of a note or an activity that are kept.
const SAID_OCTETS_MAX: usize = 1024;

/// Who the other party of a call is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// A number or user name; empty if unknown.
    pub(super) number: Box<str>,
    /// A display name; empty if unknown.
    pub(super) name: Box<str>,
    /// Whether it wants to stay unnamed.
    pub(super) is_private: bool,
}

impl Caller {
    /// A caller with this number and name; longer ones are not kept.
    pub(super) fn new(number: &str, name: &str) -> Self {
        let kept = |text: &str| match text.len() <= PARTY_OCTETS_MAX {
            true => text.trim().into(),
            false => Box::default(),
        };
        Self {
            number: kept(number),
            name: kept(name),
            is_private: number.eq_ignore_ascii_case("anonymous"),
        }
    }
}

/// One end of a call at the PBX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    /// Its state.
    pub(super) state: CallState,
    /// Whether the user called or is called.
    pub(super) direction: Option<Direction>,
    /// The other party.
    pub(super) party: Caller,
    /// Whether the user has put it on hold.
    pub(super) is_on_hold: bool,
}

/// A call without a channel: a hint on a device that has none, a lamp of the dial plan, an orbit. Its number makes
/// it another call than the one before.
#[derive(Clone, Debug)]
struct Lamp<T> {
    what: T,
    number: u64,
}

/// The number says nothing about the call.
impl<T: PartialEq> PartialEq for Lamp<T> {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}

/// A kind of fact that a PBX can be asked for as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Channels.
    Channels,
    /// Calls without a channel.
    Lamps,
    /// Parked calls.
    Parked,
    /// Devices, of which the PBX tells whether their phone is registered; one that it does not tell does not exist.
    Phones,
    /// Contacts that are registered; one that it does not tell is not.
    Contacts,
    /// What people or dial plans declare.
    Said,
}

/// What the PBX tells of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// The calls, none of them terminated.
    pub(super) calls: Vec<CallDialog>,
    /// What is declared; None for nothing.
    pub(super) presence: Option<RichPresence>,
}

/// What a PBX tells.
#[derive(Debug)]
pub(super) struct Board {
    /// The domain of the users.
    domain: Box<str>,
    /// What the calls of channels are named after, beside the channel.
    epoch: u64,
    channels: Facts<Channel>,
    lamps: Facts<Lamp<CallState>>,
    /// By orbit, which is the user.
    parked: Facts<Lamp<Caller>>,
    /// Whether a phone or a contact is there.
    phones: Facts<bool>,
    said: Facts<RichPresence>,
    /// The channels that ended last.
    ended: VecDeque<Box<str>>,
    ended_known: HashSet<Box<str>>,
    /// The number of the next lamp.
    number_next: u64,
    changed: HashSet<Box<str>>,
}

impl Board {
    /// An empty board for the users of a domain. `epoch`: another one after all calls were forgotten, because a call
    /// that ended does not come back. `number`: greater than those of the boards before, also of those before a
    /// restart.
    pub(super) fn new(domain: &str, epoch: u64, number: u64) -> Self {
        Self {
            domain: domain.into(),
            epoch,
            channels: Facts::new(FACTS_MAX),
            lamps: Facts::new(FACTS_MAX),
            parked: Facts::new(FACTS_MAX),
            phones: Facts::new(FACTS_MAX),
            said: Facts::new(FACTS_MAX),
            ended: VecDeque::new(),
            ended_known: HashSet::new(),
            number_next: number,
            changed: HashSet::new(),
        }
    }

    /// A channel of a user is so. One that has ended stays ended.
    pub(super) fn channel(&mut self, id: &str, user: &str, channel: Channel) {
        if !self.ended_known.contains(id) {
            let changed = self.channels.put(id, user, channel);
            self.note(changed);
        }
    }

    /// A channel that is known, and its user.
    pub(super) fn known_channel(&self, id: &str) -> Option<(&str, &Channel)> {
        self.channels.get(id)
    }

    /// A channel ended, whether it was known or not.
    pub(super) fn hang_up(&mut self, id: &str) {
        let user = self.channels.remove(id);
        self.changed.extend(user);
        // A channel with a longer id was not taken.
        if id.len() <= KEY_OCTETS_MAX && self.ended_known.insert(id.into()) {
            self.ended.push_back(id.into());
        }
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.ended_known.remove(&oldest);
        }
    }

    /// A call of a user without a channel; None if there is none any more.
    pub(super) fn lamp(&mut self, user: &str, state: Option<CallState>) {
        let before = self.lamps.get(user).map(|(_, lamp)| lamp.clone());
        let changed = match (state, before) {
            (None, _) => [None, self.lamps.remove(user)],
            // A call that was answered does not ring again: it is another one.
            (Some(state), Some(lamp)) if lamp.what.progress() <= state.progress() => {
                let number = lamp.number;
                let lamp = Lamp {
                    what: state,
                    number,
                };
                self.lamps.put(user, user, lamp)
            }
            (Some(state), _) => {
                let lamp = Lamp {
                    what: state,
                    number: self.number(),
                };
                self.lamps.put(user, user, lamp)
            }
        };
        self.note(changed);
    }

    /// A call is parked in an orbit.
    pub(super) fn park(&mut self, orbit: &str, parked: Caller) {
        let before = self.parked.get(orbit);
        let number = before
            .filter(|(_, lamp)| lamp.what == parked)
            .map(|(_, lamp)| lamp.number);
        let number = number.unwrap_or_else(|| self.number());
        let lamp = Lamp {
            what: parked,
            number,
        };
        let changed = self.parked.put(orbit, orbit, lamp);
        self.note(changed);
    }

    /// No call is parked in an orbit.
    pub(super) fn unpark(&mut self, orbit: &str) {
        let user = self.parked.remove(orbit);
        self.changed.extend(user);
    }

    /// A phone of a user, or a contact, is registered or not.
    pub(super) fn phone(&mut self, key: &str, user: &str, is_there: bool) {
        let changed = self.phones.put(key, user, is_there);
        self.note(changed);
    }

    /// A device of the PBX is not known any more.
    pub(super) fn phone_unknown(&mut self, key: &str) {
        let user = self.phones.remove(key);
        self.changed.extend(user);
    }

    /// A contact is not registered any more. A user without one cannot be reached.
    pub(super) fn phone_left(&mut self, key: &str) {
        let Some((user, _)) = self.phones.get(key) else {
            return;
        };
        let user = user.to_owned();
        if self.phones.of(&user).count() > 1 {
            self.phones.remove(key);
            self.changed.insert(user.into());
        } else {
            self.phone(key, &user, false);
        }
    }

    /// What is declared of a user under a key, without texts that are too long; None for nothing any more.
    pub(super) fn say(&mut self, key: &str, user: &str, said: Option<RichPresence>) {
        let changed = match said {
            Some(mut said) => {
                let is_short = |text: &str| text.len() <= SAID_OCTETS_MAX;
                said.activities.retain(|activity| is_short(activity));
                said.note = said.note.filter(|note| is_short(note));
                self.said.put(key, user, said)
            }
            None => [None, self.said.remove(key)],
        };
        self.note(changed);
    }

    /// Begins a reading of all facts of a kind.
    pub(super) fn begin_reading(&mut self, kind: Kind) {
        match kind {
            Kind::Channels => self.channels.begin_reading(),
            Kind::Lamps => self.lamps.begin_reading(),
            Kind::Parked => self.parked.begin_reading(),
            Kind::Phones | Kind::Contacts => self.phones.begin_reading(),
            Kind::Said => self.said.begin_reading(),
        }
    }

    /// Ends it: what it did not tell is over.
    pub(super) fn end_reading(&mut self, kind: Kind) {
        let changed = match kind {
            Kind::Channels => self.channels.end_reading(),
            Kind::Lamps => self.lamps.end_reading(),
            Kind::Parked => self.parked.end_reading(),
            Kind::Said => self.said.end_reading(),
            Kind::Phones => self.phones.end_reading(),
            Kind::Contacts => {
                let gone = self.phones.end_reading();
                for user in &gone {
                    if self.phones.of(user).next().is_none() {
                        self.phones.put(user, user, false);
                    }
                }
                gone
            }
        };
        self.changed.extend(changed);
    }

    /// The users that the PBX has told something of.
    pub(super) fn users(&self) -> HashSet<Box<str>> {
        let users = self.channels.users().chain(self.lamps.users());
        let users = users.chain(self.parked.users()).chain(self.phones.users());
        users.chain(self.said.users()).map(Into::into).collect()
    }

    /// Those of these users that the PBX has told something of.
    pub(super) fn known_of(&self, users: &[Box<str>]) -> HashSet<Box<str>> {
        let is_known = |user: &str| {
            self.channels.of(user).next().is_some()
                || self.lamps.of(user).next().is_some()
                || self.parked.of(user).next().is_some()
                || self.phones.of(user).next().is_some()
                || self.said.of(user).next().is_some()
        };
        let known = users.iter().filter(|user| is_known(user));
        known.cloned().collect()
    }

    /// Facts that found no room.
    pub(super) const fn overflows(&self) -> u64 {
        let calls = self.channels.overflows + self.lamps.overflows + self.parked.overflows;
        calls + self.phones.overflows + self.said.overflows
    }

    /// Takes users whose facts changed, at most so many. A user is taken again after the next change.
    pub(super) fn take_changed(&mut self, most: usize) -> Vec<Box<str>> {
        let users: Vec<_> = self.changed.iter().take(most).cloned().collect();
        for user in &users {
            self.changed.remove(user);
        }
        users
    }

    /// Something is to be told of this user.
    pub(super) fn mark(&mut self, user: &str) {
        self.changed.insert(user.into());
    }

    /// Whether something is to be told.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What the PBX tells of a user.
    pub(super) fn report(&self, user: &str) -> Report {
        let channels = self.channels.of(user);
        let mut calls: Vec<_> = channels.map(|(id, it)| self.call_of(id, it)).collect();
        let parked = self.parked.of(user);
        calls.extend(parked.map(|(orbit, lamp)| self.parked_call(orbit, lamp)));
        if calls.is_empty() {
            let lamps = self.lamps.of(user);
            calls.extend(lamps.map(|(_, lamp)| lamp_call(lamp)));
        }
        Report {
            calls,
            presence: self.presence_of(user),
        }
    }

    fn call_of(&self, id: &str, channel: &Channel) -> CallDialog {
        let identity = self.uri_of(&channel.party);
        let call_id = format!("{}-{id}", self.epoch);
        let mut parts = CallParts::new(id, channel.state);
        parts.call_id = &call_id;
        parts.direction = channel.direction;
        parts.local.rendering = channel.is_on_hold.then_some(false);
        parts.remote = Party {
            identity: &identity,
            display: &channel.party.name,
            ..Party::default()
        };
        parts.remote_is_private = channel.party.is_private;
        parts.into()
    }

    /// The call in an orbit, which a call to the orbit retrieves.
    fn parked_call(&self, orbit: &str, lamp: &Lamp<Caller>) -> CallDialog {
        let (id, target) = (lamp.number.to_string(), sip_uri(orbit, &self.domain));
        let identity = self.uri_of(&lamp.what);
        let mut parts = CallParts::new(&id, CallState::Confirmed);
        parts.local.rendering = Some(false);
        parts.remote = Party {
            identity: &identity,
            display: &lamp.what.name,
            target: &target,
            rendering: None,
        };
        parts.remote_is_private = lamp.what.is_private;
        parts.into()
    }

    fn uri_of(&self, party: &Caller) -> String {
        match party.number.is_empty() {
            true => String::new(),
            false => sip_uri(&party.number, &self.domain),
        }
    }

    fn presence_of(&self, user: &str) -> Option<RichPresence> {
        let mut phones = self.phones.of(user).peekable();
        let is_away = phones.peek().is_some() && !phones.any(|(_, is_there)| *is_there);
        let mut whole = is_away.then(|| RichPresence {
            open: Some(false),
            ..RichPresence::default()
        });
        for (_, said) in self.said.of(user) {
            let whole = whole.get_or_insert_default();
            // A phone that is not registered cannot be called, whatever is declared.
            whole.open = whole.open.or(said.open);
            for activity in &said.activities {
                if !whole.activities.contains(activity) {
                    whole.activities.push(activity.clone());
                }
            }
            whole.note = whole.note.take().or_else(|| said.note.clone());
        }
        whole
    }

    fn number(&mut self) -> u64 {
        self.number_next += 1;
        self.number_next
    }

    fn note(&mut self, changed: [Option<Box<str>>; 2]) {
        self.changed.extend(changed.into_iter().flatten());
    }
}

fn lamp_call(lamp: &Lamp<CallState>) -> CallDialog {
    let id = lamp.number.to_string();
    CallParts::new(&id, lamp.what).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn channel(state: CallState) -> Channel {
        Channel {
            state,
            direction: Some(Direction::Recipient),
            party: Caller::new("102", "Bob"),
            is_on_hold: false,
        }
    }

    fn board() -> Board {
        Board::new("abc.com", 1, 1)
    }

    #[test]
    fn a_channel_rings_is_held_and_ends_and_does_not_come_back() {
        let mut board = board();
        board.channel("c1", "101", channel(CallState::Early));
        assert_eq!(board.take_changed(10), ["101".into()]);
        let report = board.report("101");
        let call = &report.calls[0];
        assert_eq!(call.state, CallState::Early);
        assert_eq!(call.remote().identity, "sip:102@abc.com");
        board.channel("c1", "101", channel(CallState::Confirmed));
        let held = Channel {
            is_on_hold: true,
            ..channel(CallState::Confirmed)
        };
        board.channel("c1", "101", held);
        let held = &board.report("101").calls[0];
        assert_eq!(held.local().rendering, Some(false));
        board.hang_up("c1");
        board.channel("c1", "101", channel(CallState::Confirmed));
        assert_eq!(board.report("101"), Report::default());
        assert_eq!(board.take_changed(10), ["101".into()]);
        assert!(!board.has_changed());
    }

    #[test]
    fn a_lamp_that_lights_again_is_another_call() {
        let mut board = board();
        let id = |board: &Board| board.report("101").calls[0].id().to_owned();
        board.lamp("101", Some(CallState::Early));
        let first = id(&board);
        board.lamp("101", Some(CallState::Confirmed));
        assert_eq!(id(&board), first);
        board.lamp("101", Some(CallState::Early));
        let second = id(&board);
        assert_ne!(second, first);
        board.lamp("101", None);
        board.lamp("101", Some(CallState::Early));
        assert_ne!(id(&board), second);
        board.channel("c1", "101", channel(CallState::Early));
        assert_eq!(id(&board), "c1", "a channel tells more than a lamp");
    }

    #[test]
    fn a_parked_call_is_retrieved_by_its_orbit() {
        let mut board = board();
        board.park("701", Caller::new("12345", ""));
        let report = board.report("701");
        let orbit = crate::presence::Aor::new("701", "abc.com");
        assert!(report.calls[0].is_parked_at(&orbit));
        board.unpark("701");
        assert_eq!(board.report("701"), Report::default());
    }

    #[test]
    fn a_user_without_a_phone_is_closed_and_keeps_a_note() {
        let mut board = board();
        let said = RichPresence {
            open: Some(true),
            activities: vec!["dnd".into()],
            note: Some("back at two".into()),
            ..RichPresence::default()
        };
        board.say("p", "101", Some(said.clone()));
        assert_eq!(board.report("101").presence, Some(said));
        board.phone("a", "101", true);
        board.phone("b", "101", true);
        board.phone_left("a");
        assert_eq!(board.report("101").presence.unwrap().open, Some(true));
        board.phone_left("b");
        let presence = board.report("101").presence.unwrap();
        assert_eq!(presence.open, Some(false));
        assert_eq!(presence.note.as_deref(), Some("back at two"));
        let long = RichPresence {
            activities: vec!["x".repeat(SAID_OCTETS_MAX + 1).into(), "away".into()],
            note: Some("x".repeat(SAID_OCTETS_MAX + 1).into()),
            ..RichPresence::default()
        };
        board.say("p", "101", Some(long));
        let presence = board.report("101").presence.unwrap();
        assert_eq!(presence.activities, ["away".into()]);
        assert_eq!(presence.note, None);
        board.say("p", "101", None);
        board.phone("b", "101", true);
        assert_eq!(board.report("101").presence, None);
    }

    #[test]
    fn a_reading_ends_what_it_does_not_tell() {
        let mut board = board();
        board.channel("c1", "101", channel(CallState::Confirmed));
        board.channel("c2", "102", channel(CallState::Confirmed));
        board.phone("a", "101", true);
        board.take_changed(10);
        for kind in [Kind::Channels, Kind::Contacts] {
            board.begin_reading(kind);
        }
        board.channel("c2", "102", channel(CallState::Confirmed));
        for kind in [Kind::Channels, Kind::Contacts] {
            board.end_reading(kind);
        }
        assert_eq!(board.take_changed(10), ["101".into()]);
        let report = board.report("101");
        assert!(report.calls.is_empty());
        assert_eq!(report.presence.unwrap().open, Some(false));
        assert_eq!(board.report("102").calls.len(), 1);
    }
}
