//! The load: an open loop of calls, changes, refreshes, reboots.

use std::time::Instant;

use super::Swarm;
use super::Task;
use super::search::Search;
use super::stages::Stage;
use crate::net::ports::Outbox;
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

/// What happens in the load, each kind in its own rhythm.
#[derive(Debug, Default)]
pub(super) struct Load {
    calls: Option<Pacer>,
    pub(super) changes: Option<Pacer>,
    refreshes: Option<Pacer>,
    reboots: Option<Pacer>,
    forgets: Option<Pacer>,
    /// Whose turn is next.
    next_change: u32,
    next_refresh: u32,
}

impl Load {
    /// The scenario's rates from now on; with the best rate that a search found, so many percent of
    /// it.
    pub(super) fn new(scenario: &Scenario, best: Option<f64>, now: Instant) -> Self {
        let pacer = |rate| Some(Pacer::new(rate, scenario.arrival, now));
        let share = scenario.overload / 100.0;
        let (changes, times) = match best {
            Some(best) => (best * share, share),
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
                .map_or(self.stage_began, Search::last_due),
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
        if let Some(search) = self.search.as_mut().filter(|_| self.stage == Stage::Search) {
            search.offer(self.presentities[user as usize].watchers());
        }
        let before = self.presentities[user as usize].lamp_wanted();
        let lamp = self.scenario.state_after(before);
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
}
