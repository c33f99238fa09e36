//! Re-evaluation of subscriptions and presentities after a change of the configuration or the
//! rules, in batches, so that a million subscriptions do not delay other work (RFC 5025 §3: within
//! a second).

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Directory;
use crate::shard::conduct::Engine;
use crate::shard::contract::ids::{PresentityId, SubscriptionId};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;

/// Subscriptions, list resources and presentities re-evaluated per turn.
const REEVALUATED_PER_TURN: usize = 2_000;

/// Progress of a re-evaluation. A change meanwhile has it go on from where it is, round the tables, and end
/// there: changes that follow each other without a pause must not keep it at the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reevaluation {
    presentities: Round,
    subscriptions: Round,
    /// Subscriptions re-evaluated since the start.
    subscriptions_done: u64,
}

/// The way round a table. It leaves out entries that are added meanwhile: those know the new rules already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Round {
    next: u32,
    /// The size of the table when the round began.
    end: u32,
    left: u32,
}

impl Round {
    /// Begins a round at the place that is next.
    fn begin(&mut self, end: u32) {
        self.next = if self.next < end { self.next } else { 0 };
        (self.end, self.left) = (end, end);
    }

    /// The next place; None at the end of the round.
    fn step(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let place = self.next;
        self.next = if place + 1 < self.end { place + 1 } else { 0 };
        Some(place)
    }
}

/// A directory that is no longer in force.
#[derive(Debug)]
pub(crate) struct Superseded {
    directory: Arc<Directory>,
    /// After that many subscriptions since the start, no phone shows any more what it said.
    until: u64,
}

impl Reevaluation {
    /// Whether it is complete.
    pub(crate) fn is_over(self) -> bool {
        self.presentities.left == 0 && self.subscriptions.left == 0
    }
}

impl Engine {
    /// The configuration changed: forgets refusals and begins a re-evaluation.
    pub(crate) fn take_directory(&mut self, turn: &mut Turn<'_>) {
        self.uas.forget_refusals();
        if self.has_other_servers || turn.directory.has_other_servers() {
            self.take_other_servers(turn);
        }
        self.begin_reevaluation(turn);
    }

    /// Keeps the directory that was in force until now, for as long as a phone may show what it said.
    pub(crate) fn supersede(&mut self, directory: Arc<Directory>) {
        let places = u64::from(self.subscriptions.end());
        let until = self.reevaluation.subscriptions_done + places;
        self.superseded.push(Superseded { directory, until });
        self.subscriptions.directory_changed();
    }

    /// Begins a re-evaluation now, and schedules the next one for when the validity of a rule
    /// begins or ends (RFC 4745 §7.3).
    pub(crate) fn begin_reevaluation(&mut self, turn: &mut Turn<'_>) {
        if let Some(timer) = self.reevaluation_timer.take() {
            turn.wheel.cancel(timer);
        }
        let at = turn.wall_clock();
        if let Some(change) = turn.directory.next_rule_change(at) {
            let when = turn.now + Duration::from_secs(change - at);
            self.reevaluation_timer = Some(turn.wheel.arm(when, Timer::Reevaluate));
        }
        self.subscriptions.reevaluate_waiting(turn);
        self.reevaluate_presentities();
        self.reevaluation
            .subscriptions
            .begin(self.subscriptions.end());
    }

    /// Begins a re-evaluation of presentities alone.
    pub(crate) fn reevaluate_presentities(&mut self) {
        let places = self.compositor.places();
        self.reevaluation.presentities.begin(places);
    }

    /// Re-evaluates the next batch, half of it presentities while there are any.
    pub(crate) fn continue_reevaluation(&mut self, turn: &mut Turn<'_>) {
        if self.reevaluation.is_over() {
            self.superseded.clear();
            return;
        }
        let mut left = REEVALUATED_PER_TURN;
        while left > REEVALUATED_PER_TURN / 2
            && let Some(place) = self.reevaluation.presentities.step()
        {
            let id = PresentityId(place);
            self.compositor.reevaluate_presentity(id, turn);
            self.settle_relayed(id, turn);
            left -= 1;
        }
        while left > 0
            && let Some(place) = self.reevaluation.subscriptions.step()
        {
            let id = SubscriptionId(place);
            let cost = self.subscriptions.reevaluate_subscription(id, turn);
            let superseded = self.superseded.iter().map(|it| &*it.directory);
            self.subscriptions.note_rules_changed(id, superseded, turn);
            self.reevaluation.subscriptions_done += 1;
            left = left.saturating_sub(cost);
        }
        let done = self.reevaluation.subscriptions_done;
        self.superseded.retain(|it| it.until > done);
        if self.reevaluation.is_over() {
            self.superseded.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_begins_anew_goes_on_and_visits_all() {
        let mut round = Round::default();
        assert_eq!(round.step(), None);
        round.begin(4);
        assert_eq!([round.step(), round.step()], [Some(0), Some(1)]);
        round.begin(5);
        let rest: Vec<u32> = std::iter::from_fn(|| round.step()).collect();
        assert_eq!(rest, [2, 3, 4, 0, 1]);
        round.begin(2);
        let shrunk: Vec<u32> = std::iter::from_fn(|| round.step()).collect();
        assert_eq!(shrunk, [0, 1]);
    }
}
