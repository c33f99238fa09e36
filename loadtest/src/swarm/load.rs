//! The load: an open loop of calls, changes, refreshes, reboots and lost subscriptions, each kind
//! at its own rate.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::scenario::{Arrival, Feed, Scenario};
use crate::swarm::agenda::Agenda;
use crate::swarm::endpoints::Endpoints;
use crate::swarm::key::{Key, SubscriptionKey, UserKey};
use crate::swarm::pace::{Pacer, Random};
use crate::swarm::turn::Turn;
use crate::wire::dialog_info::Lamp;

/// Maximum events of one kind started in one turn, so that receiving is not delayed for long.
const EVENTS_PER_TURN: usize = 32;
/// Maximum subscriptions or users tried to find one that is free.
const TRIES_MAX: u32 = 64;

/// The load.
#[derive(Debug)]
pub(super) struct Load {
    calls: Option<Pacer>,
    changes: Option<Pacer>,
    refreshes: Option<Pacer>,
    reboots: Option<Pacer>,
    losses: Option<Pacer>,
    /// The next step of each running call.
    steps: Agenda<Step>,
    /// Users in a running call.
    engaged: BTreeSet<UserKey>,
    /// The user that changes next, and the subscription that is refreshed next.
    next_change: u32,
    next_refresh: u32,
    offered: Offered,
}

/// Changes that were due, and the resulting lamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) changes: u64,
    pub(super) lamps: u64,
}

/// The next change of a call.
#[derive(Clone, Copy, Debug)]
struct Step {
    user: UserKey,
    lamp: Lamp,
}

/// The next event of each kind.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Due {
    call: Option<Instant>,
    change: Option<Instant>,
    refresh: Option<Instant>,
    reboot: Option<Instant>,
    loss: Option<Instant>,
}

impl Load {
    /// No load.
    pub(super) const fn idle() -> Self {
        Self {
            calls: None,
            changes: None,
            refreshes: None,
            reboots: None,
            losses: None,
            steps: Agenda::new(),
            engaged: BTreeSet::new(),
            next_change: 0,
            next_refresh: 0,
            offered: Offered {
                changes: 0,
                lamps: 0,
            },
        }
    }

    /// Applies the scenario's rates. If a search found the best rate of changes, changes come at
    /// the scenario's percentage of it, and refreshes are multiplied by the same factor.
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
            losses: pacer(scenario.forget_rate),
            ..Self::idle()
        }
    }

    /// From now on only changes come, at this rate: a step of the search.
    pub(super) fn start_changes(&mut self, rate: f64, now: Instant) {
        self.changes = Some(Pacer::new(rate, Arrival::Even, now));
    }

    /// Stops the load; running calls stay as they are.
    pub(super) fn stop(&mut self) {
        *self = Self {
            next_change: self.next_change,
            next_refresh: self.next_refresh,
            offered: self.offered,
            ..Self::idle()
        };
    }

    /// When an event or a step of a call is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timers = [self.next_event(), self.steps.next()];
        timers.into_iter().flatten().min()
    }

    /// Returns whether no event is due until `end`.
    pub(super) fn is_over(&self, end: Instant) -> bool {
        self.next_event().is_none_or(|next| next > end)
    }

    /// Changes since the last call.
    pub(super) fn take_offered(&mut self) -> Offered {
        std::mem::take(&mut self.offered)
    }

    /// Executes the steps of calls that are due.
    pub(super) fn continue_calls(&mut self, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        while let Some((scheduled, Step { user, lamp })) = self.steps.take(turn.now) {
            endpoints.change(user, lamp, scheduled, turn);
            if lamp == Lamp::Off {
                self.engaged.remove(&user);
            } else {
                let hang_up = Step {
                    user,
                    lamp: Lamp::Off,
                };
                let talk_time = turn.plan.scenario().talk_time;
                self.steps.add(scheduled + talk_time, hang_up);
            }
        }
    }

    /// Executes all events that are due. Nothing is due after `end`.
    pub(super) fn start_events(
        &mut self,
        end: Instant,
        endpoints: &mut Endpoints,
        turn: &mut Turn<'_>,
    ) {
        for _ in 0..EVENTS_PER_TURN {
            let due = self.take_due(turn.now.min(end), turn.random);
            if due == Due::NOTHING {
                return;
            }
            if let Some(scheduled) = due.call {
                self.call(scheduled, endpoints, turn);
            }
            if let Some(scheduled) = due.change {
                self.change_next(scheduled, endpoints, turn);
            }
            if let Some(scheduled) = due.refresh {
                self.refresh_next(scheduled, endpoints, turn);
            }
            if let Some(scheduled) = due.reboot {
                reboot(scheduled, endpoints, turn);
            }
            if let Some(scheduled) = due.loss {
                lose(scheduled, endpoints, turn);
            }
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let all = [
            &self.calls,
            &self.changes,
            &self.refreshes,
            &self.reboots,
            &self.losses,
        ];
        all.into_iter().flatten().filter_map(Pacer::next).min()
    }

    fn take_due(&mut self, now: Instant, random: &mut Random) -> Due {
        let mut take = |pacer: &mut Option<Pacer>| pacer.as_mut()?.take(now, random);
        Due {
            call: take(&mut self.calls),
            change: take(&mut self.changes),
            refresh: take(&mut self.refreshes),
            reboot: take(&mut self.reboots),
            loss: take(&mut self.losses),
        }
    }

    /// Begins a call for a user that has none.
    fn call(&mut self, scheduled: Instant, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        let scenario = turn.plan.scenario();
        let all = scenario.presentities;
        let from = turn.random.below(all);
        let mut tried =
            (0..all.min(TRIES_MAX)).map(|step| UserKey::from_number((from + step) % all));
        let Some(user) = tried.find(|user| !self.engaged.contains(user)) else {
            turn.tally().calls_blocked += 1;
            return;
        };
        self.engaged.insert(user);
        let (first, then, after) = match scenario.feed {
            Feed::Publish => (Lamp::Ringing, Lamp::Busy, scenario.ring_time),
            Feed::Http => (Lamp::Busy, Lamp::Off, scenario.talk_time),
        };
        endpoints.change(user, first, scheduled, turn);
        self.steps.add(scheduled + after, Step { user, lamp: then });
    }

    /// Gives the next user in turn its next state.
    fn change_next(&mut self, scheduled: Instant, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        let scenario = turn.plan.scenario();
        let number = self.next_change % scenario.presentities;
        self.next_change = number + 1;
        let user = UserKey::from_number(number);
        self.offered.changes += 1;
        self.offered.lamps += u64::from(endpoints.watchers(user));
        let lamp = scenario.state_after(endpoints.lamp_wanted(user));
        endpoints.change(user, lamp, scheduled, turn);
    }

    /// Refreshes the next subscription in turn that waits for nothing.
    fn refresh_next(&mut self, scheduled: Instant, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
        let all = turn.plan.scenario().subscriptions();
        for _ in 0..all.min(TRIES_MAX) {
            let number = self.next_refresh % all;
            self.next_refresh = number + 1;
            let key = SubscriptionKey::from_number(number);
            if endpoints.may_refresh(key) {
                return endpoints.refresh(key, scheduled, turn);
            }
        }
        turn.tally().held_back += 1;
    }
}

impl Due {
    const NOTHING: Self = Self {
        call: None,
        change: None,
        refresh: None,
        reboot: None,
        loss: None,
    };
}

/// A phone loses all its subscriptions.
fn reboot(scheduled: Instant, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
    let phone = turn.random.below(turn.plan.scenario().phones);
    turn.tally().reboots += 1;
    for key in turn.plan.subscriptions_of(phone) {
        endpoints.start_anew(key, scheduled, turn);
    }
}

/// A phone loses one subscription.
fn lose(scheduled: Instant, endpoints: &mut Endpoints, turn: &mut Turn<'_>) {
    let number = turn.random.below(turn.plan.scenario().subscriptions());
    turn.tally().forgotten += 1;
    endpoints.start_anew(SubscriptionKey::from_number(number), scheduled, turn);
}
