//! The search for the highest rate of changes of which nothing is lost.
//!
//! A step offers changes at one rate for a while. It is good if every watcher showed every one of
//! them a moment after its end, and hardly anything had to be sent again. Before the next step
//! everything rests until it is quiet, so that no step pays for the one before.
//!
//! The rate is doubled, or halved if the first is too much already, until one that is good and one
//! that is too much are known; then what lies between them is tried until they are near each other.
//! So a server is found that does fifty changes a second, and one that does fifty thousand.

use std::time::Duration;
use std::time::Instant;

use super::Swarm;
use super::stages::Stage;
use crate::measure::tally::Tally;
use crate::scenario::Arrival;
use crate::scenario::Scenario;
use crate::swarm::pace::Pacer;
use crate::swarm::presentity::Presentity;

/// So late the last lamps of a step may be. A server that falls behind is not flattered by it: the
/// time counts in its rate.
const GRACE: Duration = Duration::from_millis(300);
/// So much of what a step asks for must come through, and no more than the rest be sent again.
const ENOUGH: f64 = 0.999;
/// Between steps there is silence for so long: more than the first interval of a retransmission.
const REST: Duration = Duration::from_millis(600);
/// The search ends when what is too much is no more than so many times what is good.
const NEAR: f64 = 1.1;
/// Steps at the most, of which most are needed to come from afar.
const STEPS_MAX: usize = 60;

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Changes are due.
    Offering,
    /// The last of them are under way.
    Awaiting,
    /// It was judged by time; what is still under way comes in.
    Resting,
}

/// What happened since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    changes: u64,
    lamps: u64,
    notifies: u64,
    resent: u64,
}

/// A step: what it asked for, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SearchStep {
    /// Changes a second.
    pub(crate) rate: f64,
    /// From its first change until its last lamp, or until it was given up.
    pub(crate) duration: Duration,
    /// Changes that the server took.
    pub(crate) changes: u64,
    pub(crate) lamps: u64,
    /// Acknowledged NOTIFYs.
    pub(crate) notifies: u64,
    /// Requests of ours and NOTIFYs that were sent again.
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
    /// Changes that were due in this step, and the lamps they make.
    offered: u64,
    expected: u64,
    /// The step is tried for the second time: the first may have been disturbed.
    again: bool,
    /// The highest rate that was good, and the lowest that was too much.
    good: Option<f64>,
    bad: Option<f64>,
    /// The last is the running one while it rests.
    steps: Vec<SearchStep>,
}

impl Search {
    fn new(scenario: &Scenario, seen: Seen, now: Instant) -> Self {
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

    /// The steps that are over, or rest.
    pub(crate) fn steps(&self) -> &[SearchStep] {
        &self.steps
    }

    /// The best of the good steps.
    pub(crate) fn best(&self) -> Option<&SearchStep> {
        let good = self.steps.iter().filter(|step| step.good);
        good.max_by(|one, two| one.rate.total_cmp(&two.rate))
    }

    /// How many times a step began or was over: when this changes, CPU times are worth a look.
    pub(crate) fn marks(&self) -> usize {
        self.steps.len() * 2 + usize::from(self.phase != Phase::Resting)
    }

    fn step_end(&self) -> Instant {
        self.began + self.length
    }

    /// No change is due after this moment. At the end of a step none is, so that the last, too, has
    /// its share of the step.
    pub(super) fn last_due(&self) -> Instant {
        self.step_end() - Duration::from_nanos(1)
    }

    fn deadline(&self) -> Instant {
        self.step_end() + GRACE
    }

    /// When the search wants to be looked at; None while it rests.
    pub(super) fn timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Offering => Some(self.step_end()),
            Phase::Awaiting => Some(self.deadline()),
            Phase::Resting => None,
        }
    }

    /// A change is due that so many watchers will see.
    pub(super) fn offer(&mut self, watchers: u32) {
        self.offered += 1;
        self.expected += u64::from(watchers);
    }

    fn is_complete(&self, seen: Seen) -> bool {
        let lamps = (seen.lamps - self.before.lamps) as f64;
        seen.changes - self.before.changes >= self.offered && lamps >= self.expected as f64 * ENOUGH
    }

    /// What came until now is what counts; whether it is good, [`Self::judge`] says.
    fn end_step(&mut self, seen: Seen, now: Instant) {
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

    /// All is quiet: the verdict, and the next rate, or None when enough is known.
    fn judge(&mut self, seen: Seen) -> Option<f64> {
        let resent = seen.resent - self.before.resent;
        let step = self.steps.last_mut()?;
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

    fn begin(&mut self, rate: f64, seen: Seen, now: Instant) {
        self.phase = Phase::Offering;
        self.rate = rate;
        self.before = seen;
        self.began = now;
        (self.offered, self.expected) = (0, 0);
    }
}

impl Seen {
    const fn new(tally: &Tally) -> Self {
        Self {
            changes: tally.changes,
            lamps: tally.lamps,
            notifies: tally.acknowledged,
            resent: tally.retransmitted + tally.repeated,
        }
    }
}

impl Swarm {
    pub(super) fn begin_search(&mut self, now: Instant) {
        let search = Search::new(&self.scenario, Seen::new(&self.tally), now);
        self.load.changes = Some(Pacer::new(search.rate, Arrival::Even, now));
        self.search = Some(search);
    }

    pub(super) fn do_search(&mut self, now: Instant) {
        let seen = Seen::new(&self.tally);
        let Some(search) = &mut self.search else {
            return;
        };
        match search.phase {
            Phase::Offering => {
                let last = search.last_due();
                if now > last && self.load.next().is_none_or(|next| next > last) {
                    self.load.stop();
                    search.phase = Phase::Awaiting;
                }
            }
            Phase::Awaiting => {
                if search.is_complete(seen) || now >= search.deadline() {
                    search.end_step(seen, now);
                    // What the server did not take yet is not told any more, but for the newest.
                    let dropped = self.presentities.iter_mut().map(Presentity::keep_newest);
                    self.tally.held_back += dropped.sum::<u64>();
                    self.progress = now;
                }
            }
            Phase::Resting => {
                if !self.is_quiet(REST.max(self.scenario.settle), now) {
                    return;
                }
                let Some(search) = &mut self.search else {
                    return;
                };
                match search.judge(seen) {
                    Some(rate) => {
                        search.begin(rate, seen, now);
                        self.load.changes = Some(Pacer::new(rate, Arrival::Even, now));
                    }
                    None => self.enter(Stage::Load, now),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a server that can do `most` changes a second be searched for; each change has twenty
    /// watchers. What was found, and in how many steps.
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
            (0..changes).for_each(|_| search.offer(20));
            search.phase = Phase::Awaiting;
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
        // What is lost, and what had to be sent again: each fails; then all is well.
        for (lamps, resent, next) in [(3_900, 0, 100.0), (4_000, 0, 200.0)] {
            (0..200).for_each(|_| search.offer(20));
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
            (0..200).for_each(|_| search.offer(20));
            let seen = done(&search, 4_000, 5);
            search.end_step(seen, now);
            assert_eq!(search.judge(seen), next);
            search.begin(200.0, seen, now);
        }
    }
}
