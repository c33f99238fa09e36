//! The stages of a run: when one is over, what comes next, and what is lost when patience ends.

use std::time::Duration;
use std::time::Instant;

use super::Swarm;
use super::Task;
use super::load::Load;
use super::search::Search;
use crate::net::ports::Outbox;
use crate::scenario::Arrival;
use crate::scenario::Scenario;
use crate::swarm::pace::Pacer;
use crate::swarm::presentity::Presentity;
use crate::swarm::subscription;

/// Requests started in one turn, so that receiving is never kept waiting.
const STARTS_PER_TURN: usize = 64;
/// SUBSCRIBEs and PUBLISHes a second at the end, when the scenario has no rate for the beginning.
const LEAVE_RATE: f64 = 5000.0;
/// How often watchers are compared with what they should show, while nothing moves.
const COMPARE_EVERY: Duration = Duration::from_millis(20);

/// One part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Subscribe,
    /// How much can the server do?
    Search,
    Load,
    /// Until every watcher shows the newest state.
    Drain,
    Withdraw,
    Leave,
    Done,
}

impl Stage {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Search => "search",
            Self::Load => "load",
            Self::Drain => "drain",
            Self::Withdraw => "withdraw",
            Self::Leave => "leave",
            Self::Done => "done",
        }
    }
}

/// A stage that is over.
#[derive(Clone, Debug)]
pub(crate) struct StageRecord {
    pub(crate) stage: Stage,
    pub(crate) duration: Duration,
    pub(crate) requests: u64,
    pub(crate) subscribes: u64,
    pub(crate) refreshes: u64,
    pub(crate) changes: u64,
    pub(crate) lamps: u64,
    pub(crate) notifies: u64,
    pub(crate) acknowledged: u64,
}

/// When the requests of a stage start that goes through everybody.
pub(super) fn starts(scenario: &Scenario, stage: Stage, now: Instant) -> Pacer {
    let rate = match (stage, scenario.subscribe_rate > 0.0) {
        (Stage::Subscribe, false) => f64::INFINITY,
        (_, false) => LEAVE_RATE,
        // What is withdrawn is a change: where a SUBSCRIBE asks for a thousand lamps, the rate of
        // SUBSCRIBEs says little about it.
        (Stage::Withdraw, true) => scenario.subscribe_rate.max(scenario.change_rate),
        (_, true) => scenario.subscribe_rate,
    };
    Pacer::new(rate, Arrival::Even, now)
}

impl Swarm {
    pub(super) fn starts_max(&self) -> u32 {
        match self.stage {
            Stage::Subscribe | Stage::Leave => self.scenario.subscriptions(),
            Stage::Withdraw => self.scenario.presentities,
            Stage::Search | Stage::Load | Stage::Drain | Stage::Done => 0,
        }
    }

    pub(super) fn do_starts(&mut self, now: Instant, outbox: &mut Outbox) {
        for _ in 0..STARTS_PER_TURN {
            if self.started == self.starts_max() {
                return;
            }
            let Some(scheduled) = self.starts.take(now, &mut self.random) else {
                return;
            };
            self.started += 1;
            self.start(self.started - 1, scheduled, now, outbox);
        }
    }

    /// When the running stage wants to be looked at.
    pub(super) fn stage_timeout(&self) -> Instant {
        if self.stage == Stage::Search
            && let Some(timeout) = self.search.as_ref().and_then(Search::timeout)
        {
            return timeout;
        }
        match self.stage {
            Stage::Load => self.stage_began + self.scenario.duration,
            _ if self.is_answered() => {
                let settled = self.progress + self.scenario.settle;
                settled.max(self.compared + COMPARE_EVERY)
            }
            _ => self.progress + self.scenario.patience,
        }
    }

    pub(super) fn do_stage(&mut self, now: Instant) {
        match self.stage {
            Stage::Done => {}
            Stage::Search => self.do_search(now),
            Stage::Load => {
                let end = self.load_end();
                if now >= end && self.load.next().is_none_or(|next| next > end) {
                    self.load.stop();
                    self.agenda
                        .retain(|_, task| matches!(task, Task::Retry(..)));
                    self.load_ended = Some(now);
                    if self.scenario.overload > 0.0 {
                        // What is stale from now on shall be the server's doing, not our queue's.
                        let dropped = self.presentities.iter_mut().map(Presentity::keep_newest);
                        self.tally.held_back += dropped.sum::<u64>();
                    }
                    self.progress = now;
                    self.enter(Stage::Drain, now);
                }
            }
            _ => self.await_quiet(now),
        }
    }

    /// Whether everything was answered and shown, and nothing new came for so long; or patience is
    /// over, and what is missing was given up.
    pub(super) fn is_quiet(&mut self, settle: Duration, now: Instant) -> bool {
        let quiet = now.saturating_duration_since(self.progress);
        if quiet >= self.scenario.patience {
            self.give_up();
            self.compared = now;
            return true;
        }
        if !self.is_answered() || quiet < settle || now < self.compared + COMPARE_EVERY {
            return false;
        }
        self.compared = now;
        self.behind().is_empty()
    }

    fn await_quiet(&mut self, now: Instant) {
        if !self.is_quiet(self.scenario.settle, now) {
            return;
        }
        let next = match self.stage {
            Stage::Subscribe if self.tally.established == 0 => Stage::Done,
            Stage::Subscribe if self.scenario.overload > 0.0 => Stage::Search,
            Stage::Subscribe => Stage::Load,
            Stage::Drain => Stage::Withdraw,
            Stage::Withdraw if self.scenario.leave => Stage::Leave,
            Stage::Search | Stage::Load | Stage::Withdraw | Stage::Leave | Stage::Done => {
                Stage::Done
            }
        };
        self.enter(next, now);
    }

    /// Everything was started and answered.
    fn is_answered(&self) -> bool {
        self.started == self.starts_max()
            && self.waiting == 0
            && self.exchanges.in_flight() == 0
            && self.agenda.is_empty()
            && self.feeder.is_idle()
    }

    /// Sights that do not show the newest state, with their subscription.
    fn behind(&self) -> Vec<(u32, usize)> {
        if matches!(self.stage, Stage::Subscribe | Stage::Leave) && self.scenario.list_size == 0 {
            // Only the first NOTIFY is waited for, or the last.
            return Vec::new();
        }
        let mut behind = Vec::new();
        for (number, subscription) in self.subscriptions.iter().enumerate() {
            if subscription.stage != subscription::Stage::Active {
                continue;
            }
            let number = number as u32;
            for (place, at) in self.places(number).enumerate() {
                let watched = &self.presentities[self.watched(number, place as u32) as usize];
                let sight = &self.sights[at];
                if !(watched.uncertain || sight.joined && sight.lamp == watched.lamp()) {
                    behind.push((number, at));
                }
            }
        }
        behind
    }

    /// Patience is over: what is still missing is lost.
    fn give_up(&mut self) {
        let stage = self.stage;
        let mut lost = Vec::new();
        for (number, subscription) in self.subscriptions.iter_mut().enumerate() {
            if std::mem::take(&mut subscription.pending) {
                lost.push(number as u32);
            }
        }
        self.waiting = 0;
        for (number, _) in self.behind() {
            if !lost.contains(&number) || self.scenario.list_size > 0 {
                lost.push(number);
            }
        }
        self.tally.lost += lost.len() as u64;
        for number in lost {
            self.tally.example(|| {
                format!(
                    "subscription {number}: what it waited for in stage {} never came",
                    stage.name()
                )
            });
        }
        let changes = self.feeder.abandon();
        self.tally.changes_failed += changes;
        for exchange in self.exchanges.abandon() {
            self.tally.timed_out += 1;
            self.fail(exchange.purpose);
        }
        for task in std::mem::take(&mut self.agenda).into_values() {
            if let Task::Retry(purpose, _) = task {
                self.fail(purpose);
            }
        }
        for presentity in &mut self.presentities {
            presentity.abandon();
        }
    }

    pub(super) fn enter(&mut self, stage: Stage, now: Instant) {
        let (tally, before) = (&self.tally, &self.tally_before);
        let end = match self.stage {
            Stage::Search | Stage::Load => now,
            _ => self.progress,
        };
        self.records.push(StageRecord {
            stage: self.stage,
            duration: end.saturating_duration_since(self.stage_began),
            requests: tally.requests() - before.requests(),
            subscribes: tally.subscribes - before.subscribes,
            refreshes: tally.refreshes - before.refreshes,
            changes: tally.changes - before.changes,
            lamps: tally.lamps - before.lamps,
            notifies: tally.notifies - before.notifies,
            acknowledged: tally.acknowledged - before.acknowledged,
        });
        self.tally_before = self.tally.clone();
        self.stage = stage;
        self.stage_began = now;
        self.progress = now;
        self.started = 0;
        self.starts = starts(&self.scenario, stage, now);
        match stage {
            Stage::Search => self.begin_search(now),
            Stage::Load => {
                let best = self.search.as_ref().and_then(Search::best);
                let best = best.map(|best| best.rate);
                self.load = Load::new(&self.scenario, best, now);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::pace::Random;

    #[test]
    fn lists_subscribe_slowly_and_are_withdrawn_as_fast_as_users_change() {
        let now = Instant::now();
        let within_a_second = |subscribe_rate, change_rate, stage| {
            let scenario = Scenario {
                subscribe_rate,
                change_rate,
                ..Scenario::default()
            };
            let mut pacer = starts(&scenario, stage, now);
            let mut random = Random::new(1);
            let before_the_end = now + Duration::from_millis(999);
            std::iter::from_fn(|| pacer.take(before_the_end, &mut random))
                .take(10_000)
                .count()
        };
        assert_eq!(within_a_second(5.0, 50.0, Stage::Subscribe), 5);
        assert_eq!(within_a_second(5.0, 50.0, Stage::Withdraw), 50);
        assert_eq!(within_a_second(5.0, 50.0, Stage::Leave), 5);
        assert_eq!(within_a_second(1000.0, 50.0, Stage::Withdraw), 1000);
        assert_eq!(within_a_second(0.0, 50.0, Stage::Subscribe), 10_000);
        assert_eq!(within_a_second(0.0, 50.0, Stage::Leave), 4996);
    }
}
