//! The lengths of a core's turns: a histogram of its own, published once a second as percentiles, and
//! counts by length since the start.
//!
//! A long turn delays everything else on its core, so the tail of this histogram is the latency
//! that a lamp may see.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::telemetry::counters::{CoreCounters, Counter};

/// How often percentiles are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Longer turns are recorded as this long.
const TURN_NANOSECONDS_MAX: u64 = 60_000_000_000;

/// Turns are counted by the first of these that is not shorter.
pub const BOUNDS: [Duration; 14] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// How many turns took how long, since the start.
#[derive(Debug, Default)]
pub struct TurnDurations {
    /// For each of [`BOUNDS`] the turns that took no longer, but longer than the bound before; at the end
    /// those that were longer than all.
    pub within: [Counter; BOUNDS.len() + 1],
    /// All of them together, in nanoseconds.
    pub nanoseconds: Counter,
}

impl TurnDurations {
    fn record(&self, duration: Duration) {
        let place = BOUNDS.partition_point(|bound| *bound < duration);
        if let Some(within) = self.within.get(place) {
            within.add(1);
        }
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.add(nanoseconds);
    }
}

/// The histogram of one core.
#[derive(Debug)]
pub struct TurnTimes {
    histogram: Option<Histogram<u64>>,
    published: Instant,
}

impl TurnTimes {
    /// An empty histogram: values from 1 ns to a minute, within one percent.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        // The bounds are constants the histogram accepts; should it ever not, the core runs without
        // one rather than not at all.
        let histogram = Histogram::new_with_bounds(1, TURN_NANOSECONDS_MAX, 2).ok();
        Self {
            histogram,
            published: now,
        }
    }

    /// Records a turn from `start` to `end`, and publishes if a second has passed since the last
    /// time.
    pub fn record(&mut self, start: Instant, end: Instant, counters: &CoreCounters) {
        counters.turns.add(1);
        counters
            .turn_durations
            .record(end.saturating_duration_since(start));
        let Some(histogram) = &mut self.histogram else {
            return;
        };
        let nanoseconds = end.saturating_duration_since(start).as_nanos();
        histogram.saturating_record(
            u64::try_from(nanoseconds)
                .unwrap_or(TURN_NANOSECONDS_MAX)
                .max(1),
        );
        if end.saturating_duration_since(self.published) < PUBLISH_EVERY {
            return;
        }
        self.published = end;
        counters
            .turn_nanoseconds_p50
            .set(histogram.value_at_quantile(0.5));
        counters
            .turn_nanoseconds_p99
            .set(histogram.value_at_quantile(0.99));
        counters
            .turn_nanoseconds_p999
            .set(histogram.value_at_quantile(0.999));
        counters.turn_nanoseconds_max.set(histogram.max());
        histogram.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishes_the_percentiles_of_each_second_on_its_own() {
        let counters = CoreCounters::default();
        let start = Instant::now();
        let mut times = TurnTimes::new(start);
        for _ in 0..99 {
            times.record(start, start + Duration::from_micros(10), &counters);
        }
        assert_eq!(
            counters.turn_nanoseconds_p50.value(),
            0,
            "nothing before the second is over"
        );
        assert_eq!(counters.turn_durations.within[0].value(), 99);
        let later = start + Duration::from_millis(1100);
        times.record(later - Duration::from_millis(2), later, &counters);
        assert_eq!(counters.turns.value(), 100);
        assert_eq!(counters.turn_durations.within[7].value(), 1);
        assert_eq!(counters.turn_durations.nanoseconds.value(), 2_990_000);
        let near = |value: u64, expected: u64| value.abs_diff(expected) * 100 <= expected;
        assert!(near(counters.turn_nanoseconds_p50.value(), 10_000));
        assert!(near(counters.turn_nanoseconds_max.value(), 2_000_000));
        let last = later + Duration::from_millis(1100);
        times.record(last - Duration::from_micros(5), last, &counters);
        assert!(
            near(counters.turn_nanoseconds_max.value(), 5_000),
            "the old second is forgotten"
        );
    }
}
