//! The load: an open loop of calls, changes, refreshes, reboots; and the search for how much of it a
//! server can take.

use std::time::Duration;
use std::time::Instant;

use super::Swarm;
use super::Task;
use super::stages::Stage;
use crate::net::ports::Outbox;
use crate::scenario::Arrival;
use crate::scenario::Feed;
use crate::scenario::Scenario;
use crate::swarm::pace::Pacer;
use crate::swarm::presentity::Wanted;
use crate::swarm::subscription;
use crate::wire::dialog_info::Lamp;

/// Events of one kind started in one turn, so that receiving is never kept waiting.
const EVENTS_PER_TURN: usize = 32;
/// Subscriptions or users looked at to find one that is free.
const LOOKS_MAX: u32 = 64;
/// Each step of the search asks for so much more than the last.
const STEP: f64 = 1.4;
/// So much of what a step offers must come through for a next one.
const ENOUGH: f64 = 0.95;
/// Steps at the most: 500 changes a second become 10 million.
const STEPS_MAX: u32 = 30;

/// What happens in the load, each kind in its own rhythm.
#[derive(Debug, Default)]
pub(super) struct Load {
    calls: Option<Pacer>,
    changes: Option<Pacer>,
    refreshes: Option<Pacer>,
    reboots: Option<Pacer>,
    forgets: Option<Pacer>,
    /// Whose turn is next.
    next_change: u32,
    next_refresh: u32,
}

impl Load {
    /// The scenario's rates from now on; with the rate of changes that is all the server can do, so
    /// many percent of it.
    pub(super) fn new(scenario: &Scenario, all: Option<f64>, now: Instant) -> Self {
        let pacer = |rate| Some(Pacer::new(rate, scenario.arrival, now));
        let share = scenario.overload / 100.0;
        let (changes, times) = match all {
            Some(all) => (all * share, share),
            None => (scenario.change_rate, 1.0),
        };
        Self {
            calls: pacer(scenario.call_rate),
            changes: pacer(changes),
            refreshes: pacer(scenario.refresh_rate * times),
            reboots: pacer(scenario.reboot_rate),
            forgets: pacer(scenario.forget_rate),
            next_change: 0,
            next_refresh: 0,
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let all = [
            &self.calls,
            &self.changes,
            &self.refreshes,
            &self.reboots,
            &self.forgets,
        ];
        all.into_iter().flatten().filter_map(Pacer::next).min()
    }

    pub(super) fn stop(&mut self) {
        *self = Self {
            next_change: self.next_change,
            next_refresh: self.next_refresh,
            ..Self::default()
        };
    }
}

/// The search for the highest rate of changes that reaches all watchers.
#[derive(Debug)]
pub(super) struct Search {
    step: Duration,
    step_began: Instant,
    steps: u32,
    rate: f64,
    changes_before: u64,
    lamps_before: u64,
    /// The step is tried for the second time: the first may have been disturbed.
    again: bool,
    best: Option<Best>,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Best {
    /// The highest rate of changes that reached all watchers, and lamps a second at it.
    pub(crate) changes: f64,
    pub(crate) lamps: f64,
    /// The most lamps a second of any step, whether or not it was enough.
    pub(crate) most_lamps: f64,
}

impl Search {
    pub(super) fn new(scenario: &Scenario, now: Instant) -> Self {
        Self {
            step: scenario.search_step,
            step_began: now,
            steps: 0,
            rate: 0.0,
            changes_before: 0,
            lamps_before: 0,
            again: false,
            best: None,
        }
    }

    pub(super) fn step_end(&self) -> Instant {
        match self.steps {
            0 => self.step_began,
            _ => self.step_began + self.step,
        }
    }

    pub(super) const fn best(&self) -> Option<Best> {
        self.best
    }

    /// A step is over: what it was to do and did. The next rate, or None when enough is known.
    fn judge(&mut self, changes: u64, lamps: u64, fan_out: f64, now: Instant) -> Option<f64> {
        let seconds = now.duration_since(self.step_began).as_secs_f64().max(1e-3);
        let offered = self.rate * seconds;
        let done = (changes - self.changes_before) as f64;
        let shown = (lamps - self.lamps_before) as f64;
        let good = done >= offered * ENOUGH && shown >= offered * fan_out * ENOUGH;
        let lamps = shown / seconds;
        let most_lamps = self.best.map_or(lamps, |best| best.most_lamps.max(lamps));
        let best = self.best.filter(|_| !good).unwrap_or(Best {
            changes: self.rate,
            lamps,
            most_lamps,
        });
        self.best = Some(Best { most_lamps, ..best });
        let again = !good && !self.again;
        self.again = again;
        match (good && self.steps < STEPS_MAX, again) {
            (true, _) => Some(self.rate * STEP),
            (false, true) => Some(self.rate),
            (false, false) => None,
        }
    }

    fn begin(&mut self, rate: f64, changes: u64, lamps: u64, now: Instant) {
        self.steps += 1;
        self.rate = rate;
        self.changes_before = changes;
        self.lamps_before = lamps;
        self.step_began = now;
    }
}

impl Swarm {
    pub(super) fn do_load(&mut self, now: Instant, outbox: &mut Outbox) {
        let end = self.load_end();
        for _ in 0..EVENTS_PER_TURN {
            let random = &mut self.random;
            let mut take = |pacer: &mut Option<Pacer>| pacer.as_mut()?.take(now.min(end), random);
            let call = take(&mut self.load.calls);
            let change = take(&mut self.load.changes);
            let refresh = take(&mut self.load.refreshes);
            let reboot = take(&mut self.load.reboots);
            let forget = take(&mut self.load.forgets);
            if let Some(scheduled) = call {
                self.call(scheduled, now, outbox);
            }
            if let Some(scheduled) = change {
                self.change_next(scheduled, now, outbox);
            }
            if let Some(scheduled) = refresh {
                self.refresh_next(scheduled, now, outbox);
            }
            if let Some(scheduled) = reboot {
                let phone = self.random.below(self.scenario.phones);
                let keys = self.scenario.keys;
                self.tally.reboots += 1;
                for number in phone * keys..(phone + 1) * keys {
                    self.begin_anew(number, scheduled, now, outbox);
                }
            }
            if let Some(scheduled) = forget {
                let number = self.random.below(self.scenario.subscriptions());
                self.tally.forgotten += 1;
                self.begin_anew(number, scheduled, now, outbox);
            }
            if [call, change, refresh, reboot, forget] == [None; 5] {
                return;
            }
        }
    }

    /// Nothing of the load is due after this moment.
    pub(super) fn load_end(&self) -> Instant {
        match self.stage {
            Stage::Load => self.stage_began + self.scenario.duration,
            _ => self
                .search
                .as_ref()
                .map_or(self.stage_began, Search::step_end),
        }
    }

    /// A call begins at a user that is free.
    fn call(&mut self, scheduled: Instant, now: Instant, outbox: &mut Outbox) {
        let presentities = self.scenario.presentities;
        let from = self.random.below(presentities);
        let free = (0..presentities.min(LOOKS_MAX))
            .map(|step| (from + step) % presentities)
            .find(|&one| !self.presentities[one as usize].engaged);
        let Some(user) = free else {
            self.tally.calls_blocked += 1;
            return;
        };
        self.presentities[user as usize].engaged = true;
        let (first, then, after) = match self.scenario.feed {
            Feed::Publish => (Lamp::Ringing, Lamp::Busy, self.scenario.ring_time),
            Feed::Http => (Lamp::Busy, Lamp::Off, self.scenario.talk_time),
        };
        self.change(user, first, scheduled, now, outbox);
        let next = Task::Call {
            presentity: user,
            lamp: then,
        };
        self.remember(scheduled + after, next);
    }

    /// The next step of a call.
    pub(super) fn go_on(
        &mut self,
        user: u32,
        lamp: Lamp,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        self.change(user, lamp, scheduled, now, outbox);
        if lamp == Lamp::Off {
            self.presentities[user as usize].engaged = false;
        } else {
            let next = Task::Call {
                presentity: user,
                lamp: Lamp::Off,
            };
            self.remember(scheduled + self.scenario.talk_time, next);
        }
    }

    /// The next user in turn gets its next state.
    fn change_next(&mut self, scheduled: Instant, now: Instant, outbox: &mut Outbox) {
        let user = self.load.next_change % self.scenario.presentities;
        self.load.next_change = user + 1;
        let lamp = match (
            self.presentities[user as usize].lamp_wanted(),
            self.scenario.feed,
        ) {
            (Lamp::Off, Feed::Publish) => Lamp::Ringing,
            (Lamp::Off, Feed::Http) | (Lamp::Ringing | Lamp::Setup, _) => Lamp::Busy,
            (Lamp::Busy, _) => Lamp::Off,
        };
        self.change(user, lamp, scheduled, now, outbox);
    }

    fn change(
        &mut self,
        user: u32,
        lamp: Lamp,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let wanted = Wanted {
            lamp,
            scheduled,
            measured: self.stage == Stage::Load,
            withdraws: false,
        };
        self.want(user, wanted, now, outbox);
    }

    /// The next subscription that has nothing under way is refreshed.
    fn refresh_next(&mut self, scheduled: Instant, now: Instant, outbox: &mut Outbox) {
        let all = self.scenario.subscriptions();
        for _ in 0..all.min(LOOKS_MAX) {
            let number = self.load.next_refresh % all;
            self.load.next_refresh = number + 1;
            let subscription = &self.subscriptions[number as usize];
            if subscription.stage == subscription::Stage::Active && !subscription.pending {
                self.refresh(number, scheduled, now, outbox);
                return;
            }
        }
        self.tally.held_back += 1;
    }

    /// Watchers of one user, on average.
    pub(super) fn fan_out(&self) -> f64 {
        let sights = self.sights.len() as f64;
        sights / f64::from(self.scenario.presentities)
    }

    pub(super) fn do_search(&mut self, now: Instant) {
        let fan_out = self.fan_out();
        let (changes, lamps) = (self.tally.changes, self.tally.lamps);
        let Some(search) = self
            .search
            .as_mut()
            .filter(|search| now >= search.step_end())
        else {
            return;
        };
        let rate = match search.steps {
            0 => Some(self.scenario.change_rate),
            _ => search.judge(changes, lamps, fan_out, now),
        };
        self.load.stop();
        match rate {
            Some(rate) => {
                search.begin(rate, changes, lamps, now);
                self.load.changes = Some(Pacer::new(rate, Arrival::Even, now));
            }
            None => self.enter(Stage::Rest, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_goes_up_until_not_enough_comes_through() {
        let now = Instant::now();
        let mut search = Search::new(&Scenario::default(), now);
        assert_eq!(search.step_end(), now);
        search.begin(100.0, 0, 0, now);
        let later = now + Duration::from_secs(2);
        assert_eq!(search.step_end(), later);
        // 100 a second for two seconds, twenty watchers each.
        assert_eq!(search.judge(200, 4000, 20.0, later), Some(140.0));
        let best = |most_lamps| {
            Some(Best {
                changes: 100.0,
                lamps: 2000.0,
                most_lamps,
            })
        };
        assert_eq!(search.best(), best(2000.0));
        // The second step fails, and fails again.
        search.begin(140.0, 200, 4000, later);
        let end = later + Duration::from_secs(2);
        assert_eq!(search.judge(480, 4000 + 4500, 20.0, end), Some(140.0));
        search.begin(140.0, 480, 8500, end);
        let end = end + Duration::from_secs(2);
        assert_eq!(search.judge(760, 8500 + 4400, 20.0, end), None);
        assert_eq!(search.best(), best(2250.0));
    }

    #[test]
    fn a_first_step_that_fails_is_the_best_there_is() {
        let now = Instant::now();
        let mut search = Search::new(&Scenario::default(), now);
        let end = now + Duration::from_secs(2);
        for next in [Some(100.0), None] {
            search.begin(100.0, 0, 0, now);
            assert_eq!(search.judge(10, 10, 1.0, end), next);
        }
        assert_eq!(search.best().map(|best| best.changes), Some(100.0));
    }
}
