//! Times of the engine's clock in records that outlive the process: written as milliseconds since
//! 1970 UTC, read back as the engine's time.
//!
//! An [`Instant`] means nothing in another process, and serde passes no context on. So the relation of
//! both clocks is set for the duration of one [`WallClock::scope`]; outside of a scope, writing or
//! reading a time is an error.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

thread_local! {
    static CLOCK: Cell<Option<WallClock>> = const { Cell::new(None) };
}

/// One moment in the engine's time and in the time of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// The moment in the engine's time.
    pub at: Instant,
    /// The same moment, in milliseconds since 1970 UTC.
    pub unix_milliseconds: i64,
}

impl WallClock {
    /// Runs `work`, in which times are written and read by this clock.
    pub fn scope<R>(self, work: impl FnOnce() -> R) -> R {
        let outer = CLOCK.replace(Some(self));
        let result = work();
        CLOCK.set(outer);
        result
    }

    /// A time of the engine in milliseconds since 1970 UTC.
    #[must_use]
    pub fn unix_milliseconds_of(self, time: Instant) -> i64 {
        let milliseconds = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        match time.checked_duration_since(self.at) {
            Some(later) => self.unix_milliseconds.saturating_add(milliseconds(later)),
            None => {
                let earlier = self.at.saturating_duration_since(time);
                self.unix_milliseconds.saturating_sub(milliseconds(earlier))
            }
        }
    }

    /// The second of a time of the engine since 1970 UTC; None before 1970 and after 2106.
    #[must_use]
    pub fn second_of(self, time: Instant) -> Option<NonZeroU32> {
        let seconds = self.unix_milliseconds_of(time).div_euclid(1_000);
        u32::try_from(seconds).ok().and_then(NonZeroU32::new)
    }

    /// The engine's time of a moment in milliseconds since 1970 UTC. A moment that the engine's clock
    /// cannot express becomes `at`.
    #[must_use]
    pub fn time_of(self, unix_milliseconds: i64) -> Instant {
        let span = Duration::from_millis(unix_milliseconds.abs_diff(self.unix_milliseconds));
        let time = match unix_milliseconds >= self.unix_milliseconds {
            true => self.at.checked_add(span),
            false => self.at.checked_sub(span),
        };
        time.unwrap_or(self.at)
    }

    /// The clock of the scope.
    fn current<E>(error: impl FnOnce(&'static str) -> E) -> Result<Self, E> {
        CLOCK
            .get()
            .ok_or_else(|| error("a time outside of WallClock::scope"))
    }
}

/// For `#[serde(with = ...)]` of an [`Instant`].
pub(crate) mod instant {
    use std::time::Instant;

    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::presence::wall_clock::WallClock;

    pub(crate) fn serialize<S: Serializer>(time: &Instant, to: S) -> Result<S::Ok, S::Error> {
        WallClock::current(S::Error::custom)?
            .unix_milliseconds_of(*time)
            .serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Instant, D::Error> {
        let clock = WallClock::current(D::Error::custom)?;
        Ok(clock.time_of(i64::deserialize(from)?))
    }
}

/// For `#[serde(with = ...)]` of an `Option<Instant>`.
pub(crate) mod optional_instant {
    use std::time::Instant;

    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::presence::wall_clock::WallClock;

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Instant>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let clock = WallClock::current(S::Error::custom)?;
        time.map(|time| clock.unix_milliseconds_of(time))
            .serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Instant>, D::Error> {
        let clock = WallClock::current(D::Error::custom)?;
        let unix_milliseconds = Option::<i64>::deserialize(from)?;
        Ok(unix_milliseconds.map(|moment| clock.time_of(moment)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_survive_another_process() {
        let ours = WallClock {
            at: Instant::now() + Duration::from_secs(1000),
            unix_milliseconds: 1_700_000_000_000,
        };
        let theirs = WallClock {
            at: ours.at + Duration::from_secs(500),
            unix_milliseconds: ours.unix_milliseconds + 7_000,
        };
        for seconds in [-900i64, -1, 0, 1, 86_400] {
            let moment = ours.unix_milliseconds + seconds * 1000;
            let time = ours.time_of(moment);
            assert_eq!(ours.unix_milliseconds_of(time), moment);
            let back = theirs.time_of(ours.unix_milliseconds_of(time));
            assert_eq!(theirs.unix_milliseconds_of(back), moment);
        }
        let second = |clock: WallClock| clock.second_of(ours.at).map(NonZeroU32::get);
        assert_eq!(second(ours), Some(1_700_000_000));
        let too_early = WallClock {
            unix_milliseconds: -1,
            ..ours
        };
        assert_eq!(second(too_early), None);
        assert!(ours.time_of(i64::MAX) >= ours.at);
        assert!(ours.time_of(i64::MIN) <= ours.at);
    }
}
