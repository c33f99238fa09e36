//! The user agent server (RFC 3261 §8.2): server transactions, authentication, responses.
//!
//! - `authenticate`: who sent a request, and which nonces prove a path.
//! - `response`: the one place where responses are written; `publish`, `register`: their 200s.
//! - `suspended`: requests that wait for the owner of their presentity.
//! - `refusals`, `refusal_counters`: what is counted, listed and logged.
//!
//! Other rooms use [`Uas`] by these functions:
//! - a request arrives: `begin_transaction` finds a retransmission, `authenticate` the user;
//! - its response: `refuse` for any refusal, `respond_ok`, `respond_options`, `respond_to_publish`,
//!   `respond_to_register`; for a 200 with headers of its own `response::begin_response` and
//!   `end_response`; `forget` drops the transaction of a request whose response is not stored;
//! - what needs no service: `serve_cancel`, `serve_stray_notify`;
//! - a request that waits for the owner of its presentity: `suspend`, then `resume`,
//!   `handle_publish_outcome` or `handle_register_outcome`, or `handle_suspended_timer`;
//! - the proof of a path: `salt_of`, `salt::is_salt_for`;
//! - overload control: `overload`, `overload_mut`, a room of its own;
//! - the operator: `refusals_counted`, `responses_evicted_early`.
//!
//! It decides neither what a SUBSCRIBE or PUBLISH does nor where a request is routed: see
//! `conduct`.

pub(crate) mod authenticate;
pub(crate) mod publish;
pub(crate) mod refusal_counters;
pub(crate) mod refusals;
pub(crate) mod register;
pub(crate) mod response;
pub(crate) mod suspended;

use std::time::{Duration, Instant};

use slab::Slab;

use crate::shard::contract::options::Options;
use crate::shard::overload::OverloadControl;
use crate::shard::uas::refusal_counters::RefusalCounters;
use crate::shard::uas::suspended::SuspendedRequest;
use crate::sip::Message;
use crate::sip::digest::{Authenticator, ReplayWindows};
use crate::sip::random::Random;
use crate::sip::transaction::server::{Arrival, ServerTransactions, TransactionKey};

/// Server transactions, authentication and overload control of one shard.
#[derive(Debug)]
pub(crate) struct Uas {
    transactions: ServerTransactions,
    authenticator: Authenticator,
    replay: ReplayWindows,
    overload: OverloadControl,
    refusal_counters: RefusalCounters,
    /// Requests that wait for the owner of their presentity.
    suspended: Slab<SuspendedRequest>,
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
            authenticator: Authenticator::new(options.key, options.nonce_life)
                .allow_rfc2069(options.allow_rfc2069),
            replay: ReplayWindows::new(options.nonces_max),
            overload,
            refusal_counters: RefusalCounters::default(),
            suspended: Slab::new(),
            suspensions: 0,
        }
    }

    /// The overload control that requests pass.
    pub(crate) fn overload(&self) -> &OverloadControl {
        &self.overload
    }

    #[inline]
    pub(crate) fn overload_mut(&mut self) -> &mut OverloadControl {
        &mut self.overload
    }

    /// Whether a request is a retransmission.
    pub(crate) fn knows(&mut self, request: &Message<'_>, now: Instant) -> bool {
        self.transactions.knows(request, now)
    }

    /// Finds the server transaction of a request, or begins one.
    pub(crate) fn begin_transaction(
        &mut self,
        message: &Message<'_>,
        now: Instant,
    ) -> (TransactionKey, Arrival<'_>) {
        self.transactions.begin(message, now)
    }

    /// Responses forgotten before Timer J, for want of room.
    pub(crate) fn responses_evicted_early(&self) -> u64 {
        self.transactions.evicted_early()
    }

    /// Refusals by method and status.
    pub(crate) fn refusals_counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refusal_counters.iter()
    }

    /// The salt of the nonce that a request of a user of that domain carries, if we issued it.
    pub(crate) fn salt_of(
        &self,
        message: &Message<'_>,
        domain: &str,
        uptime: Duration,
    ) -> Option<u32> {
        self.authenticator.salt_of(message, domain, uptime)
    }
}
