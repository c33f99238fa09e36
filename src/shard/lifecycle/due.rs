//! Handles subscription timers and the rate-limit tokens of phones.

use std::hint::black_box;

use smallvec::SmallVec;

use crate::presence::event::Termination;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{PhoneId, SubscriptionId};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::dialog_entry::DialogEntry;
use crate::shard::subscription::pacing::{Admitted, Release};
use crate::shard::subscription::{Phase, Wants};

/// How many queued subscriptions are prefetched into the cache together: more than a core can have
/// loads in flight, few enough to stay in the first-level cache.
pub(crate) const FETCHED_AT_ONCE: usize = 16;

impl Subscriptions {
    /// Touches the data the next NOTIFYs need, so that their cache misses overlap.
    pub(crate) fn fetch_queued(&self) {
        let queued = self.table.next_queued(FETCHED_AT_ONCE);
        let entries: SmallVec<[&DialogEntry; FETCHED_AT_ONCE]> = queued
            .filter_map(|id| self.table.dialog(self.table.subscription(id)?.dialog()))
            .collect();
        for entry in entries {
            black_box(self.phones.subscriptions_of(entry.phone()));
            entry.dialog().fetch();
        }
    }

    pub(crate) fn take_token(
        &mut self,
        id: SubscriptionId,
        phone: PhoneId,
        turn: &mut Turn<'_>,
    ) -> bool {
        let admitted = self.phones.admit(phone, id, turn.now);
        if admitted == Admitted::Now {
            return true;
        }
        turn.counters.notifies_paced += 1;
        if let Some(subscription) = self.table.subscription_mut(id) {
            subscription.queued();
        }
        if let Admitted::WaitFirst(at) = admitted {
            turn.wheel.arm(at, Timer::Phone(phone));
        }
        false
    }

    /// The next subscription that waits for its phone, which has a token for it now. None if a timer
    /// brings the next token, or if none waits.
    pub(crate) fn next_paced(
        &mut self,
        phone: PhoneId,
        turn: &mut Turn<'_>,
    ) -> Option<SubscriptionId> {
        loop {
            match self.phones.release(phone, turn.now) {
                Release::Next(id) => {
                    // It may have been removed while it waited.
                    if let Some(subscription) = self.table.subscription_mut(id) {
                        subscription.dequeued();
                        return Some(id);
                    }
                }
                Release::Later(at) => {
                    turn.wheel.arm(at, Timer::Phone(phone));
                    return None;
                }
                Release::Empty => return None,
            }
        }
    }

    /// Handles a subscription timer: expiry, end of a pause, or min-rate.
    pub(crate) fn handle_subscription_timer(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription_mut(id);
        let Some(subscription) = subscription.expected("its removal cancels its timer") else {
            return;
        };
        subscription.timer_fired(turn.now);
        let is_due = subscription.report_due().is_some_and(|at| at <= turn.now);
        let is_over = subscription.lives_until(turn.options) <= turn.now;
        if is_over && subscription.phase() == Phase::Active {
            turn.counters.subscriptions_expired += 1;
            self.end_subscription(id, Termination::Timeout, turn);
            self.table.want(id, Wants::Notify);
            return;
        }
        if is_due {
            self.table.want(id, Wants::Notify);
        } else if subscription.wants() > Wants::Nothing {
            self.table.want(id, Wants::Change);
        }
        self.table.arm_subscription(id, turn);
    }

    /// Whether so many NOTIFYs are owed that PUBLISHes wait for them.
    pub(crate) fn is_telling(&self, turn: &Turn<'_>) -> bool {
        self.table.queued() >= turn.options.overload.postpone_at && !self.is_draining
    }
}
