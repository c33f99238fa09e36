//! How often something took how long, since the start: counts by buckets, each 9 % longer than the one
//! before.
//!
//! The buckets are those of Prometheus' native histograms with schema 3, whose bounds are the powers of
//! 2^(1/8) seconds; every eighth bound is a power of two, and a bound of the classic histogram. So both
//! forms are exact counts. Counting is a search among constants and one addition by the owning core;
//! nothing is allocated.

use std::time::Duration;

use crate::telemetry::counters::Counter;

/// The schema of native histograms with these bounds.
pub const SCHEMA: i32 = 3;
/// Buckets between two powers of two.
const STEPS: usize = 1 << SCHEMA;
/// What took 2^-20 s (a microsecond) or less is one bucket.
const OCTAVE_MIN: i32 = -20;
/// What took more than 2^12 s (68 minutes) counts as that long.
const OCTAVE_MAX: i32 = 12;
/// The bucket of the shortest, and all others.
const BUCKETS: usize = 1 + (OCTAVE_MAX - OCTAVE_MIN) as usize * STEPS;
/// The classic bounds are 2^-16 s (15 us) to 2^3 s.
const CLASSIC: std::ops::RangeInclusive<i32> = -16..=3;

/// The seconds of what is counted in the first bucket, the zero bucket of native histograms, at most.
pub const ZERO_THRESHOLD: f64 = 1.0 / (1 << -OCTAVE_MIN) as f64;

/// 2^(k/8), times 2^60.
const ROOTS: [u64; STEPS] = [
    0x1000_0000_0000_0000,
    0x1172_b83c_7d51_7adc,
    0x1306_fe0a_31b7_152d,
    0x14bf_dad5_362a_271d,
    0x16a0_9e66_7f3b_cc90,
    0x18ac_e542_2aa0_db5b,
    0x1ae8_9f99_5ad3_ad5e,
    0x1d58_18dc_fba4_8725,
];

/// The longest duration of each bucket, in whole nanoseconds.
const BOUNDS: [u64; BUCKETS] = bounds();

const fn bounds() -> [u64; BUCKETS] {
    let mut bounds = [0; BUCKETS];
    let mut bucket = 0;
    while bucket < BUCKETS {
        let octave = OCTAVE_MIN + (bucket / STEPS) as i32;
        let seconds = ROOTS[bucket % STEPS] as u128;
        bounds[bucket] = ((seconds * 1_000_000_000) >> (60 - octave)) as u64;
        bucket += 1;
    }
    bounds
}

/// The counts of one core. One thread writes them, every thread may read them.
#[derive(Debug)]
pub struct Durations {
    counts: [Counter; BUCKETS],
    nanoseconds: Counter,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| Counter::default()),
            nanoseconds: Counter::default(),
        }
    }
}

impl Durations {
    /// Counts one; only the owning core may call it.
    #[inline]
    pub fn record(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanoseconds);
        if let Some(count) = self.counts.get(bucket.min(BUCKETS - 1)) {
            count.add(1);
        }
        self.nanoseconds.add(nanoseconds);
    }
}

/// The counts of one core, or of several together, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    counts: Vec<u64>,
    nanoseconds: u64,
}

impl Distribution {
    /// Those of all these cores together.
    #[must_use]
    pub fn of<'d>(all: impl IntoIterator<Item = &'d Durations>) -> Self {
        let mut sum = Self {
            counts: vec![0; BUCKETS],
            nanoseconds: 0,
        };
        for durations in all {
            let counts = durations.counts.iter().map(Counter::value);
            sum.counts
                .iter_mut()
                .zip(counts)
                .for_each(|(sum, count)| *sum += count);
            sum.nanoseconds += durations.nanoseconds.value();
        }
        sum
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of them took together, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }

    /// How many took no longer than [`ZERO_THRESHOLD`].
    #[must_use]
    pub fn zero_count(&self) -> u64 {
        self.counts.first().copied().unwrap_or_default()
    }

    /// The native buckets with counts: the bucket with index `i` has what took up to 2^(i/8) s, and longer
    /// than the bucket before.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let first = OCTAVE_MIN * STEPS as i32;
        let counts = (first..).zip(self.counts.iter().copied()).skip(1);
        counts.filter(|(_, count)| *count > 0)
    }

    /// The classic bounds in seconds, each with how many took no longer.
    pub fn up_to(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        CLASSIC.map(|octave| {
            let bucket = (octave - OCTAVE_MIN) as usize * STEPS;
            let within = self.counts.iter().take(bucket + 1).sum();
            (f64::from(octave).exp2(), within)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_of_the_eighth_root_of_two() {
        for (bucket, bound) in BOUNDS.iter().enumerate() {
            let index = bucket as f64 / STEPS as f64 + f64::from(OCTAVE_MIN);
            let exact = index.exp2() * 1e9;
            assert_eq!(*bound, exact.floor() as u64, "{bucket}");
        }
    }

    #[test]
    fn each_duration_counts_up_to_every_bound_that_is_not_shorter() {
        let durations = Durations::default();
        let exactly = Duration::from_nanos(1_000_000_000 >> 9);
        for duration in [
            Duration::ZERO,
            exactly,
            exactly + Duration::from_nanos(1),
            Duration::from_secs(8),
            Duration::from_secs(1 << 20),
        ] {
            durations.record(duration);
        }
        let counted = Distribution::of([&durations]);
        let bounds: Vec<_> = counted.up_to().collect();
        let within = |bound: f64| {
            bounds
                .iter()
                .find(|(known, _)| *known == bound)
                .map(|it| it.1)
        };
        assert_eq!(within(1.0 / 1024.0), Some(1));
        assert_eq!(
            within(1.0 / 512.0),
            Some(2),
            "a bound belongs to its bucket"
        );
        assert_eq!(within(1.0 / 256.0), Some(3));
        assert_eq!((within(4.0), within(8.0)), (Some(3), Some(4)));
        assert_eq!((counted.count(), bounds.len()), (5, 20));
        assert_eq!((counted.zero_count(), ZERO_THRESHOLD), (1, (-20f64).exp2()));
        let native: Vec<_> = counted.buckets().collect();
        assert_eq!(native, [(-72, 1), (-71, 1), (24, 1), (96, 1)]);
        let seconds = 8.0 + f64::from(1 << 20) + 2.0 / 512.0;
        assert!((counted.seconds() - seconds).abs() < 1e-6);
    }

    #[test]
    fn cores_add_up() {
        let cores = [Durations::default(), Durations::default()];
        cores[0].record(Duration::from_millis(1));
        cores[1].record(Duration::from_millis(3));
        let all = Distribution::of(&cores);
        assert_eq!((all.count(), all.seconds()), (2, 0.004));
    }
}
