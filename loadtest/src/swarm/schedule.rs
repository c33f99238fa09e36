//! The schedule of a run: which stage runs, when it ends, which comes next, and what counts as lost
//! when `patience` is exceeded.

use std::time::{Duration, Instant};

use crate::measure::tally::Tally;
use crate::scenario::{Arrival, Scenario};
use crate::swarm::endpoints::Endpoints;
use crate::swarm::key::{Key, SubscriptionKey, UserKey};
use crate::swarm::load::Load;
use crate::swarm::pace::Pacer;
use crate::swarm::plan::Plan;
use crate::swarm::search::{Phase, Search, Seen};
use crate::swarm::stage::{Stage, StageRecord};
use crate::swarm::turn::{Results, Turn};

/// Maximum requests started in one turn, so that receiving is not delayed for long.
const STARTS_PER_TURN: usize = 64;
/// SUBSCRIBEs and PUBLISHes per second at the end, if the scenario has no rate for the beginning.
const LEAVE_RATE: f64 = 5000.0;
/// How often watchers are compared with the newest state, while nothing arrives.
const COMPARE_EVERY: Duration = Duration::from_millis(20);
/// The pause between two steps of the search: longer than the first retransmission interval.
const SEARCH_REST: Duration = Duration::from_millis(600);

/// The stages of a run.
pub(super) struct Schedule {
    stage: Stage,
    /// When the stage began, and the counts at that moment.
    began: Instant,
    tally_before: Tally,
    /// The finished stages.
    records: Vec<StageRecord>,
    /// The pace of the stages that process all subscriptions or users, and how many have been
    /// started.
    starts: Pacer,
    started: u32,
    load: Load,
    search: Option<Search>,
    load_ended: Option<Instant>,
    /// When watchers were last compared with the newest state.
    compared: Instant,
}

impl Schedule {
    pub(super) fn new(plan: &Plan, results: &Results, now: Instant) -> Self {
        Self {
            stage: Stage::Subscribe,
            began: now,
            tally_before: results.tally.clone(),
            records: Vec::new(),
            starts: starts(plan.scenario(), Stage::Subscribe, now),
            started: 0,
            load: Load::idle(),
            search: None,
            load_ended: None,
            compared: now,
        }
    }

    /// The current stage.
    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// The finished stages.
    pub(super) fn records(&self) -> &[StageRecord] {
        &self.records
    }

    /// The search for the best rate, if the scenario has one and it has begun.
    pub(super) const fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    pub(super) const fn load_ended(&self) -> Option<Instant> {
        self.load_ended
    }

    /// The progress of the current stage, from 0 to 1.
    pub(super) fn share_done(&self, plan: &Plan, established: u64, now: Instant) -> f64 {
        let all = f64::from(self.starts_max(plan).max(1));
        match self.stage {
            Stage::Subscribe => (established as f64 / all).min(1.0),
            Stage::Load => {
                let spent = now.saturating_duration_since(self.began).as_secs_f64();
                (spent / plan.scenario().duration.as_secs_f64().max(1e-3)).min(1.0)
            }
            Stage::Withdraw | Stage::Leave => f64::from(self.started) / all,
            Stage::Search | Stage::Drain => 0.0,
            Stage::Done => 1.0,
        }
    }

    /// Starts everything that is due, and enters the next stage if this one is over.
    pub(super) fn handle_timeout(&mut self, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        self.load.continue_calls(endpoints, turn);
        self.start_due(endpoints, turn);
        self.load
            .start_events(self.load_end(turn.plan), endpoints, turn);
        match self.stage {
            Stage::Done => {}
            Stage::Search => self.advance_search(endpoints, turn),
            Stage::Load => self.await_load_end(endpoints, turn),
            _ => self.await_quiet(endpoints, turn),
        }
    }

    /// The next time at which [`Self::handle_timeout`] must be called.
    pub(super) fn poll_timeout(
        &self,
        endpoints: &Endpoints,
        plan: &Plan,
        last_news: Instant,
    ) -> Instant {
        let starts = match self.started < self.starts_max(plan) {
            true => self.starts.next(),
            false => None,
        };
        let stage = self.stage_timeout(endpoints, plan, last_news);
        let timers = [starts, self.load.poll_timeout()];
        timers.into_iter().flatten().fold(stage, Instant::min)
    }

    // ---- Stages that process all subscriptions or users

    fn starts_max(&self, plan: &Plan) -> u32 {
        match self.stage {
            Stage::Subscribe | Stage::Leave => plan.scenario().subscriptions(),
            Stage::Withdraw => plan.scenario().presentities,
            Stage::Search | Stage::Load | Stage::Drain | Stage::Done => 0,
        }
    }

    fn start_due(&mut self, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        for _ in 0..STARTS_PER_TURN {
            if self.started == self.starts_max(turn.plan) {
                return;
            }
            let Some(scheduled) = self.starts.take(turn.now, turn.random) else {
                return;
            };
            let number = self.started;
            self.started += 1;
            let key = SubscriptionKey::from_number(number);
            match self.stage {
                Stage::Subscribe => endpoints.subscribe(key, scheduled, turn),
                Stage::Leave => endpoints.unsubscribe(key, scheduled, turn),
                Stage::Withdraw => {
                    endpoints.withdraw(UserKey::from_number(number), scheduled, turn);
                }
                Stage::Search | Stage::Load | Stage::Drain | Stage::Done => {}
            }
        }
    }

    // ---- The load and the search

    /// No event of the load is due after this moment.
    fn load_end(&self, plan: &Plan) -> Instant {
        match self.stage {
            Stage::Load => self.began + plan.scenario().duration,
            _ => self.search.as_ref().map_or(self.began, Search::last_due),
        }
    }

    fn await_load_end(&mut self, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        let end = self.load_end(turn.plan);
        if turn.now < end || !self.load.is_over(end) {
            return;
        }
        self.load.stop();
        self.load_ended = Some(turn.now);
        if turn.plan.scenario().overload > 0.0 {
            // Lamps that are stale from now on are caused by the server, not by our queues.
            endpoints.keep_newest(turn);
        }
        turn.note_news();
        self.enter(Stage::Drain, turn);
    }

    fn advance_search(&mut self, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        let seen = Seen::new(&turn.results.tally);
        let offered = self.load.take_offered();
        let Some(search) = &mut self.search else {
            unreachable!("the stage of the search begins one");
        };
        search.add(offered);
        match search.phase() {
            Phase::Offering => {
                let last = search.last_due();
                if turn.now > last && self.load.is_over(last) {
                    self.load.stop();
                    search.await_last();
                }
            }
            Phase::Awaiting => {
                if search.is_step_over(seen, turn.now) {
                    search.end_step(seen, turn.now);
                    // Queued changes are superseded by the newest of each user.
                    endpoints.keep_newest(turn);
                    turn.note_news();
                }
            }
            Phase::Resting => self.judge_step(seen, endpoints, turn),
        }
    }

    /// Waits for silence after a step, judges it, and begins the next or ends the search.
    fn judge_step(&mut self, seen: Seen, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        let rest = SEARCH_REST.max(turn.plan.scenario().settle);
        if !self.is_quiet(rest, endpoints, turn) {
            return;
        }
        let next = self.search.as_mut().and_then(|search| {
            let rate = search.judge(seen)?;
            search.begin(rate, seen, turn.now);
            Some(rate)
        });
        match next {
            Some(rate) => self.load.start_changes(rate, turn.now),
            None => self.enter(Stage::Load, turn),
        }
    }

    // ---- The end of a stage

    /// The earliest time at which the current stage can be over.
    fn stage_timeout(&self, endpoints: &Endpoints, plan: &Plan, last_news: Instant) -> Instant {
        if self.stage == Stage::Search
            && let Some(timeout) = self.search.as_ref().and_then(Search::timeout)
        {
            return timeout;
        }
        let scenario = plan.scenario();
        match self.stage {
            Stage::Load => self.began + scenario.duration,
            _ if self.is_answered(endpoints, plan) => {
                let settled = last_news + scenario.settle;
                settled.max(self.compared + COMPARE_EVERY)
            }
            _ => last_news + scenario.patience,
        }
    }

    /// Returns whether everything was started and has its response.
    fn is_answered(&self, endpoints: &Endpoints, plan: &Plan) -> bool {
        self.started == self.starts_max(plan) && endpoints.is_idle()
    }

    /// Returns whether all responses and lamps have arrived and nothing new has arrived for
    /// `settle`; or `patience` was exceeded, and what is missing was given up.
    fn is_quiet(
        &mut self,
        settle: Duration,
        endpoints: &mut Endpoints,
        turn: &mut Turn<'_>,
    ) -> bool {
        let quiet = turn.since(turn.results.last_news);
        if quiet >= turn.plan.scenario().patience {
            endpoints.give_up(turn);
            self.compared = turn.now;
            return true;
        }
        let is_answered = self.is_answered(endpoints, turn.plan);
        if !is_answered || quiet < settle || turn.now < self.compared + COMPARE_EVERY {
            return false;
        }
        self.compared = turn.now;
        endpoints.behind(turn).is_empty()
    }

    fn await_quiet(&mut self, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        let scenario = turn.plan.scenario();
        if !self.is_quiet(scenario.settle, endpoints, turn) {
            return;
        }
        let next = match self.stage {
            Stage::Subscribe if turn.results.tally.established == 0 => Stage::Done,
            Stage::Subscribe if scenario.overload > 0.0 => Stage::Search,
            Stage::Subscribe => Stage::Load,
            Stage::Drain => Stage::Withdraw,
            Stage::Withdraw if scenario.leave => Stage::Leave,
            Stage::Search | Stage::Load | Stage::Withdraw | Stage::Leave | Stage::Done => {
                Stage::Done
            }
        };
        self.enter(next, turn);
    }

    fn enter(&mut self, stage: Stage, turn: &mut Turn<'_>) {
        self.records.push(self.record(turn));
        self.tally_before = turn.results.tally.clone();
        self.stage = stage;
        turn.stage = stage;
        self.began = turn.now;
        turn.note_news();
        self.started = 0;
        let scenario = turn.plan.scenario();
        self.starts = starts(scenario, stage, turn.now);
        match stage {
            Stage::Search => {
                let search = Search::new(scenario, Seen::new(&turn.results.tally), turn.now);
                self.load.start_changes(search.rate(), turn.now);
                self.search = Some(search);
            }
            Stage::Load => {
                let best = self.search.as_ref().and_then(Search::best);
                let best = best.map(|best| best.rate);
                self.load = Load::new(scenario, best, turn.now);
            }
            _ => {}
        }
    }

    /// The record of the current stage, which is over. A stage that waited for silence ended with
    /// the last awaited message.
    fn record(&self, turn: &Turn<'_>) -> StageRecord {
        let (tally, before) = (&turn.results.tally, &self.tally_before);
        let end = match self.stage {
            Stage::Search | Stage::Load => turn.now,
            _ => turn.results.last_news,
        };
        StageRecord {
            stage: self.stage,
            duration: end.saturating_duration_since(self.began),
            requests: tally.requests() - before.requests(),
            subscribes: tally.subscribes - before.subscribes,
            refreshes: tally.refreshes - before.refreshes,
            changes: tally.changes - before.changes,
            lamps: tally.lamps - before.lamps,
            notifies: tally.notifies - before.notifies,
            acknowledged: tally.acknowledged - before.acknowledged,
        }
    }
}

/// The pace of a stage that processes all subscriptions or users.
fn starts(scenario: &Scenario, stage: Stage, now: Instant) -> Pacer {
    let rate = match (stage, scenario.subscribe_rate > 0.0) {
        (Stage::Subscribe, false) => f64::INFINITY,
        (_, false) => LEAVE_RATE,
        // To remove a publication, a user first reports a change. If one SUBSCRIBE subscribes to a
        // list of a thousand users, the rate of SUBSCRIBEs would be too low for these changes.
        (Stage::Withdraw, true) => scenario.subscribe_rate.max(scenario.change_rate),
        (_, true) => scenario.subscribe_rate,
    };
    Pacer::new(rate, Arrival::Even, now)
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
