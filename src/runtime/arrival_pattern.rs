//! How batches of datagrams have arrived lately: whether the next one is worth waiting for, and
//! whether datagrams should gather before it is taken ([`adaptive_poll`](super::adaptive_poll)).

use std::time::{Duration, Instant};

/// A datagram that comes within this time is worth waiting for.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);
/// In a flood, the least time from the end of one turn with datagrams to the next, unless more are
/// known to wait. The datagrams that come meanwhile are taken together.
const GATHERING: Duration = Duration::from_micros(100);
/// Batches that come within this time of each other are a flood: [`GATHERING`], and as much again for
/// a late timer.
const FLOOD: Duration = Duration::from_micros(200);
/// So many batches soon after one another are a run.
const RUN: u32 = 4;

/// How batches of datagrams have arrived lately.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArrivalPattern {
    /// When the turn of the last batch ended.
    last: Instant,
    /// Batches in a row that came within [`PATIENCE`] of the turn before.
    frequent: u32,
    /// Batches in a row that came within [`FLOOD`] of the turn before.
    flood: u32,
}

impl ArrivalPattern {
    /// No batch has come yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            last: now,
            frequent: 0,
            flood: 0,
        }
    }

    /// One more batch came, and its turn is over.
    pub(crate) fn after(self, came: Instant, over: Instant) -> Self {
        let gap = came.saturating_duration_since(self.last);
        let run = |length: u32, within| if gap < within { length + 1 } else { 0 };
        Self {
            last: over,
            frequent: run(self.frequent, PATIENCE).min(RUN),
            flood: run(self.flood, FLOOD).min(RUN),
        }
    }

    /// Whether the next batch is worth waiting for.
    pub(crate) const fn is_frequent(self) -> bool {
        self.frequent == RUN
    }

    /// How long datagrams should gather before the next batch is taken.
    pub(crate) fn gathering(self, now: Instant) -> Duration {
        if self.flood < RUN {
            return Duration::ZERO;
        }
        GATHERING.saturating_sub(now.saturating_duration_since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(gaps_in_micros: &[u64]) -> (ArrivalPattern, Instant) {
        let start = Instant::now();
        let mut now = start;
        let mut pattern = ArrivalPattern::new(start);
        for gap in gaps_in_micros {
            now += Duration::from_micros(*gap);
            pattern = pattern.after(now, now);
        }
        (pattern, now)
    }

    #[test]
    fn a_request_and_its_responses_are_not_a_run() {
        for gaps in [&[5000, 60, 5000, 60, 5000, 60][..], &[100, 100, 100]] {
            let (pattern, now) = pattern(gaps);
            assert!(!pattern.is_frequent());
            assert_eq!(pattern.gathering(now), Duration::ZERO);
        }
    }

    #[test]
    fn frequent_datagrams_are_polled_for_and_a_flood_is_batched() {
        let (frequent, now) = pattern(&[500, 60, 500, 60, 500]);
        assert!(frequent.is_frequent());
        assert_eq!(frequent.gathering(now), Duration::ZERO);
        let (flood, now) = pattern(&[5000, 60, 110, 150, 30]);
        assert!(flood.is_frequent());
        assert_eq!(flood.gathering(now), GATHERING);
        assert_eq!(flood.gathering(now + GATHERING), Duration::ZERO);
        assert!(!flood.after(now + PATIENCE, now + PATIENCE).is_frequent());
    }
}
