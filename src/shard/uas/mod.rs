//! The user agent server (RFC 3261 §8.2): server transactions, authentication, responses.
//!
//! - `admission`: what a request passes before it is served: transaction, overload control,
//!   authentication. Overload control is a room of its own, which only this one asks.
//! - `certificates`: the users that the certificates of peers prove.
//! - `response`: the one place where responses are written; `publish`, `register`, `options`: their
//!   200s. `unserved`: CANCEL, and a NOTIFY to no subscription of ours.
//! - `suspended`: requests that wait for the owner of their presentity.
//! - `refusals`, `refusal_counters`: what is counted, listed and logged.
//!
//! Other rooms use [`Uas`] by these functions:
//! - a request arrives: `begin_transaction` finds a retransmission, `guard` applies the rate limits,
//!   `admit` authenticates, `authenticate` alone in a dialog;
//! - its response: `refuse` for any refusal, `respond_ok`, `respond_options`,
//!   `respond_to_subscribe`, `respond_to_publish`, `respond_to_register`; for a 200 with headers of
//!   its own `response::begin_response` and `end_response`; `conclude` ends what `guard` began;
//!   `forget` drops the transaction of a request whose response is not stored;
//! - what needs no service: `serve_cancel`, `serve_stray_notify`;
//! - a request that waits for the owner of its presentity: `suspend`, then `resume`,
//!   `handle_publish_outcome` or `handle_register_outcome`, or `handle_suspended_timer`;
//! - reload and the operator: `forget_refusals`, `loops`, `refusals_listed`, `refusals_counted`,
//!   `lockouts`, `lift_lockouts`, `responses_evicted_early`.
//!
//! It decides neither what a SUBSCRIBE or PUBLISH does nor where a request is routed: see
//! `conduct`.

mod admission;
mod certificates;
mod options;
pub(crate) mod publish;
pub(crate) mod refusal_counters;
pub(crate) mod refusals;
pub(crate) mod register;
pub(crate) mod response;
pub(crate) mod suspended;
mod unserved;

use std::time::Instant;

use crate::shard::container::slab::Slab;
use crate::shard::contract::ids::SuspendedId;
use crate::shard::contract::lockout::{Lifted, LockoutReport};
use crate::shard::contract::options::Options;
use crate::shard::contract::report::{LoopReport, RefusalReport};
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::uas::refusal_counters::RefusalCounters;
use crate::shard::uas::suspended::SuspendedRequest;
use crate::sip::Message;
use crate::sip::digest::{Authenticator, ReplayWindows};
use crate::sip::random::Random;
use crate::sip::transaction::server::ServerTransactions;

/// Server transactions, authentication and overload control of one shard.
#[derive(Debug)]
pub(crate) struct Uas {
    transactions: ServerTransactions,
    authenticator: Authenticator,
    replay: ReplayWindows,
    overload: OverloadControl,
    refusal_counters: RefusalCounters,
    /// Requests that wait for the owner of their presentity.
    suspended: Slab<SuspendedId, SuspendedRequest>,
    /// Requests suspended so far.
    suspensions: u64,
}

impl Uas {
    /// A user agent server without transactions. Its hash keys are drawn from `random`.
    pub(crate) fn new(options: &Options, random: &mut Random) -> Self {
        let hash_key = [random.next_u64(), random.next_u64()];
        let overload = OverloadControl::new(
            options.overload.clone(),
            options.epoch,
            hash_key[0].rotate_left(32),
        );
        Self {
            transactions: ServerTransactions::new(options.response_ring_octets, hash_key),
            authenticator: Authenticator::new(options.nonce_key, options.nonce_life)
                .allow_rfc2069(options.allow_rfc2069),
            replay: ReplayWindows::new(
                options.nonces_max,
                options.system_time(options.nonces_known_since),
            ),
            overload,
            refusal_counters: RefusalCounters::default(),
            suspended: Slab::default(),
            suspensions: 0,
        }
    }

    /// Whether a request is a retransmission.
    pub(crate) fn knows(&mut self, request: &Message<'_>, now: Instant) -> bool {
        self.transactions.knows(request, now)
    }

    /// Responses forgotten before Timer J, for want of room.
    pub(crate) fn responses_evicted_early(&self) -> u64 {
        self.transactions.evicted_early()
    }

    /// Refusals by method and status.
    pub(crate) fn refusals_counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refusal_counters.iter()
    }

    /// The configuration changed: refusals kept for repetitions may be wrong now.
    pub(crate) fn forget_refusals(&mut self) {
        self.overload.forget_refusals();
    }

    /// The phones that repeat one request in vain.
    pub(crate) fn loops(&self, turn: &Turn<'_>) -> Vec<LoopReport> {
        self.overload.loops(turn)
    }

    /// The lockouts in force.
    pub(crate) fn lockouts(&self, turn: &Turn<'_>) -> Vec<LockoutReport> {
        self.overload.lockouts(turn)
    }

    /// Lifts lockouts. How many were in force.
    pub(crate) fn lift_lockouts(&mut self, lifted: &Lifted, turn: &Turn<'_>) -> usize {
        self.overload.lift_lockouts(lifted, turn)
    }

    /// The refusals listed for the operator.
    pub(crate) fn refusals_listed(&self, turn: &Turn<'_>) -> Vec<RefusalReport> {
        self.overload.refusals(turn)
    }
}
