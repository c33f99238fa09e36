//! Relays by SIP: whose state is published at which other server. The publications themselves are the business of
//! `uac`, the states of `presentity`.
//!
//! A shard publishes the presentities that it owns, each from the first time that there is anything to say about it. A
//! newer state replaces the one that waits for its PUBLISH, so that a server that is slow or gone costs one state a user.
//!
//! After a start, after a change of the configuration and when a rule begins or ends, each presentity is settled with the
//! re-evaluation (`conduct/reevaluate.rs`): the server is told what stands. A publication that the process before has
//! left there is replaced by its entity tag, which is in the record of the presentity.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::relays::SipRelay;
use crate::presence::Aor;
use crate::shard::contract::connector::ConnectorStatus;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::relay::{
    RelayOutcome, RelayedPresentity, RelayedState, SipRelayReport,
};
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::link::Server;
use crate::shard::uac::publisher::says_something;
use crate::shard::uac::upstream::Tally;

/// The relays by SIP of this shard.
#[derive(Debug, Default)]
pub(crate) struct SipRelays {
    /// In the order of the configuration.
    all: Vec<Entry>,
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
        for entry in before {
            uac.close_link(entry.link, turn);
        }
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Brings what the relays publish of a presentity in line with the configuration: its state for each relay that is
    /// told of it, and nothing for any other.
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
                Some(place) => entry.take(states.swap_remove(place), uac, turn),
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
        // Without one: relays are taken from the directory once recorded presentities are there.
        if let Some(entry) = entries.find(|entry| entry.relay.name == state.relay) {
            entry.take(state, uac, turn);
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
        if is_its && outcome.is_over {
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

    /// Takes a state, which replaces the one that the server has, or that waits.
    fn take(&mut self, state: RelayedState, uac: &mut Uac, turn: &mut Turn<'_>) {
        let Some(client) = self.users.get(&state.aor) else {
            return self.publish(state, uac, turn);
        };
        if let Err(state) = uac.republish(*client, state, turn) {
            // What the server has is being removed.
            let state = RelayedState {
                held: None,
                ..state
            };
            self.publish(state, uac, turn);
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
            sent: link.map_or(0, |link| link.counts.published),
            failures: link.map_or(0, |link| link.counts.failures),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
