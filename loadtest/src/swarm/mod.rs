//! The swarm: many phones on one thread that subscribe, watch lamps change under load, check every
//! NOTIFY, and unsubscribe.
//!
//! ```text
//! subscribe ─► (search) ─► load ─► drain ─► withdraw ─► leave
//! ```
//!
//! The load is an open loop: every event has its scheduled time, whether or not responses arrive.
//! The other stages wait until every request has its response and every watcher shows the newest
//! state, and then a little longer for unexpected messages. If nothing new arrives for the
//! scenario's `patience`, whatever is missing counts as lost.
//!
//! [`Swarm`] has no socket and no clock: messages and time are its input, messages its output. Each
//! component owns its state and uses only components below it; shared context is passed in a
//! [`turn::Turn`].
//!
//! ```text
//! schedule            which stage runs, and when it is over
//! ├─ search           the highest rate of changes without loss
//! ├─ load             calls, changes, refreshes, reboots
//! └─ endpoints        every message and every timer
//!    ├─ phones        subscriptions, NOTIFYs, what the keys show
//!    ├─ users         changes, PUBLISH and call_state.htm
//!    └─ client        transactions, challenges, deferred requests
//! turn                the context: time, stage, messages to send, results
//! plan                which phones watch which users, by which port and name
//! ```

mod agenda;
mod client;
mod endpoints;
mod key;
mod load;
mod pace;
mod phones;
mod plan;
mod schedule;
mod search;
mod stage;
#[cfg(test)]
mod tests;
mod turn;
mod users;
mod versions;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::measure::latency::{Latencies, Latency};
use crate::measure::tally::Tally;
use crate::net::ports::Outbox;
use crate::scenario::Scenario;
use crate::swarm::client::{Client, Identity};
use crate::swarm::endpoints::Endpoints;
use crate::swarm::pace::Random;
use crate::swarm::phones::Phones;
use crate::swarm::plan::Plan;
use crate::swarm::schedule::Schedule;
pub(crate) use crate::swarm::search::{Search, SearchStep};
pub(crate) use crate::swarm::stage::{Stage, StageRecord};
use crate::swarm::turn::{Results, Turn};
use crate::swarm::users::{CallStates, Users};
use crate::wire::names::Names;

/// The server under test, and our accounts there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) server: SocketAddr,
    pub(crate) domain: String,
    pub(crate) user_prefix: String,
    /// The account used for authentication; without it every user has its own.
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) http: Option<SocketAddr>,
}

/// Our side of the network.
pub(crate) struct LocalPorts {
    /// The address of each SIP port.
    pub(crate) addresses: Vec<String>,
    /// Numbers of the HTTP connections.
    pub(crate) links: Vec<u32>,
}

/// The engine of a run.
pub(crate) struct Swarm {
    plan: Plan,
    /// The HTTP server to which call states are reported.
    http: Option<SocketAddr>,
    schedule: Schedule,
    endpoints: Endpoints,
    random: Random,
    results: Results,
}

/// The state that a turn changes, apart from its context.
struct Parts<'a> {
    schedule: &'a mut Schedule,
    endpoints: &'a mut Endpoints,
}

impl Swarm {
    /// `run` is a number that no other run against the server has.
    pub(crate) fn new(
        scenario: Scenario,
        target: Target,
        ports: LocalPorts,
        run: u32,
        now: Instant,
    ) -> Self {
        let random = Random::new(scenario.seed);
        let transport = scenario.transport;
        let (domain, prefix) = (&target.domain, &target.user_prefix);
        let names = Names::new(domain, prefix, scenario.presentities, run);
        let plan = Plan::new(scenario, names);
        let call_states = CallStates {
            host: &target
                .http
                .map_or_else(String::new, |host| host.to_string()),
            domain: &target.domain,
            password: target.password.as_deref().unwrap_or(""),
            links: &ports.links,
        };
        let users = Users::new(&plan, &call_states, now);
        let identity = Identity {
            addresses: ports.addresses,
            domain: target.domain,
            transport,
            username: target.username,
            password: target.password,
            run,
        };
        let client = Client::new(identity, plan.is_of_lists());
        let results = Results::new(plan.scenario().subscriptions(), now);
        Self {
            schedule: Schedule::new(&plan, &results, now),
            endpoints: Endpoints::new(client, users, Phones::new(&plan)),
            http: target.http,
            plan,
            random,
            results,
        }
    }

    // ---- Input

    /// Handles one message.
    pub(crate) fn handle(&mut self, port: u32, bytes: &[u8], now: Instant, outbox: &mut Outbox) {
        let (parts, mut turn) = self.turn(now, outbox);
        parts.endpoints.handle(port, bytes, &mut turn);
    }

    /// The server of a closed connection if the connection must be reopened. That applies to
    /// connections for call states, because a server may close an idle one.
    pub(crate) fn server_of(&self, port: u32) -> Option<SocketAddr> {
        self.http.filter(|_| port >= self.plan.scenario().ports())
    }

    /// A connection was closed, and possibly reopened.
    pub(crate) fn handle_closed(
        &mut self,
        port: u32,
        is_open_again: bool,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let (parts, mut turn) = self.turn(now, outbox);
        parts
            .endpoints
            .handle_closed(port, is_open_again, &mut turn);
    }

    /// Executes everything that is due: retransmissions, deferred requests, new requests, the next
    /// stage.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        let (parts, mut turn) = self.turn(now, outbox);
        parts.endpoints.handle_timeout(&mut turn);
        parts.schedule.handle_timeout(parts.endpoints, &mut turn);
    }

    /// The next time at which [`Self::handle_timeout`] must be called.
    pub(crate) fn poll_timeout(&self) -> Instant {
        let last_news = self.results.last_news;
        let stages = self
            .schedule
            .poll_timeout(&self.endpoints, &self.plan, last_news);
        let timer = self.endpoints.poll_timeout();
        timer.map_or(stages, |timer| timer.min(stages))
    }

    /// Counts datagrams that the kernel did not accept.
    pub(crate) fn count_unsent(&mut self, datagrams: u64) {
        self.results.tally.unsent = datagrams;
    }

    // ---- Results

    pub(crate) fn is_done(&self) -> bool {
        self.schedule.stage() == Stage::Done
    }

    pub(crate) fn stage(&self) -> Stage {
        self.schedule.stage()
    }

    /// The finished stages.
    pub(crate) fn records(&self) -> &[StageRecord] {
        self.schedule.records()
    }

    /// The search for the best rate, if the scenario has one and it has begun.
    pub(crate) fn search(&self) -> Option<&Search> {
        self.schedule.search()
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.results.tally
    }

    pub(crate) fn latencies(&self) -> &Latencies {
        &self.results.latencies
    }

    /// Latencies of lamps since the caller last cleared them.
    pub(crate) fn lamps_of_interval(&mut self) -> &mut Latency {
        &mut self.results.latencies.interval
    }

    /// How long after the end of the load the last lamp was stale.
    pub(crate) fn stale_after_load(&self) -> Option<Duration> {
        let ended = self.schedule.load_ended()?;
        let last = self.results.caught_up.unwrap_or(ended);
        Some(last.saturating_duration_since(ended))
    }

    /// The number of requests waiting for a response.
    pub(crate) fn in_flight(&self) -> usize {
        self.endpoints.in_flight()
    }

    /// The progress of the current stage, from 0 to 1.
    pub(crate) fn share_done(&self, now: Instant) -> f64 {
        let established = self.results.tally.established;
        self.schedule.share_done(&self.plan, established, now)
    }

    /// The components and the context of a turn.
    fn turn<'a>(&'a mut self, now: Instant, outbox: &'a mut Outbox) -> (Parts<'a>, Turn<'a>) {
        let turn = Turn {
            now,
            stage: self.schedule.stage(),
            plan: &self.plan,
            outbox,
            random: &mut self.random,
            results: &mut self.results,
        };
        let parts = Parts {
            schedule: &mut self.schedule,
            endpoints: &mut self.endpoints,
        };
        (parts, turn)
    }
}
