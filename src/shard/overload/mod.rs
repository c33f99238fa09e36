//! The storm shield: what keeps a phone that loops, an address that floods, a tenant that boots or
//! a crowd from taking the lamps of everybody else (W:A1.21, A1.24, A7.10, B1.11, E3.8, E3.9).
//!
//! It stands before what creates work, see `guard`. The refresh of a live subscription and the
//! answer to a NOTIFY never meet it, and pay nothing for it.
//!
//! Invariants:
//! - memory is bounded by the options, whatever arrives, and a request that is held back allocates
//!   nothing;
//! - whom a phone's own bucket holds back takes nothing from the buckets it shares with others;
//! - a request whose identity is not proved takes nothing from a presentity's or domain's bucket;
//! - a reload of the configuration ends what refusals are kept, so that an operator's remedy works
//!   at once;
//! - it knows nobody by what a stranger could choose for somebody else: keys are hashed with a
//!   secret, and have the sender's address in them.

pub(crate) mod attempts;
pub mod auth_lockout;
pub(crate) mod bucket;
pub(crate) mod expiring_cache;
pub(crate) mod expiry_jitter;
pub(crate) mod failures;
pub(crate) mod kept_refusals;
pub(crate) mod looping_phones;
pub(crate) mod publish_queue;
pub(crate) mod rate_limit;
pub(crate) mod refusals;
pub(crate) mod stale_nonces;

use crate::shard::contract::overload_options::OverloadOptions;
use crate::shard::contract::overload_options::Rate;
use crate::shard::overload::auth_lockout::Lockouts;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::time::Duration;
use std::time::Instant;

use crate::shard::overload::bucket::Buckets;
use crate::shard::overload::bucket::RateLimit;
use crate::shard::overload::kept_refusals::KeptRefusals;
use crate::shard::overload::looping_phones::LoopingPhones;
use crate::shard::overload::refusals::RefusalList;
use crate::shard::request::Request;

/// Octets of a DNS name.
const HOST_OCTETS: usize = 255;

/// All the shield remembers.
#[derive(Debug)]
pub(crate) struct OverloadControl {
    options: OverloadOptions,
    pub(crate) rates: RateLimits,
    epoch: Instant,
    /// Holds the secret; cloned for every key.
    hasher: DefaultHasher,
    /// Changes with the configuration: what was known under the old one is found no more.
    generation: u64,
    pub(crate) buckets: Buckets,
    refusals: KeptRefusals,
    loops: LoopingPhones,
    refused: RefusalList,
    /// When the bucket of logged authentication failures is full again.
    failures_full_at: u64,
    pub(crate) lockouts: Lockouts,
    /// When the shard's own bucket of initial SUBSCRIBEs is full again.
    crowd_full_at: u64,
    /// A host being looked up; kept for its capacity.
    host: String,
}

/// The options as the buckets want them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimits {
    pub(crate) phone: RateLimit,
    pub(crate) presentity: RateLimit,
    pub(crate) source: RateLimit,
    pub(crate) domain: RateLimit,
    stale: RateLimit,
    crowd: RateLimit,
    repeats: RateLimit,
}

impl RateLimits {
    fn new(options: &OverloadOptions) -> Self {
        let of = |rate: Rate| RateLimit::per_second(rate.per_second, rate.burst);
        let minute = Duration::from_secs(60);
        let repeat = minute.checked_div(options.loop_per_minute);
        Self {
            phone: of(options.phone),
            presentity: of(options.presentity),
            source: of(options.source),
            domain: of(options.domain),
            stale: RateLimit::new(options.cool_down, options.stale_max),
            crowd: RateLimit::per_second(options.crowd, options.crowd.saturating_mul(10)),
            repeats: RateLimit::new(repeat.unwrap_or_default(), options.loop_per_minute),
        }
    }
}

impl OverloadControl {
    /// A shield that has seen nobody. `secret` keys its hashes.
    pub(crate) fn new(options: OverloadOptions, epoch: Instant, secret: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        Self {
            rates: RateLimits::new(&options),
            buckets: Buckets::new(options.buckets_max),
            refusals: KeptRefusals::new(options.refusals_max),
            loops: LoopingPhones::default(),
            refused: RefusalList::default(),
            failures_full_at: 0,
            lockouts: Lockouts::new(&options, secret.rotate_left(16)),
            options,
            epoch,
            hasher,
            generation: 0,
            crowd_full_at: 0,
            host: String::with_capacity(HOST_OCTETS),
        }
    }

    /// The configuration is another: nobody is refused any more for what the old one said.
    pub(crate) fn forget_refusals(&mut self) {
        self.generation += 1;
        self.lockouts.forget();
    }

    /// Nanoseconds since the start of time.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// The key of what a stranger cannot guess.
    pub(crate) fn key(&self, kind: impl Hash, write: impl FnOnce(&mut DefaultHasher)) -> u64 {
        let mut hasher = self.hasher.clone();
        kind.hash(&mut hasher);
        write(&mut hasher);
        hasher.finish()
    }

    /// The key of what a phone asks of somebody: of one address by whom From names, to whom To
    /// names, in one method. Call-IDs, tags and ports come and go with each turn of a loop, so they
    /// are no part of it.
    fn fingerprint(&self, kind: impl Hash, request: &Request<'_>) -> u64 {
        self.key(kind, |hasher| {
            let message = request.message;
            request.flow.peer.ip().hash(hasher);
            message.method().token().hash(hasher);
            message.from().map(|from| from.uri).hash(hasher);
            message.to().map(|to| to.uri).hash(hasher);
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
