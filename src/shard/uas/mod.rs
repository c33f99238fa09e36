//! The user agent server: what requests are received with and responded to (RFC 3261 §8.2).

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
use crate::sip::digest::Authenticator;
use crate::sip::digest::ReplayWindows;
use crate::sip::random::Random;
use crate::sip::transaction::server::ServerTransactions;

/// Server transactions, authentication, and protection from overload.
#[derive(Debug)]
pub(crate) struct Uas {
    pub(super) transactions: ServerTransactions,
    pub(super) authenticator: Authenticator,
    pub(super) replay: ReplayWindows,
    pub(super) overload: OverloadControl,
    pub(super) refusal_counters: RefusalCounters,
    /// Requests that wait for the word of another shard.
    pub(super) suspended: Slab<SuspendedRequest>,
}

impl Uas {
    /// One that has received nothing yet.
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
