//! Open-loop pacing: computes when events are due, with its random numbers and without a clock.

use std::time::{Duration, Instant};

use crate::scenario::Arrival;

/// A xorshift generator: equal seeds give equal runs. Its quality hardly matters here.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to less than 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to less than `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        (self.fraction() * f64::from(end)) as u32
    }

    /// Returns true with that probability.
    pub(super) fn percent(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.fraction() * 100.0 < percent
    }
}

/// The due times of one kind of event. They do not depend on the caller: a late caller gets all of
/// them, one after another, each with the time at which it was due.
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    rate: f64,
    arrival: Arrival,
    /// None if there are no events.
    next: Option<Instant>,
    start: Instant,
    /// Seconds from the start to the next event; stored separately so that rounding errors do not
    /// accumulate.
    offset: f64,
}

impl Pacer {
    /// `rate` events per second from `start` on; none at a rate of 0.
    pub(super) fn new(rate: f64, arrival: Arrival, start: Instant) -> Self {
        Self {
            rate,
            arrival,
            next: (rate > 0.0).then_some(start),
            start,
            offset: 0.0,
        }
    }

    /// The due time of the next event.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Returns the next event's due time if it is due, and computes the one after it.
    pub(super) fn take(&mut self, now: Instant, random: &mut Random) -> Option<Instant> {
        let moment = self.next.filter(|&next| next <= now)?;
        self.offset += match self.arrival {
            Arrival::Even => 1.0,
            Arrival::Poisson => -(1.0 - random.fraction()).ln(),
        } / self.rate;
        self.next = Some(self.start + Duration::from_secs_f64(self.offset));
        Some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rate: f64, arrival: Arrival, seconds: u64) -> (u32, Vec<Duration>) {
        let start = Instant::now();
        let mut random = Random::new(7);
        let mut pacer = Pacer::new(rate, arrival, start);
        // A caller that asks only once, very late.
        let now = start + Duration::from_secs(seconds);
        let mut moments = Vec::new();
        while let Some(moment) = pacer.take(now, &mut random) {
            moments.push(moment - start);
        }
        (moments.len() as u32, moments)
    }

    #[test]
    fn a_late_caller_gets_every_moment_with_its_time() {
        let (count, moments) = count(3.0, Arrival::Even, 1000);
        assert_eq!(count, 3001);
        let third = moments[1].as_secs_f64();
        assert!((third - 1.0 / 3.0).abs() < 1e-6);
        assert!((moments[3000].as_secs_f64() - 1000.0).abs() < 1e-6);
    }

    #[test]
    fn poisson_moments_have_the_rate_and_no_rhythm() {
        let (count, moments) = count(1000.0, Arrival::Poisson, 20);
        assert!((19_400..20_600).contains(&count), "{count}");
        let gaps: Vec<f64> = moments
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0)
            .collect();
        let short = gaps.iter().filter(|gap| **gap < 1.0).count() as f64 / gaps.len() as f64;
        // 1 - 1/e of the gaps are shorter than the mean.
        assert!((0.61..0.65).contains(&short), "{short}");
    }

    #[test]
    fn without_a_rate_nothing_is_due() {
        let start = Instant::now();
        let mut random = Random::new(7);
        assert_eq!(
            Pacer::new(0.0, Arrival::Even, start).take(start, &mut random),
            None
        );
        let mut pacer = Pacer::new(5.0, Arrival::Even, start);
        assert_eq!(pacer.take(start, &mut random), Some(start));
        assert_eq!(pacer.take(start, &mut random), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.below(1000), random.below(1000), random.below(1000)]
        };
        assert_eq!(draw(4), draw(4));
        assert_ne!(draw(4), draw(5));
        let mut random = Random::new(3);
        let hits = (0..10_000).filter(|_| random.percent(2.0)).count();
        assert!((150..250).contains(&hits), "{hits}");
        assert!(!random.percent(0.0));
    }
}
