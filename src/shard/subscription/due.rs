//! When a NOTIFY of a subscription is due, and what delays it: the queue, a 2xx that waits for its
//! record, and three limits. Its phone may limit the rate of one subscription (`max-rate`); a path that
//! is not proven carries one NOTIFY at a time, for which something must be left of the allowance of all
//! such paths; and each phone has a rate limit.
//!
//! Invariant: a NOTIFY that is delayed is queued again when the delay is over, by a timer, a
//! response, the owner's state or the next SUBSCRIBE.

use std::hint::black_box;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::presence::event::WatcherInfo;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{PhoneId, SubscriptionId};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::dialog_entry::DialogEntry;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::pacing::{Admitted, Release};
use crate::shard::subscription::table::Table;
use crate::shard::subscription::up_to_date::LONG;
use crate::shard::subscription::{Phase, Subscription, Wants};

/// Queued subscriptions that are prefetched together: enough to keep all outstanding loads of a
/// core busy, few enough to stay in the first-level cache.
pub(crate) const FETCHED_AT_ONCE: usize = 16;

/// After this time a NOTIFY for which nothing is left of the allowance is tried again.
const ALLOWANCE_PAUSE: Duration = Duration::from_secs(1);

/// What is to be done for a subscription that was taken from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing, or not now.
    Nothing,
    /// A NOTIFY, unless the phone has the state already.
    Notify,
    /// A NOTIFY, once there is a stream to its phone again.
    Unreachable,
    /// It has ended, and its last NOTIFY cannot be sent any more: it is to be removed.
    Removal,
}

/// Whether a NOTIFY with new content may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaySend {
    Now,
    /// Now, if it is short: its path is not proven.
    Short,
    /// Not now: the subscription is queued again.
    Later,
}

// The queue.
impl Table {
    /// Notes that the time is `now`, before a turn.
    #[inline]
    pub(crate) fn tick(&mut self, now: Instant) {
        self.queue.unconfirmed.tick(now);
    }

    /// How many phones lack the current state for longer than
    /// [`STALE_AFTER`](crate::shard::subscription::unconfirmed::STALE_AFTER).
    pub(crate) fn stale(&self) -> u64 {
        self.queue.unconfirmed.stale()
    }

    /// How many changes were told by the NOTIFY that another change had asked for.
    pub(crate) fn coalesced(&self) -> u64 {
        self.queue.coalesced
    }

    /// How many subscriptions are queued.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Touches what the next NOTIFYs of the queue need, so that their cache misses overlap.
    pub(crate) fn fetch_queued(&self) {
        let entries: SmallVec<[&DialogEntry; FETCHED_AT_ONCE]> = self
            .queue
            .first(FETCHED_AT_ONCE)
            .filter_map(|id| self.dialog(self.subscription(id)?.dialog()))
            .collect();
        for entry in entries {
            black_box(self.phones.subscriptions_of(entry.phone()));
            entry.dialog().fetch();
        }
    }

    /// Takes the next subscription from the queue, which may have been removed meanwhile.
    #[inline]
    pub(crate) fn pop_queued(&mut self) -> Option<SubscriptionId> {
        self.queue.pop()
    }

    /// Queues subscriptions that waited elsewhere. One that is already queued finds nothing to send
    /// the second time.
    pub(crate) fn queue_again(&mut self, waiting: &[SubscriptionId]) {
        for id in waiting {
            // It may have been removed while it waited.
            let subscription = self.subscription(*id);
            if let Some(subscription) = subscription.filter(|it| it.is_queued()) {
                self.queue.push(*id, subscription.wants());
            }
        }
    }

    /// Marks that a subscription needs a NOTIFY, and queues it.
    pub(crate) fn want(&mut self, id: SubscriptionId, wants: Wants) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("only a subscription wants a NOTIFY") {
            subscription.want(wants, id, &mut self.queue);
        }
    }

    /// The watchers of a presentity changed, and these of them ended: reports it in the next NOTIFY
    /// of this winfo subscription.
    pub(crate) fn report_watchers_ended(&mut self, id: SubscriptionId, ended: &[WatcherInfo]) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("a topic knows its subscriptions") {
            subscription.watchers_ended(ended, id, &mut self.queue);
        }
    }

    /// Sets the timer to the end of the subscription, of its pause, or of the longest time between
    /// two NOTIFYs, whichever is first.
    pub(crate) fn arm_subscription(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("only a subscription has a timer") {
            subscription.arm(id, turn);
        }
    }

    /// The phone has the state already: no NOTIFY is wanted.
    pub(crate) fn skip_unchanged(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        turn.counters.notifies_suppressed += 1;
        let subscription = self.subscriptions.get_mut(id);
        if let Some(subscription) = subscription.expected("its content was compared") {
            subscription.skip_unchanged(&mut self.queue);
        }
        self.await_report(id, turn);
    }

    /// The NOTIFY of a subscription got its final response. `delivered`: when the NOTIFY was sent, if the phone
    /// accepted it. Returns the subscription.
    pub(crate) fn answered(
        &mut self,
        id: SubscriptionId,
        delivered: Option<Instant>,
    ) -> Option<&mut Subscription> {
        let subscription = self.subscriptions.get_mut(id);
        let subscription = subscription.expected("a removed one leaves its NOTIFY")?;
        subscription.answered();
        if let Some(sent_at) = delivered {
            subscription.delivered(sent_at, &mut self.queue);
        }
        Some(subscription)
    }

    /// After a NOTIFY completed: requests the next one if `min-rate` makes it overdue, otherwise
    /// sets its timer. Most subscriptions ask for no rate.
    pub(crate) fn await_report(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.subscription(id);
        match subscription.and_then(Subscription::report_due) {
            Some(due) if due <= turn.now => self.want(id, Wants::Notify),
            Some(_) => self.arm_subscription(id, turn),
            None => {}
        }
    }
}

// Whether a NOTIFY may be sent.
impl Table {
    /// What is due for a subscription, before its content is known.
    pub(crate) fn due(&self, id: SubscriptionId, now: Instant) -> Due {
        let subscription = self.subscription(id);
        let Some(subscription) = subscription.expected("a NOTIFY is of a subscription") else {
            return Due::Nothing;
        };
        if subscription.wants() == Wants::Nothing
            || subscription.in_flight().is_some()
            || subscription.awaits_acknowledgement()
        {
            return Due::Nothing;
        }
        let entry = self.dialog(subscription.dialog());
        let Some(entry) = entry.expected("a subscription has a dialog") else {
            return Due::Nothing;
        };
        let is_cut = entry.is_cut();
        if is_cut && matches!(subscription.phase(), Phase::Ending(_)) {
            Due::Removal
        } else if subscription.not_before().is_some_and(|at| at > now) {
            Due::Nothing
        } else if is_cut {
            match entry.awaits_stream() {
                true => Due::Nothing,
                false => Due::Unreachable,
            }
        } else {
            Due::Notify
        }
    }

    /// Whether a NOTIFY of a subscription may be sent now. `has_token`: the rate limit of its phone
    /// has released it.
    ///
    /// Once a long list has begun, each part follows the response to the one before: the round trip
    /// limits their rate.
    pub(crate) fn may_send(
        &mut self,
        id: SubscriptionId,
        has_token: bool,
        turn: &mut Turn<'_>,
    ) -> MaySend {
        if !self.may_take_number(id, turn) {
            return MaySend::Later;
        }
        let subscription = self.subscriptions.get_mut(id);
        let Some(subscription) = subscription.expected("a NOTIFY is of a subscription") else {
            return MaySend::Later;
        };
        let entry = self.dialogs.get(subscription.dialog());
        let Some(entry) = entry.expected("a subscription has a dialog") else {
            return MaySend::Later;
        };
        let is_mid_list = subscription.is_multipart() && subscription.is_mid_list();
        if !is_mid_list && let Some(at) = too_soon_until(subscription, turn.now) {
            subscription.pause(at);
            // The phone asked for this.
            subscription.confirmed(&mut self.queue);
            subscription.arm(id, turn);
            self.wait(id, at, turn);
            return MaySend::Later;
        }
        let is_spent = self.paths.is_spent(entry.path, turn);
        let leave = match self.paths.probe_mut(entry.path) {
            None => MaySend::Now,
            Some(probe) if probe.asking.is_none() && is_spent => {
                turn.counters.notifies_withheld += 1;
                subscription.pause(turn.now + ALLOWANCE_PAUSE);
                subscription.arm(id, turn);
                self.fall_behind(id);
                return MaySend::Later;
            }
            Some(probe) if probe.asking.is_none() => MaySend::Short,
            Some(probe) => {
                // Until the outstanding NOTIFY gets a response, or stops being retransmitted.
                probe.waiting.push(id);
                subscription.queued();
                turn.counters.notifies_unproven += 1;
                return MaySend::Later;
            }
        };
        if is_mid_list || has_token {
            return leave;
        }
        let admitted = self.phones.admit(entry.phone, id, turn.now);
        if admitted == Admitted::Now {
            return leave;
        }
        subscription.queued();
        turn.counters.notifies_paced += 1;
        if let Admitted::WaitFirst(at) = admitted {
            turn.wheel.arm(at, Timer::Phone(entry.phone));
        }
        let at = turn.now + self.phones.delay_of(entry.phone);
        self.wait(id, at, turn);
        MaySend::Later
    }

    /// A NOTIFY waits until `at`.
    fn wait(&mut self, id: SubscriptionId, at: Instant, turn: &Turn<'_>) {
        if at.saturating_duration_since(turn.now) > LONG {
            self.fall_behind(id);
        }
    }

    /// The next subscription that waits for its phone, which has a token for it now. None if a
    /// timer brings the next token, or if none waits.
    pub(crate) fn next_paced(
        &mut self,
        phone: PhoneId,
        turn: &mut Turn<'_>,
    ) -> Option<SubscriptionId> {
        loop {
            match self.phones.release(phone, turn.now) {
                Release::Next(id) => {
                    // It may have been removed while it waited.
                    if let Some(subscription) = self.subscription_mut(id) {
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
}

/// Until when the `max-rate` of its SUBSCRIBE delays a NOTIFY of a change (RFC 6446 §5.2).
#[inline]
fn too_soon_until(subscription: &Subscription, now: Instant) -> Option<Instant> {
    let is_change = subscription.wants() == Wants::Change && subscription.phase() == Phase::Active;
    let at = subscription.terms().and_then(Terms::not_before);
    at.filter(|at| is_change && *at > now)
}
