//! Adaptive polling: while datagrams come often, the thread waits for the next one itself instead of
//! falling asleep in its executor.
//!
//! The executor needs some ten microseconds to fall asleep and to wake, several times as much as a
//! plain wait for sockets. Where datagrams come often but one by one, as the responses of phones do,
//! this would be most of their cost. So as long as each one comes soon after the last, the thread
//! waits for sockets, and gives the executor a pass now and then: for streams, whose completion also
//! ends a wait, and for timers.
//!
//! As network cards do, it also lets datagrams gather before it takes the next batch: one wake for
//! each would still cost more than the datagrams do. An isolated datagram is never delayed: both
//! take a run of batches, which a request and the responses it brings about are not.
//!
//! While the thread polls, streams wait for the next pass, and the engine's timer may be a
//! millisecond late.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::net::readiness::Waited;
use crate::runtime::core::Core;
use crate::runtime::datagrams;
use crate::runtime::datagrams::Unread;

/// A datagram that comes within this time is worth waiting for.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long the executor goes without a pass while there are datagrams; streams wait no longer than
/// this. A pass costs as much as a datagram.
const PASS_EVERY: Duration = Duration::from_micros(250);
/// A timer that expires before the executor looks at it, but not at once. Sleeping for it runs all
/// other tasks and lets the executor look at its rings. (The executor has no call for that: a yield
/// does not look at the rings, and a timer of zero does not even yield.)
const PASS: Duration = Duration::from_micros(2);
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
    fn gathering(self, now: Instant) -> Duration {
        if self.flood < RUN {
            return Duration::ZERO;
        }
        GATHERING.saturating_sub(now.saturating_duration_since(self.last))
    }
}

/// Serves datagrams, mail and the engine's timer as long as the next datagram is worth waiting for.
/// `unread` is what the last turn left.
pub(crate) async fn poll(core: &Core, mut unread: Unread) {
    let mut is_worth_it = true;
    while std::mem::take(&mut is_worth_it) {
        glommio::timer::sleep(PASS).await;
        let start = Instant::now();
        while start.elapsed() < PASS_EVERY && !core.is_congested() {
            let gathering = core.arrivals.get().gathering(Instant::now());
            if unread == Unread::None && !gathering.is_zero() {
                thread::sleep(gathering);
            } else if unread == Unread::None && !core.is_due() {
                match core
                    .readiness
                    .wait(PATIENCE, || core.mesh.has_work(core.id))
                {
                    Waited::Ready => {}
                    Waited::Interrupted => {
                        is_worth_it = true;
                        break;
                    }
                    Waited::InVain => return,
                }
            }
            let received = datagrams::due_turn(core);
            is_worth_it |= received.is_some();
            unread = received.unwrap_or(Unread::None);
        }
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
    fn a_request_and_its_answers_are_no_run() {
        for gaps in [&[5000, 60, 5000, 60, 5000, 60][..], &[100, 100, 100]] {
            let (pattern, now) = pattern(gaps);
            assert!(!pattern.is_frequent());
            assert_eq!(pattern.gathering(now), Duration::ZERO);
        }
    }

    #[test]
    fn frequent_datagrams_are_waited_for_and_those_of_a_flood_gather() {
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
