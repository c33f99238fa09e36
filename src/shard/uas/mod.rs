//! The user agent server (RFC 3261 §8.2): server transactions, authentication, responses.
//!
//! - `authenticate`: who sent a request; `salt`: nonces that prove a path.
//! - `response`: the one place where responses are written; `publish`, `register`: their 200s.
//! - `suspended`: requests that wait for the owner of their presentity.
//! - `refusals`, `refusal_counters`: what is counted, listed and logged.
//!
//! It decides neither what a SUBSCRIBE or PUBLISH does nor where a request is routed: see
//! `conduct`.

pub(crate) mod authenticate;
pub(crate) mod publish;
pub(crate) mod refusal_counters;
pub(crate) mod refusals;
pub(crate) mod register;
pub(crate) mod response;
pub(crate) mod salt;
pub(crate) mod suspended;

use slab::Slab;

use crate::shard::contract::options::Options;
use crate::shard::overload::OverloadControl;
use crate::shard::uas::refusal_counters::RefusalCounters;
use crate::shard::uas::suspended::SuspendedRequest;
use crate::sip::digest::{Authenticator, ReplayWindows};
use crate::sip::random::Random;
use crate::sip::transaction::server::ServerTransactions;

/// Server transactions, authentication and overload control of one shard.
#[derive(Debug)]
pub(crate) struct Uas {
    pub(super) transactions: ServerTransactions,
    pub(super) authenticator: Authenticator,
    pub(super) replay: ReplayWindows,
    pub(super) overload: OverloadControl,
    pub(super) refusal_counters: RefusalCounters,
    /// Requests that wait for the owner of their presentity.
    pub(super) suspended: Slab<SuspendedRequest>,
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
        }
    }
}
