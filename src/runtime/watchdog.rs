//! Watches that a shard's timers fire when they are due.
//!
//! A shard whose timers are late neither retransmits nor ends what has expired: its lamps go stale
//! with no sign on the wire. The lateness is published as a gauge after every turn that did what
//! was due, and a warning is logged when it is long. It only reports; the cause is overload (see
//! the [shield] counters) or a bug.

use std::time::{Duration, Instant};

use crate::shard::ShardId;
use crate::telemetry::CoreCounters;

/// Timers later than this are worth a warning: twice T1, a whole retransmission.
const LATENESS_MAX: Duration = Duration::from_secs(1);
/// The least time between two warnings of one shard.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The watchdog of one core.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    warned_at: Option<Instant>,
}

impl Watchdog {
    /// Records how late the earliest timer is after a turn at `now`.
    pub(crate) fn look(
        &mut self,
        shard: ShardId,
        lateness: Duration,
        now: Instant,
        counters: &CoreCounters,
    ) {
        let milliseconds = u64::try_from(lateness.as_millis()).unwrap_or(u64::MAX);
        counters.timer_lateness_milliseconds.set(milliseconds);
        if self.is_to_warn(lateness, now) {
            counters.timer_warnings.add(1);
            tracing::warn!(
                shard = shard.0,
                milliseconds,
                "timers of this shard are late, so retransmissions and expiries are delayed: the \
                 shard is overloaded, or a timer is repeatedly armed in the past (counter \
                 timers_armed_late)"
            );
        }
    }

    fn is_to_warn(&mut self, lateness: Duration, now: Instant) -> bool {
        let is_quiet = self
            .warned_at
            .is_some_and(|at| now.saturating_duration_since(at) < WARN_EVERY);
        if lateness <= LATENESS_MAX || is_quiet {
            return false;
        }
        self.warned_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_timers_set_the_gauge_and_warn_at_intervals() {
        let counters = CoreCounters::default();
        let mut watchdog = Watchdog::default();
        let start = Instant::now();
        let mut look = |after: u64, lateness: u64| {
            let now = start + Duration::from_secs(after);
            let lateness = Duration::from_millis(lateness);
            watchdog.look(ShardId(0), lateness, now, &counters);
            (
                counters.timer_lateness_milliseconds.value(),
                counters.timer_warnings.value(),
            )
        };
        assert_eq!(look(0, 1000), (1000, 0));
        assert_eq!(look(1, 1001), (1001, 1));
        assert_eq!(look(10, 9000), (9000, 1));
        assert_eq!(look(11, 10_000), (10_000, 2));
        assert_eq!(look(12, 0), (0, 2));
    }
}
