//! The search for the highest rate of changes without loss.
//!
//! A step offers changes at one rate for a while. It is good if every watcher has shown every
//! change shortly after its end, and if hardly any message was retransmitted. Before the next step
//! the run waits for silence, so that no step is affected by the one before.
//!
//! The rate is doubled, or halved if the first is too high, until a good rate and a rate too high
//! are known; then rates between them are tried until the two are close. So the search works for a
//! server that handles fifty changes a second and for one that handles fifty thousand.

use std::time::{Duration, Instant};

use crate::measure::tally::Tally;
use crate::scenario::Scenario;
use crate::swarm::load::Offered;

/// How late the last lamps of a step may be. A server that is late gains nothing, because the time
/// counts in its rate.
const GRACE: Duration = Duration::from_millis(300);
/// The share of a step's lamps that must arrive, and of messages that must not be retransmitted.
const ENOUGH: f64 = 0.999;
/// The search ends when the lowest rate too high is at most this many times the highest good rate.
const NEAR: f64 = 1.1;
/// The maximum number of steps. Most are needed if the first rate is far off.
const STEPS_MAX: usize = 60;

/// The phase of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Changes are offered.
    Offering,
    /// The last lamps are awaited.
    Awaiting,
    /// The step is over; late messages are awaited before the next.
    Resting,
}

/// Counts since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    changes: u64,
    lamps: u64,
    notifies: u64,
    resent: u64,
}

/// A step: the rate it offered, and the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SearchStep {
    /// Changes a second.
    pub(crate) rate: f64,
    /// From its first change until its last lamp, or its deadline.
    pub(crate) duration: Duration,
    /// Changes that the server accepted.
    pub(crate) changes: u64,
    pub(crate) lamps: u64,
    /// Acknowledged NOTIFYs.
    pub(crate) notifies: u64,
    /// Requests and NOTIFYs that were retransmitted.
    pub(crate) resent: u64,
    pub(crate) good: bool,
}

impl SearchStep {
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.duration.as_secs_f64().max(1e-3)
    }

    /// Lamps a second.
    pub(crate) fn lamp_rate(&self) -> f64 {
        self.per_second(self.lamps)
    }

    /// Acknowledged NOTIFYs a second.
    pub(crate) fn notify_rate(&self) -> f64 {
        self.per_second(self.notifies)
    }
}

/// The search.
#[derive(Debug)]
pub(crate) struct Search {
    length: Duration,
    phase: Phase,
    began: Instant,
    rate: f64,
    before: Seen,
    /// Changes offered in this step, and the resulting lamps.
    offered: u64,
    expected: u64,
    /// The step is tried for the second time, because the first try may have been disturbed.
    again: bool,
    /// The highest good rate, and the lowest that was too high.
    good: Option<f64>,
    bad: Option<f64>,
    /// The finished steps; during the pause, the last one is not judged yet.
    steps: Vec<SearchStep>,
}

impl Search {
    pub(super) fn new(scenario: &Scenario, seen: Seen, now: Instant) -> Self {
        Self {
            length: scenario.search_step,
            phase: Phase::Offering,
            began: now,
            rate: scenario.change_rate,
            before: seen,
            offered: 0,
            expected: 0,
            again: false,
            good: None,
            bad: None,
            steps: Vec::new(),
        }
    }

    /// The finished steps.
    pub(crate) fn steps(&self) -> &[SearchStep] {
        &self.steps
    }

    /// The best of the good steps.
    pub(crate) fn best(&self) -> Option<&SearchStep> {
        let good = self.steps.iter().filter(|step| step.good);
        good.max_by(|one, two| one.rate.total_cmp(&two.rate))
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// The rate of the current step.
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// The number of times a step has begun or ended: when it changes, CPU times are recorded.
    pub(crate) fn marks(&self) -> usize {
        self.steps.len() * 2 + usize::from(self.phase != Phase::Resting)
    }

    fn step_end(&self) -> Instant {
        self.began + self.length
    }

    /// The last moment at which a change may be due: just before the end of the step, so that the
    /// last change has its share of the step too.
    pub(super) fn last_due(&self) -> Instant {
        self.step_end() - Duration::from_nanos(1)
    }

    fn deadline(&self) -> Instant {
        self.step_end() + GRACE
    }

    /// The latest end of the phase; None during the pause.
    pub(super) fn timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Offering => Some(self.step_end()),
            Phase::Awaiting => Some(self.deadline()),
            Phase::Resting => None,
        }
    }

    /// Counts offered changes.
    pub(super) fn add(&mut self, offered: Offered) {
        self.offered += offered.changes;
        self.expected += offered.lamps;
    }

    /// All changes of the step have been offered.
    pub(super) fn await_last(&mut self) {
        self.phase = Phase::Awaiting;
    }

    /// Returns whether all lamps have arrived, or the deadline has passed.
    pub(super) fn is_step_over(&self, seen: Seen, now: Instant) -> bool {
        self.is_complete(seen) || now >= self.deadline()
    }

    fn is_complete(&self, seen: Seen) -> bool {
        let lamps = (seen.lamps - self.before.lamps) as f64;
        seen.changes - self.before.changes >= self.offered && lamps >= self.expected as f64 * ENOUGH
    }

    /// Ends the step: only what has arrived by now counts. [`Self::judge`] decides whether it is
    /// good.
    pub(super) fn end_step(&mut self, seen: Seen, now: Instant) {
        let spent = now.saturating_duration_since(self.began);
        self.steps.push(SearchStep {
            rate: self.rate,
            duration: spent.max(self.length),
            changes: seen.changes - self.before.changes,
            lamps: seen.lamps - self.before.lamps,
            notifies: seen.notifies - self.before.notifies,
            resent: 0,
            good: self.is_complete(seen),
        });
        self.phase = Phase::Resting;
    }

    /// Judges the last step after the pause. Returns the next rate, or None at the end of the
    /// search.
    pub(super) fn judge(&mut self, seen: Seen) -> Option<f64> {
        let resent = seen.resent - self.before.resent;
        let Some(step) = self.steps.last_mut() else {
            unreachable!("a step ends before it is judged");
        };
        step.resent = resent;
        step.good &= resent as f64 <= self.expected as f64 * (1.0 - ENOUGH);
        let good = step.good;
        self.again = !good && !self.again;
        if self.again {
            return (self.steps.len() < STEPS_MAX).then_some(self.rate);
        }
        match good {
            true => self.good = Some(self.rate),
            false => self.bad = Some(self.rate),
        }
        let next = match (self.good, self.bad) {
            (Some(good), None) => good * 2.0,
            (None, Some(bad)) => bad / 2.0,
            (Some(good), Some(bad)) if bad > good * NEAR => (good * bad).sqrt(),
            _ => return None,
        };
        let one_at_least = next * self.length.as_secs_f64() >= 1.0;
        (self.steps.len() < STEPS_MAX && one_at_least).then_some(next)
    }

    /// Begins the next step.
    pub(super) fn begin(&mut self, rate: f64, seen: Seen, now: Instant) {
        self.phase = Phase::Offering;
        self.rate = rate;
        self.before = seen;
        self.began = now;
        (self.offered, self.expected) = (0, 0);
    }
}

impl Seen {
    pub(super) const fn new(tally: &Tally) -> Self {
        Self {
            changes: tally.changes,
            lamps: tally.lamps,
            notifies: tally.acknowledged,
            resent: tally.retransmitted + tally.repeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: Offered = Offered {
        changes: 200,
        lamps: 200 * 20,
    };

    /// Searches for a server that can do `most` changes a second; each change has twenty watchers.
    /// Returns the result and the number of steps.
    fn search(most: f64, change_rate: f64) -> (Option<f64>, usize) {
        let scenario = Scenario {
            change_rate,
            ..Scenario::default()
        };
        let mut now = Instant::now();
        let mut seen = Seen::default();
        let mut search = Search::new(&scenario, seen, now);
        loop {
            assert_eq!(search.marks() % 2, 1);
            assert_eq!(search.timeout(), Some(search.step_end()));
            let changes = (search.rate * 2.0) as u64;
            search.add(Offered {
                changes,
                lamps: changes * 20,
            });
            search.await_last();
            assert!(changes == 0 || !search.is_complete(seen));
            seen.changes += changes;
            seen.lamps += (search.rate.min(most) * 2.0) as u64 * 20;
            now += Duration::from_secs(2);
            search.end_step(seen, now);
            assert_eq!((search.marks() % 2, search.timeout()), (0, None));
            let Some(rate) = search.judge(seen) else {
                return (search.best().map(|best| best.rate), search.steps.len());
            };
            search.begin(rate, seen, now);
        }
    }

    #[test]
    fn fast_and_slow_servers_are_found_alike() {
        for most in [30.0, 77.0, 1_000.0, 5_200.0, 80_000.0] {
            for change_rate in [10.0, 500.0, 20_000.0] {
                let (found, steps) = search(most, change_rate);
                let found = found.unwrap_or(0.0);
                assert!(
                    (0.9 * most..=1.01 * most).contains(&found),
                    "{found} {most}"
                );
                assert!(steps <= 36, "{most} from {change_rate}: {steps} steps");
            }
        }
    }

    #[test]
    fn a_server_that_does_nothing_ends_the_search() {
        let (found, steps) = search(0.0, 500.0);
        assert_eq!(found, None);
        assert!(steps < STEPS_MAX, "{steps}");
    }

    #[test]
    fn a_step_that_was_disturbed_is_tried_again() {
        let now = Instant::now();
        let mut search = Search::new(&Scenario::default(), Seen::default(), now);
        search.rate = 100.0;
        let done = |search: &Search, lamps, resent| Seen {
            changes: search.before.changes + 200,
            lamps: search.before.lamps + lamps,
            notifies: search.before.notifies + lamps,
            resent: search.before.resent + resent,
        };
        // A loss, then a retransmission: each fails the step; then a good step.
        for (lamps, resent, next) in [(3_900, 0, 100.0), (4_000, 0, 200.0)] {
            search.add(OFFERED);
            let seen = done(&search, lamps, resent);
            search.end_step(seen, now + Duration::from_millis(2_100));
            assert_eq!(search.judge(seen), Some(next));
            search.begin(next, seen, now);
        }
        let best = search.best().copied();
        assert!(best.is_some_and(|best| best.rate == 100.0 && best.lamps == 4_000));
        let rate = best.map_or(0.0, |best| best.lamp_rate());
        assert!((1_900.0..1_910.0).contains(&rate), "{rate}");
        for next in [Some(200.0), Some((100.0_f64 * 200.0).sqrt())] {
            search.add(OFFERED);
            let seen = done(&search, 4_000, 5);
            search.end_step(seen, now);
            assert_eq!(search.judge(seen), next);
            search.begin(200.0, seen, now);
        }
    }
}
