//! Token buckets in a cache of fixed size.
//!
//! A bucket is stored as one number, the time at which it is full again (generic cell rate
//! algorithm). A bucket that is not in the cache is full. If the cache overflows, the bucket that
//! is full first is replaced, so a sender that is held back stays held back however many new
//! senders appear.

use std::time::Duration;

use crate::shard::overload::expiring_cache::ExpiringCache;

/// The reciprocal of the share of a shared bucket that is reserved for known senders.
const KEPT_FOR_KNOWN: u64 = 4;

/// A rate limit: a burst, then one token per interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Nanoseconds per token; 0 for no limit.
    interval: u64,
    /// Nanoseconds until an empty bucket is full, minus one interval.
    tolerance: u64,
}

impl RateLimit {
    /// At most `burst` tokens at once (at least 1), then one per `interval`. Zero `interval`: no
    /// limit.
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX >> 1);
        Self {
            interval,
            tolerance: interval.saturating_mul(u64::from(burst.max(1) - 1)),
        }
    }

    /// At most `burst` tokens at once, then `rate` per second. Zero `rate`: no limit.
    pub(crate) fn per_second(rate: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(rate);
        Self::new(interval.unwrap_or_default(), burst)
    }

    /// The limit of one sender on a shared bucket: unknown senders may not use the last quarter of
    /// the burst, so they cannot crowd out known ones.
    pub(crate) fn for_known(self, is_known: bool) -> Self {
        let burst = self.tolerance.checked_div(self.interval);
        let kept = burst.map_or(0, |tokens| (tokens + 1) / KEPT_FOR_KNOWN);
        Self {
            tolerance: match is_known {
                true => self.tolerance,
                false => self.tolerance - kept * self.interval,
            },
            ..self
        }
    }

    /// Takes a token from the bucket that is full at `full_at`. False if the bucket is empty.
    pub(crate) fn take(self, full_at: &mut u64, now: u64) -> bool {
        let begin = now.max(*full_at);
        let has_token = begin - now <= self.tolerance;
        if has_token {
            *full_at = begin.saturating_add(self.interval);
        }
        has_token
    }
}

/// Token buckets by key.
#[derive(Debug)]
pub(crate) struct Buckets(ExpiringCache<()>);

impl Buckets {
    /// Room for at least `buckets` buckets that are not full.
    pub(crate) fn new(buckets: usize) -> Self {
        Self(ExpiringCache::new(buckets))
    }

    /// Takes a token. False if the bucket is empty.
    pub(crate) fn take(&mut self, key: u64, rate: RateLimit, now: u64) -> bool {
        rate.interval == 0 || rate.take(&mut self.0.claim(key).until, now)
    }

    /// Returns a token.
    pub(crate) fn give_back(&mut self, key: u64, rate: RateLimit) {
        if self.0.find(key).is_some() {
            let full_at = &mut self.0.claim(key).until;
            *full_at = full_at.saturating_sub(rate.interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(buckets: &mut Buckets, key: u64, rate: RateLimit, now: u64, tries: usize) -> usize {
        (0..tries).filter(|_| buckets.take(key, rate, now)).count()
    }

    /// W:A1.24
    #[test]
    fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut buckets = Buckets::new(64);
        let rate = RateLimit::per_second(10, 30);
        assert_eq!(taken(&mut buckets, 1, rate, SECOND, 1_000), 30);
        assert_eq!(taken(&mut buckets, 1, rate, SECOND + SECOND / 10 - 1, 9), 0);
        assert_eq!(taken(&mut buckets, 1, rate, SECOND + SECOND / 10, 9), 1);
        assert_eq!(taken(&mut buckets, 1, rate, 2 * SECOND, 100), 9);
        assert_eq!(taken(&mut buckets, 2, rate, SECOND, 1_000), 30, "another's");
        assert_eq!(taken(&mut buckets, 1, rate, 60 * SECOND, 1_000), 30, "full");
    }

    /// W:A1.24
    #[test]
    fn a_quarter_is_kept_for_known_senders() {
        let mut buckets = Buckets::new(64);
        let rate = RateLimit::per_second(10, 40);
        let (stranger, known) = (rate.for_known(false), rate.for_known(true));
        assert_eq!(taken(&mut buckets, 1, stranger, SECOND, 1_000), 30);
        assert_eq!(taken(&mut buckets, 1, known, SECOND, 1_000), 10);
        // Returning tokens go to known senders first.
        assert_eq!(taken(&mut buckets, 1, stranger, 2 * SECOND, 1_000), 0);
        assert_eq!(taken(&mut buckets, 1, known, 2 * SECOND, 1_000), 10);
        assert_eq!(
            taken(
                &mut buckets,
                2,
                RateLimit::per_second(0, 1).for_known(false),
                0,
                99
            ),
            99
        );
        assert_eq!(
            taken(
                &mut buckets,
                3,
                RateLimit::per_second(1, 3).for_known(false),
                0,
                99
            ),
            3
        );
    }

    #[test]
    fn a_returned_token_can_be_taken_again() {
        let mut buckets = Buckets::new(4);
        let rate = RateLimit::new(Duration::from_secs(60), 2);
        assert_eq!(taken(&mut buckets, 1, rate, SECOND, 9), 2);
        buckets.give_back(1, rate);
        buckets.give_back(7, rate);
        assert_eq!(taken(&mut buckets, 1, rate, SECOND, 9), 1);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut buckets = Buckets::new(4);
        let rate = RateLimit::per_second(0, 1);
        assert_eq!(taken(&mut buckets, 1, rate, 0, 10_000), 10_000);
    }

    /// However many source addresses are invented, a sender that is held back stays held back
    /// (W:E3.8).
    #[test]
    fn many_new_senders_evict_no_limited_one() {
        let mut buckets = Buckets::new(1024);
        let rate = RateLimit::per_second(10, 100);
        assert_eq!(taken(&mut buckets, 7, rate, SECOND, 1_000), 100);
        for stranger in 0..100_000_u64 {
            let key = stranger.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert!(buckets.take(key, rate, SECOND));
        }
        assert_eq!(taken(&mut buckets, 7, rate, SECOND, 1_000), 0);
    }
}
