//! Waiting for the next datagram without letting the thread fall asleep in its executor.
//!
//! The executor needs some ten microseconds to fall asleep and to wake, several times as much as a
//! plain wait for sockets. Where datagrams come often but one by one, as the answers of phones do,
//! this would be most of what they cost. So as long as the next one comes soon after the last, the
//! thread waits for it itself, and gives the executor a pass now and then: for streams, whose
//! completion also ends a wait, and for timers.
//!
//! And as network cards do, it lets datagrams gather before it takes the next: a wake for each would
//! still cost more than they do. A datagram that comes alone never waits for others: either needs a
//! run of them, which a request and the answers it brings about are not.
//!
//! Meanwhile streams wait for the next pass, and the engine's timer may be a millisecond late.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::net::readiness::Waited;
use crate::runtime::core::Core;
use crate::runtime::datagrams;
use crate::runtime::datagrams::Backlog;

/// What comes within this time is worth waiting for.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long the executor does without a pass while there are datagrams: what streams have to wait at
/// most. A pass costs as much as a datagram.
const PASS_EVERY: Duration = Duration::from_micros(250);
/// A timer that is over once the executor looks at it, but not before: it lets everybody else go on,
/// looks at its rings and goes back to whoever waits for this. (It has no call for that: yielding to
/// it stays among the tasks, and a timer of zero is over at once.)
const PASS: Duration = Duration::from_micros(2);
/// In a flood, from the end of one turn with datagrams to the next, at least, unless more are known
/// to wait: what comes meanwhile is taken together.
const GATHERING: Duration = Duration::from_micros(100);
/// Batches within [`GATHERING`] of each other, twice that to allow for a late timer, are a flood.
const FLOOD: Duration = Duration::from_micros(200);
/// Batches one soon after the other from which on it is a run.
const RUN: u32 = 4;

/// How batches of datagrams come one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// When the turn of the last one was over.
    last: Instant,
    /// Batches in a row that came within [`PATIENCE`] of that.
    frequent: u32,
    /// And within [`FLOOD`].
    flood: u32,
}

impl Pace {
    /// None has come yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            last: now,
            frequent: 0,
            flood: 0,
        }
    }

    /// One more has come, and its turn is over.
    pub(crate) fn after(self, came: Instant, over: Instant) -> Self {
        let gap = came.saturating_duration_since(self.last);
        let run = |length: u32, within| if gap < within { length + 1 } else { 0 };
        Self {
            last: over,
            frequent: run(self.frequent, PATIENCE).min(RUN),
            flood: run(self.flood, FLOOD).min(RUN),
        }
    }

    /// Whether the next is worth waiting for.
    pub(crate) const fn is_frequent(self) -> bool {
        self.frequent == RUN
    }

    /// How long more should gather before the next is taken.
    fn gathering(self, now: Instant) -> Duration {
        if self.flood < RUN {
            return Duration::ZERO;
        }
        GATHERING.saturating_sub(now.saturating_duration_since(self.last))
    }
}

/// Serves datagrams, mail and the engine's timer as long as the next is worth waiting for. `backlog`
/// is what the last turn left.
pub(crate) async fn linger(core: &Core, mut backlog: Backlog) {
    let mut is_worth_it = true;
    while std::mem::take(&mut is_worth_it) {
        glommio::timer::sleep(PASS).await;
        let start = Instant::now();
        while start.elapsed() < PASS_EVERY && !core.is_congested() {
            let gathering = core.pace.get().gathering(Instant::now());
            if backlog == Backlog::None && !gathering.is_zero() {
                thread::sleep(gathering);
            } else if backlog == Backlog::None && !core.is_due() {
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
            backlog = received.unwrap_or(Backlog::None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(gaps_in_micros: &[u64]) -> (Pace, Instant) {
        let start = Instant::now();
        let mut now = start;
        let mut pace = Pace::new(start);
        for gap in gaps_in_micros {
            now += Duration::from_micros(*gap);
            pace = pace.after(now, now);
        }
        (pace, now)
    }

    #[test]
    fn a_request_and_its_answers_are_no_run() {
        for gaps in [&[5000, 60, 5000, 60, 5000, 60][..], &[100, 100, 100]] {
            let (pace, now) = pace(gaps);
            assert!(!pace.is_frequent());
            assert_eq!(pace.gathering(now), Duration::ZERO);
        }
    }

    #[test]
    fn frequent_datagrams_are_waited_for_and_those_of_a_flood_gather() {
        let (frequent, now) = pace(&[500, 60, 500, 60, 500]);
        assert!(frequent.is_frequent());
        assert_eq!(frequent.gathering(now), Duration::ZERO);
        let (flood, now) = pace(&[5000, 60, 110, 150, 30]);
        assert!(flood.is_frequent());
        assert_eq!(flood.gathering(now), GATHERING);
        assert_eq!(flood.gathering(now + GATHERING), Duration::ZERO);
        assert!(!flood.after(now + PATIENCE, now + PATIENCE).is_frequent());
    }
}
