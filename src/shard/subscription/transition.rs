//! How a subscription changes: it is renewed, a NOTIFY is delivered or fails, it pauses, it ends.
//! Other rooms change the life of a subscription by these and by nothing else: a durable record of
//! it is to be made here.

use std::time::Instant;

use crate::presence::event::Termination;
use crate::presence::policy::Decision;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::ids::InFlightId;
use crate::shard::subscription::{Phase, Subscription, Wants};

impl Subscription {
    /// A SUBSCRIBE renews it until `expires_at`. True if it had ended, but its last NOTIFY had not
    /// left yet: such a refresh is late, not too late.
    pub(crate) fn renew(&mut self, expires_at: Instant) -> bool {
        let before = std::mem::replace(&mut self.phase, Phase::Active);
        self.expires_at = expires_at;
        self.strikes = 0;
        self.refusals = 0;
        self.not_before = None;
        before != Phase::Active
    }

    /// It ends: one last NOTIFY, which nothing delays. Returns its timer, to be cancelled.
    pub(crate) fn end(&mut self, reason: Termination) -> Option<TimerHandle> {
        self.phase = Phase::Ending(reason);
        self.not_before = None;
        self.timer.take()
    }

    /// The rules decide about it; the decision before.
    pub(crate) fn decide(&mut self, decision: Decision) -> Decision {
        self.view.privacy = decision.privacy;
        std::mem::replace(&mut self.decision, decision)
    }

    /// A NOTIFY was sent. If its state was withheld from an unproven path, or a list has more to
    /// tell, another one is wanted.
    pub(crate) fn sent(&mut self, in_flight: InFlightId, is_withheld: bool, now: Instant) {
        debug_assert!(self.in_flight.is_none(), "one NOTIFY at a time");
        self.in_flight = Some(in_flight);
        self.wants = self.subject.sent(is_withheld);
        self.version += 1;
        self.count_sent(now);
    }

    /// The phone was shown the state with this hash.
    pub(crate) fn showed(&mut self, hash: u64) {
        self.shown = hash;
    }

    /// The state that a NOTIFY is wanted for is what the phone was shown last.
    pub(crate) fn told_already(&mut self) {
        self.wants = Wants::Nothing;
    }

    /// Its NOTIFY was answered, whatever the response.
    pub(crate) fn answered(&mut self) {
        self.in_flight = None;
        self.strikes = 0;
    }

    /// The phone accepted a NOTIFY.
    pub(crate) fn delivered(&mut self) {
        self.refusals = 0;
        self.delays = 0;
        self.subject.delivered();
    }

    /// The phone put a NOTIFY off, for the time that `pause` makes of the number of such responses in
    /// a row, `doublings_max` at most.
    pub(crate) fn delayed(&mut self, doublings_max: u8, pause: impl FnOnce(u8) -> Instant) {
        let doublings = self.delays.min(doublings_max);
        self.delays = doublings + 1;
        self.forget_shown();
        self.retry_at(pause(doublings));
    }

    /// The phone refused a NOTIFY; how many in a row.
    pub(crate) fn refused(&mut self) -> u8 {
        self.forget_shown();
        self.refusals += 1;
        self.refusals
    }

    /// The phone did not answer a NOTIFY; how many in a row.
    pub(crate) fn timed_out(&mut self) -> u8 {
        self.in_flight = None;
        self.forget_shown();
        self.strikes += 1;
        self.strikes
    }

    /// The NOTIFY under way is given up, and the phone may not have it.
    pub(crate) fn take_in_flight(&mut self) -> Option<InFlightId> {
        self.in_flight.take()
    }

    /// Everything is owed again.
    pub(crate) fn owe_all(&mut self) {
        self.forget_shown();
        self.wants = Wants::Notify;
    }

    /// A NOTIFY is tried at `at`, not before.
    pub(crate) fn retry_at(&mut self, at: Instant) {
        self.not_before = Some(at);
        self.wants = Wants::Notify;
    }

    /// No NOTIFY before `at`.
    pub(crate) fn pause(&mut self, at: Instant) {
        self.not_before = Some(at);
    }

    /// A NOTIFY may be sent again.
    pub(crate) fn resume(&mut self) {
        self.not_before = None;
    }

    /// Its timer fired: a pause that is over ends.
    pub(crate) fn timer_fired(&mut self, now: Instant) {
        self.timer = None;
        self.not_before = self.not_before.filter(|at| *at > now);
    }

    /// It waits in the queue of the table or of its phone.
    pub(crate) fn queued(&mut self) {
        self.is_queued = true;
    }

    /// It was taken from that queue.
    pub(crate) fn dequeued(&mut self) {
        self.is_queued = false;
    }
}
