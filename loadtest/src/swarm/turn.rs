//! The context of one turn: the time, the stage, the plan, the messages to send and the results.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::measure::latency::{Latencies, Measure};
use crate::measure::tally::Tally;
use crate::net::ports::Outbox;
use crate::swarm::pace::Random;
use crate::swarm::plan::Plan;
use crate::swarm::stage::Stage;
use crate::wire::message::Incoming;

/// What a component needs from outside to handle one input or timeout.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) stage: Stage,
    pub(super) plan: &'a Plan,
    pub(super) outbox: &'a mut Outbox,
    pub(super) random: &'a mut Random,
    pub(super) results: &'a mut Results,
}

/// The measurements of a run.
#[derive(Clone, Debug)]
pub(super) struct Results {
    pub(super) tally: Tally,
    pub(super) latencies: Latencies,
    /// Number of SIP messages received: every n-th is parsed by the second parser.
    pub(super) messages: u64,
    /// When the last awaited message arrived. A stage ends once none has arrived for `settle`.
    pub(super) last_news: Instant,
    /// When the last stale lamp came to show the newest state after the load.
    pub(super) caught_up: Option<Instant>,
}

/// A received SIP message.
pub(super) struct Received<'a> {
    pub(super) port: u32,
    pub(super) message: Incoming<'a>,
    /// The complete message, for the second parser.
    pub(super) bytes: &'a [u8],
}

impl Turn<'_> {
    /// An awaited message has arrived.
    pub(super) fn note_news(&mut self) {
        self.results.last_news = self.now;
    }

    pub(super) fn since(&self, moment: Instant) -> Duration {
        self.now.saturating_duration_since(moment)
    }

    /// Records the latency of an event that was due at `scheduled`.
    pub(super) fn record(&mut self, measure: Measure, scheduled: Instant) {
        let latency = self.since(scheduled);
        self.results.latencies.record(measure, latency);
    }

    pub(super) fn tally(&mut self) -> &mut Tally {
        &mut self.results.tally
    }

    /// Returns whether a 2xx grants a duration between 1 second and the requested one.
    pub(super) fn is_fair_expires(&self, response: &Incoming<'_>) -> bool {
        let asked = self.plan.expires();
        let granted = response.expires;
        granted.is_some_and(|granted| (1..=asked).contains(&granted))
    }

    /// Keeps an example of a request that was refused.
    pub(super) fn note_refusal(&mut self, request: &dyn Debug, status: u16) {
        self.tally().example(|| format!("{request:?} got {status}"));
    }

    /// Counts a 2xx without its mandatory contents.
    pub(super) fn note_wrong_response(&mut self, request: &dyn Debug, response: &Incoming<'_>) {
        let tag = String::from_utf8_lossy(response.to_tag);
        let expires = response.expires;
        self.tally().wrong += 1;
        self.tally()
            .example(|| format!("2xx to {request:?}: tag {tag:?}, Expires {expires:?}"));
    }

    /// Returns whether the second parser reads this message too.
    pub(super) fn is_sampled(&self) -> bool {
        let every = u64::from(self.plan.scenario().sample);
        self.results.messages.is_multiple_of(every)
    }

    /// Counts a result of the second parser.
    pub(super) fn take_second_opinion(&mut self, opinion: Result<(), String>) {
        self.tally().sampled += 1;
        if let Err(fault) = opinion {
            self.tally().foreign(|| format!("rsip: {fault}"));
        }
    }
}

impl Results {
    pub(super) fn new(subscriptions: u32, now: Instant) -> Self {
        Self {
            tally: Tally {
                subscriptions: u64::from(subscriptions),
                ..Tally::default()
            },
            latencies: Latencies::new(),
            messages: 0,
            last_news: now,
            caught_up: None,
        }
    }
}
