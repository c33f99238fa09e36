//! Token buckets, all in one memory of fixed size.
//!
//! A bucket is one number: the time at which it is full again (the generic cell rate algorithm).
//! One that nobody remembers is full. So what makes place for another is the bucket that would be
//! full first, and whoever is held back stays held back however many others come.

use std::time::Duration;

use crate::shard::overload::expiring_cache::ExpiringCache;

/// One token in so many of a shared bucket is kept for known senders.
const KEPT_FOR_KNOWN: u64 = 4;

/// How much may come: so many at once, and in the long run one an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Nanoseconds until a token comes back; 0 for no limit.
    interval: u64,
    /// Tokens of a full bucket but one, in nanoseconds.
    tolerance: u64,
}

impl RateLimit {
    /// `burst` at once (at least one), then one an `interval`; no limit when that is zero.
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX >> 1);
        Self {
            interval,
            tolerance: interval.saturating_mul(u64::from(burst.max(1) - 1)),
        }
    }

    /// `burst` at once, then so many a second; 0 for no limit.
    pub(crate) fn per_second(rate: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(rate);
        Self::new(interval.unwrap_or_default(), burst)
    }

    /// The pace of one sender at a bucket that many share: a quarter of the burst is kept for known
    /// senders, whom others therefore cannot crowd out.
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

    /// Takes a token of the bucket that is full at `full_at`. False when it is empty.
    pub(crate) fn take(self, full_at: &mut u64, now: u64) -> bool {
        let begin = now.max(*full_at);
        let has_token = begin - now <= self.tolerance;
        if has_token {
            *full_at = begin.saturating_add(self.interval);
        }
        has_token
    }
}

/// Buckets by the hash of whom they are for.
#[derive(Debug)]
pub(crate) struct Buckets(ExpiringCache<()>);

impl Buckets {
    /// Room for so many that are not full.
    pub(crate) fn new(buckets: usize) -> Self {
        Self(ExpiringCache::new(buckets))
    }

    /// Takes a token. False when there is none.
    pub(crate) fn take(&mut self, key: u64, rate: RateLimit, now: u64) -> bool {
        rate.interval == 0 || rate.take(&mut self.0.claim(key).until, now)
    }

    /// Gives a token back.
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
        // What comes back is the known senders' first.
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
    fn what_is_given_back_can_be_taken_again() {
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

    /// However many sources are made up, whoever is held back stays held back (W:E3.8).
    #[test]
    fn a_flood_of_strangers_frees_nobody() {
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
