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

/// Progress of a re-evaluation, as positions in the tables. It ends at the table sizes of its
/// beginning; later entries know the new rules already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reevaluation {
    presentity: u32,
    presentities: u32,
    subscription: u32,
    subscriptions: u32,
}

impl Reevaluation {
    /// Whether it is complete.
    pub(crate) fn is_over(self) -> bool {
        self.presentity >= self.presentities && self.subscription >= self.subscriptions
    }
}

impl Engine {
    /// The configuration changed: forgets refusals and begins a re-evaluation.
    pub(crate) fn take_directory(&mut self, turn: &mut Turn<'_>) {
        self.uas.forget_refusals();
        self.begin_reevaluation(turn);
    }

    /// Keeps the directory that was in force until now, for as long as a phone may show what it said.
    pub(crate) fn supersede(&mut self, directory: Arc<Directory>) {
        self.superseded.push(directory);
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
        self.reevaluation = Reevaluation {
            presentity: 0,
            presentities: self.compositor.places(),
            subscription: 0,
            subscriptions: self.subscriptions.end(),
        };
    }

    /// Re-evaluates the next batch.
    pub(crate) fn continue_reevaluation(&mut self, turn: &mut Turn<'_>) {
        if self.reevaluation.is_over() {
            self.superseded.clear();
            return;
        }
        let mut left = REEVALUATED_PER_TURN;
        while left > 0 && self.reevaluation.presentity < self.reevaluation.presentities {
            self.compositor
                .reevaluate_presentity(PresentityId(self.reevaluation.presentity), turn);
            self.reevaluation.presentity += 1;
            left -= 1;
        }
        while left > 0 && self.reevaluation.subscription < self.reevaluation.subscriptions {
            let id = SubscriptionId(self.reevaluation.subscription);
            let cost = self.subscriptions.reevaluate_subscription(id, turn);
            self.subscriptions
                .note_rules_changed(id, &self.superseded, turn);
            self.reevaluation.subscription += 1;
            left = left.saturating_sub(cost);
        }
        if self.reevaluation.is_over() {
            self.superseded.clear();
        }
    }
}
