//! Overload control: keeps a looping phone, a flooding address, a restarting tenant or a mass
//! restart from delaying everyone else's NOTIFYs (RFC 3261 §21.5.4, RFC 7616 §5, RFC 3903 §9;
//! W:A1.24, E3.8, E3.9).
//!
//! Requests outside dialogs pass it before they cause work (`conduct::dispatch`). Refreshes of live
//! subscriptions and responses to NOTIFYs do not, and cost nothing here.
//!
//! Other rooms use `OverloadControl` by these functions:
//! - before a request is served: `check_rates`, `kept_refusal`; once its sender is known:
//!   `check_shares`; after it: `note_acceptance` or `keep_refusal`;
//! - credentials: `attempt`, `note_proof`, `note_wrong`, `refuse_stale`;
//! - a refusal is written: `note_repeat`, `list_refusal`, `report_failure`;
//! - reload and the operator: `forget_refusals`, `loops`, `refusals`, `lockouts`, `lift_lockouts`.
//!
//! `ExpiryJitter` and `PublishQueue` belong to whatever holds the subscriptions and conducts.
//!
//! Its files:
//! - `rate_limit`, `bucket`: rate limits by phone, source address, presentity and domain.
//! - `kept_refusals`: refusals repeated without serving the request again.
//! - `attempts`, `auth_lockout`, `stale_nonces`: limits on wrong and stale credentials.
//! - `looping_phones`, `refusals`, `failures`: reports for the operator.
//! - `expiry_jitter`, `publish_queue`: spread refreshes, deferred PUBLISHes.
//!
//! Invariants:
//! - memory is bounded by the options, and a request that is shed allocates nothing;
//! - a request that its phone's own bucket sheds takes no token from a shared bucket;
//! - an unauthenticated request takes no token from a presentity's or domain's bucket;
//! - a reload forgets the remembered refusals, so that the operator's remedy works at once;
//! - a sender cannot choose its keys to hit another sender: keys are hashed with a secret and
//!   include the source address.

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

use crate::shard::contract::overload_options::{OverloadOptions, Rate};
use crate::shard::overload::auth_lockout::Lockouts;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::shard::overload::bucket::{Buckets, RateLimit};
use crate::shard::overload::kept_refusals::KeptRefusals;
use crate::shard::overload::looping_phones::LoopingPhones;
use crate::shard::overload::refusals::RefusalList;
use crate::shard::request::Request;

/// Octets of the longest DNS name.
const HOST_OCTETS: usize = 255;

/// The state of overload control of one shard.
#[derive(Debug)]
pub(crate) struct OverloadControl {
    options: OverloadOptions,
    rates: RateLimits,
    epoch: Instant,
    /// Initialised with the secret; cloned for every key.
    hasher: DefaultHasher,
    /// Incremented by a reload. It is part of the keys of remembered refusals, so older ones are
    /// not found.
    generation: u64,
    buckets: Buckets,
    refusals: KeptRefusals,
    loops: LoopingPhones,
    refused: RefusalList,
    /// Time at which the token bucket of logged authentication failures is full again.
    failures_full_at: u64,
    lockouts: Lockouts,
    /// Buffer for the host of a Request-URI; kept for its capacity.
    host: String,
}

/// The rate limits in the form the token buckets need.
#[derive(Clone, Copy, Debug)]
struct RateLimits {
    phone: RateLimit,
    presentity: RateLimit,
    source: RateLimit,
    domain: RateLimit,
    stale: RateLimit,
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
            repeats: RateLimit::new(repeat.unwrap_or_default(), options.loop_per_minute),
        }
    }
}

impl OverloadControl {
    /// Overload control without any history. `secret` keys the hashes.
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
            host: String::with_capacity(HOST_OCTETS),
        }
    }

    /// Forgets refusals and lockouts, because the configuration changed.
    pub(crate) fn forget_refusals(&mut self) {
        self.generation += 1;
        self.lockouts.forget();
    }

    /// Nanoseconds from the epoch to `now`.
    fn nanos(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// A key that a sender can neither guess nor choose: the hash of `kind` and of what `write`
    /// adds.
    fn key(&self, kind: impl Hash, write: impl FnOnce(&mut DefaultHasher)) -> u64 {
        let mut hasher = self.hasher.clone();
        kind.hash(&mut hasher);
        write(&mut hasher);
        hasher.finish()
    }

    /// The fingerprint of a request: source address, method, and the URIs in From and To. Call-ID,
    /// tags and source port are left out, because they change with each repetition of a looping
    /// phone.
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
