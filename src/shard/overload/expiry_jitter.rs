//! Random shortening of granted expiries after a mass restart, so that phones that were switched on
//! together do not refresh together for ever.

use std::time::{Duration, Instant};

use crate::shard::contract::overload_options::OverloadOptions;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::bucket::RateLimit;

/// Seconds of new subscriptions at the rate of a mass restart that are no mass restart yet.
const BURST_SECONDS: u32 = 10;

/// Tells a mass restart by the rate of new subscriptions. They, and not the requests for them, count: so
/// it belongs to the subscriptions.
#[derive(Debug)]
pub(crate) struct ExpiryJitter {
    rate: RateLimit,
    percent: u64,
    epoch: Instant,
    /// Time at which the token bucket is full again.
    full_at: u64,
}

impl ExpiryJitter {
    /// No subscriptions yet.
    pub(crate) fn new(options: &OverloadOptions, epoch: Instant) -> Self {
        let burst = options.crowd.saturating_mul(BURST_SECONDS);
        Self {
            rate: RateLimit::per_second(options.crowd, burst),
            percent: u64::from(options.jitter_percent.min(100)),
            epoch,
            full_at: 0,
        }
    }

    /// The expiry to grant to a new subscription: `granted`, or during a mass restart up to
    /// `jitter_percent` less, in whole seconds and not below `min`. A refresh is granted what it
    /// asks for, because the spread of the initial subscriptions persists.
    pub(crate) fn spread(
        &mut self,
        granted: Duration,
        min: Duration,
        turn: &mut Turn<'_>,
    ) -> Duration {
        let at = turn.now.saturating_duration_since(self.epoch).as_nanos() as u64;
        if granted <= min || self.rate.take(&mut self.full_at, at) {
            return granted;
        }
        let less_max = granted.as_secs() * self.percent / 100;
        let less_max = less_max.min((granted - min).as_secs());
        if less_max == 0 {
            return granted;
        }
        turn.counters.expiries_spread += 1;
        let bound = u32::try_from(less_max + 1).unwrap_or(u32::MAX);
        granted - Duration::from_secs(turn.random.below(bound).into())
    }
}
