//! Notices when the system's clock is set. The shards count on from the time at which the process began,
//! and rules that are valid for a time go by the system's clock.

use std::time::{Duration, Instant, SystemTime};

use crate::presence::wall_clock::WallClock;

/// A smaller difference is slewing, and delays a rule by no more.
const SET: Duration = Duration::from_secs(1);

/// The system's clock, as the shards know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock(WallClock);

impl SystemClock {
    /// The system's clock now.
    pub(crate) fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let milliseconds = since_1970.unwrap_or_default().as_millis();
        Self(WallClock {
            at: Instant::now(),
            unix_milliseconds: i64::try_from(milliseconds).unwrap_or(i64::MAX),
        })
    }

    /// In milliseconds since 1970 UTC.
    pub(crate) const fn unix_milliseconds(self) -> i64 {
        self.0.unix_milliseconds
    }

    /// The system's clock if it was set since it was taken last; `now` is what it says.
    pub(crate) fn take_if_set(&mut self, now: Self) -> Option<WallClock> {
        let expected = self.0.unix_milliseconds_of(now.0.at);
        let difference = now.0.unix_milliseconds.abs_diff(expected);
        if u128::from(difference) < SET.as_millis() {
            return None;
        }
        *self = now;
        Some(now.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once() {
        let begin = SystemClock::now();
        let mut known = begin;
        let later = |seconds: u64, milliseconds: i64| {
            SystemClock(WallClock {
                at: begin.0.at + Duration::from_secs(seconds),
                unix_milliseconds: begin.0.unix_milliseconds + milliseconds,
            })
        };
        assert_eq!(known.take_if_set(later(10, 10_000)), None);
        assert_eq!(known.take_if_set(later(20, 20_999)), None, "slewed");
        for (seconds, milliseconds) in [(30, 3_600_000), (40, -3_600_000)] {
            let set = later(seconds, milliseconds);
            assert_eq!(known.take_if_set(set), Some(set.0));
            assert_eq!(known.take_if_set(set), None);
        }
    }
}
