//! The lengths of a core's turns: a histogram of its own, published once a second as percentiles; and
//! [`Durations`](crate::telemetry::durations::Durations) since the start.
//!
//! A long turn delays everything else on its core, so the tail of this histogram is the latency
//! that a lamp may see.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::telemetry::counters::CoreCounters;

/// How often percentiles are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Longer turns are recorded as this long.
const TURN_NANOSECONDS_MAX: u64 = 60_000_000_000;

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
    use crate::telemetry::durations::Distribution;

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
        let counted = || Distribution::of([&counters.turn_durations]);
        assert!(counted().up_to().all(|(_, within)| within == 99));
        let later = start + Duration::from_millis(1100);
        times.record(later - Duration::from_millis(2), later, &counters);
        assert_eq!(counters.turns.value(), 100);
        assert_eq!((counted().count(), counted().seconds()), (100, 0.002_99));
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
