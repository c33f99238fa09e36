//! Relays by SIP: whose state is published at which other server. The publications themselves are the business of
//! `uac`, the states of `presentity`.
//!
//! A shard publishes the presentities that it owns, each from the first time that there is anything to say about it. A
//! newer state replaces the one that waits for its PUBLISH, so that a server that is slow or gone costs one state a user.
//!
//! After a start and after a change of the configuration all presentities are looked at, some hundred at a time, so
//! that no lamp waits: the server is told what stands. A publication that the process before has left there is
//! replaced by its entity tag, which is in the record of the presentity.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::relays::SipRelay;
use crate::presence::Aor;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::connector::ConnectorStatus;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::relay::{
    RelayOutcome, RelayedPresentity, RelayedState, SipRelayReport,
};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::link::Server;
use crate::shard::uac::publisher::says_something;
use crate::shard::uac::upstream::Tally;

/// Presentities that are looked at in one turn.
const PRESENTITIES_AT_ONCE: u32 = 500;
/// The pause between two such batches.
const PAUSE: Duration = Duration::from_millis(10);

/// The relays by SIP of this shard.
#[derive(Debug, Default)]
pub(crate) struct SipRelays {
    /// In the order of the configuration.
    all: Vec<Entry>,
    /// Presentities from this place on are to be looked at; None if all were.
    next: Option<u32>,
    timer: Option<TimerHandle>,
}

/// One relay.
#[derive(Debug)]
struct Entry {
    relay: Arc<SipRelay>,
    link: LinkId,
    /// The users that are published.
    users: HashMap<Aor, ClientId>,
}

impl SipRelays {
    /// Takes the relays of the directory.
    pub(crate) fn take_directory(&mut self, uac: &mut Uac, turn: &mut Turn<'_>) {
        let directory = turn.directory;
        let mut before = std::mem::take(&mut self.all);
        for relay in directory.sip_relays() {
            let known = before.iter().position(|entry| *entry.relay == *relay);
            let entry = match known {
                Some(place) => before.remove(place),
                None => Entry::open(relay, uac, turn),
            };
            self.all.push(entry);
        }
        let is_concerned = !self.all.is_empty() || !before.is_empty();
        for entry in before {
            uac.close_link(entry.link, turn);
        }
        if is_concerned {
            // Which users are told of may have changed with groups and policies.
            self.look_at_all(turn);
        }
    }

    /// Has all presentities looked at.
    pub(crate) fn look_at_all(&mut self, turn: &mut Turn<'_>) {
        self.next = Some(0);
        self.arm(turn);
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The places of the presentities that are to be looked at next; `end`: one beyond the last place.
    pub(crate) fn next_places(&mut self, end: u32) -> Range<u32> {
        self.timer = None;
        let from = self.next.unwrap_or(end).min(end);
        let to = end.min(from.saturating_add(PRESENTITIES_AT_ONCE));
        self.next = (to < end).then_some(to);
        from..to
    }

    /// Goes on with the presentities that are to be looked at.
    pub(crate) fn arm(&mut self, turn: &mut Turn<'_>) {
        if self.next.is_some() && self.timer.is_none() {
            self.timer = Some(turn.wheel.arm(turn.now + PAUSE, Timer::Relays));
        }
    }

    /// Publishes a presentity for each relay that is told of it, if there is anything to say, and for no other.
    pub(crate) fn settle(
        &mut self,
        presentity: RelayedPresentity,
        uac: &mut Uac,
        turn: &mut Turn<'_>,
    ) {
        let RelayedPresentity { aor, mut states } = presentity;
        for entry in &mut self.all {
            let is_its = |state: &RelayedState| state.relay == entry.relay.name;
            match states.iter().position(is_its) {
                Some(_) if entry.users.contains_key(&aor) => {}
                Some(place) => entry.publish(states.swap_remove(place), uac, turn),
                None => {
                    if let Some(client) = entry.users.remove(&aor) {
                        uac.withdraw(client, turn);
                    }
                }
            }
        }
    }

    /// The state of a presentity changed.
    pub(crate) fn take(&mut self, state: RelayedState, uac: &mut Uac, turn: &mut Turn<'_>) {
        let mut entries = self.all.iter_mut();
        let Some(entry) = entries.find(|entry| entry.relay.name == state.relay) else {
            // They are taken from the directory once recorded presentities are there.
            return;
        };
        let Some(client) = entry.users.get(&state.aor) else {
            return entry.publish(state, uac, turn);
        };
        if let Err(state) = uac.republish(*client, state, turn) {
            // What the server has is being removed.
            entry.publish(
                RelayedState {
                    held: None,
                    ..state
                },
                uac,
                turn,
            );
        }
    }

    /// Notes what became of a publication. False if it is not the one of its user any more.
    pub(crate) fn note_outcome(&mut self, outcome: &RelayOutcome) -> bool {
        let mut entries = self.all.iter_mut();
        let entry = entries.find(|entry| entry.relay.name == outcome.relay);
        let Some(entry) = entry else {
            return false;
        };
        let is_its = entry.users.get(&outcome.aor) == Some(&outcome.client);
        if is_its && outcome.held.is_none() {
            entry.users.remove(&outcome.aor);
        }
        is_its
    }

    /// All relays, as this shard sees them, with their users among the clients at these places.
    pub(crate) fn reports(
        &self,
        places: Range<u32>,
        uac: &Uac,
        now: Instant,
    ) -> Vec<SipRelayReport> {
        let tallies = uac.tallies(places, now);
        let report = |entry: &Entry| entry.report(&tallies, uac, now);
        self.all.iter().map(report).collect()
    }
}

impl Entry {
    fn open(relay: &SipRelay, uac: &mut Uac, turn: &mut Turn<'_>) -> Self {
        let server = Server {
            name: &relay.name,
            address: &relay.address,
            transport: relay.transport,
            from: relay.uri.as_deref().unwrap_or_default(),
            login: relay.login.as_ref(),
            packages: &[],
            expires: relay.expires,
            pace: relay.pace,
        };
        Self {
            relay: Arc::new(relay.clone()),
            link: uac.open_link(&server, turn),
            users: HashMap::new(),
        }
    }

    /// Publishes a state, unless there is nothing to say and the server has nothing.
    fn publish(&mut self, state: RelayedState, uac: &mut Uac, turn: &mut Turn<'_>) {
        let says_something = says_something(&self.relay, &state.aor, &state.composed);
        if state.held.is_none() && !says_something {
            return;
        }
        let aor = state.aor.clone();
        if let Some(client) = uac.publish(self.link, &self.relay, state, turn) {
            self.users.insert(aor, client);
        }
    }

    fn report(&self, tallies: &HashMap<LinkId, Tally>, uac: &Uac, now: Instant) -> SipRelayReport {
        let link = uac.link_report(self.link, now);
        let tally = tallies.get(&self.link).cloned().unwrap_or_default();
        SipRelayReport {
            name: Arc::clone(&self.relay.name),
            status: link.map_or(ConnectorStatus::NotRequested, |link| link.status),
            users: tally.users,
            waiting: tally.waiting,
            sent: link.map_or(0, |link| link.counts.notifies),
            failures: link.map_or(0, |link| link.counts.failures),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
