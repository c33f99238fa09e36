//! What becomes of a NOTIFY: sent again, answered, unanswered, cut off (RFC 6665 §4.2.2, RFC 5057;
//! W:A3.6, A3.7).

use std::time::Duration;
use std::time::Instant;

use crate::shard::Shard;
use crate::shard::Timer;
use crate::shard::flow::ConnectionId;
use crate::shard::flow::Flow;
use crate::shard::mark::Mark;
use crate::shard::notify::InFlightId;
use crate::shard::origins::LocalOrigin;
use crate::shard::outbox::Outbox;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Wants;
use crate::shard::table::DialogId;
use crate::shard::table::SubscriptionId;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Method;
use crate::sip::header::list_items;
use crate::sip::header::retry_after;
use crate::sip::message::PlainResponse;
use crate::sip::transaction::client::Due;

/// NOTIFYs in a row that may be refused for reasons of their own before the subscription goes
/// (W:A3.6).
const REFUSALS_MAX: u8 = 5;
/// NOTIFYs in a row that may stay unanswered (W:A3.7).
const STRIKES_MAX: u8 = 2;
/// The shortest pause after a NOTIFY that was refused with Retry-After. It doubles with each refusal
/// in a row, whatever shorter time Retry-After names.
const DELAY_MIN: Duration = Duration::from_secs(1);
/// How often it doubles: up to 64 s.
const DELAY_DOUBLINGS_MAX: u8 = 6;

/// What an answer means for the subscription (W:A3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The phone has it.
    Delivered,
    /// The subscription is over, silently.
    Gone,
    /// Not now, but then.
    Later(Duration),
    /// This one failed; the subscription stays, the phone may show something old.
    Failed,
}

impl Outcome {
    fn of(code: u16, retry_after: Option<Duration>) -> Self {
        match (code, retry_after) {
            (200..=299, _) => Self::Delivered,
            (481, _) => Self::Gone,
            (_, Some(delay)) => Self::Later(delay),
            (403 | 404 | 405 | 410 | 416 | 484 | 485 | 489 | 501 | 604, None) => Self::Gone,
            _ => Self::Failed,
        }
    }
}

impl Shard {
    /// Timer E or F of a NOTIFY.
    pub(crate) fn handle_notify_timer(&mut self, id: InFlightId, now: Instant, out: &mut Outbox) {
        let Some(in_flight) = self.notifier.in_flight.get_mut(id.place()) else {
            return;
        };
        match in_flight.transaction.handle_timeout(now) {
            Some(Due::Retransmit) => {
                in_flight.timer = self
                    .wheel
                    .arm(in_flight.transaction.deadline(), Timer::Notify(id));
                if self.may_retransmit(id) {
                    self.retransmit(id, out);
                }
            }
            Some(Due::TimedOut) => self.handle_silence(id, now, out),
            None => {
                in_flight.timer = self
                    .wheel
                    .arm(in_flight.transaction.deadline(), Timer::Notify(id))
            }
        }
    }

    fn retransmit(&mut self, id: InFlightId, out: &mut Outbox) {
        let Some(in_flight) = self.notifier.in_flight.get(id.place()) else {
            return;
        };
        let start = out.arena.len();
        self.notifier.copies.write(&in_flight.kept, &mut out.arena);
        let head = start..out.arena.len();
        self.counters.notifies_retransmitted += 1;
        self.transmit(in_flight.flow, head, 0..0, out);
    }

    /// Nobody answered within 32 s: one strike, then a pause; at the second the phone counts as
    /// gone (W:A3.7). An address that never answered anything gets no second try.
    fn handle_silence(&mut self, id: InFlightId, now: Instant, out: &mut Outbox) {
        self.counters.notifies_unanswered += 1;
        let in_flight = self.notifier.in_flight.get(id.place());
        let unproven = in_flight
            .and_then(|in_flight| in_flight.probed)
            .filter(|way| !self.is_path_proven(*way));
        if let Some(way) = unproven {
            self.give_up_path(way, now, out);
        }
        let Some(ended) = self
            .end_notify(id)
            .and_then(|in_flight| in_flight.subscription)
        else {
            return;
        };
        let not_before = now + self.options.probation;
        let Some(subscription) = self.table.subscriptions.get_mut(ended.0 as usize) else {
            return;
        };
        subscription.in_flight = None;
        subscription.forget_shown();
        subscription.strikes += 1;
        let entry = self.table.dialogs.get(subscription.dialog.0 as usize);
        let strikes_max = entry.and_then(|entry| entry.profile.strikes);
        let is_gone = subscription.strikes >= strikes_max.unwrap_or(STRIKES_MAX);
        if is_gone || unproven.is_some() {
            self.counters.subscriptions_unanswered += 1;
            self.remove_subscription(ended, now, out);
        } else if matches!(subscription.phase, Phase::Ending(_))
            || subscription.wants == Wants::Notify
        {
            // A SUBSCRIBE came meanwhile, or the end: that is owed at once.
            self.want(ended, Wants::Notify);
        } else {
            subscription.not_before = Some(not_before);
            subscription.wants = Wants::Notify;
            self.arm_subscription(ended);
        }
    }

    /// A response: to a NOTIFY of ours, or to nothing (W:A4.7, E3.15).
    pub(crate) fn handle_response(
        &mut self,
        message: &Message<'_>,
        code: u16,
        flow: &Flow,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(id) = self.match_response(message, flow) else {
            self.counters.responses_unmatched += 1;
            return;
        };
        if code < 200 {
            if let Some(in_flight) = self.notifier.in_flight.get_mut(id.place()) {
                in_flight.transaction.handle_provisional();
                if let Some(way) = in_flight.probed {
                    self.prove_path(way);
                }
            }
            return;
        }
        let Some(in_flight) = self.end_answered(id) else {
            return;
        };
        self.wheel.cancel(in_flight.timer);
        let delay = message.header(HeaderName::RetryAfter).and_then(retry_after);
        let outcome = Outcome::of(code, delay);
        if outcome == Outcome::Delivered {
            self.counters.notifies_confirmed += 1;
        } else {
            self.counters.notifies_refused += 1;
        }
        if let Some(subscription) = in_flight.subscription {
            self.settle(subscription, outcome, Some(message), now, out);
        }
    }

    /// A plain 200 to a NOTIFY of ours; false when it is to something else.
    pub(crate) fn handle_answer(
        &mut self,
        answer: &PlainResponse<'_>,
        flow: &Flow,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let found = self
            .find_notify(answer.branch, answer.sequence, flow)
            .filter(|(_, origin)| origin.sent_by() == answer.sent_by);
        let Some(in_flight) = found.map(|(id, _)| id).and_then(|id| self.end_answered(id)) else {
            return false;
        };
        self.counters.messages_received += 1;
        self.counters.notifies_confirmed += 1;
        self.wheel.cancel(in_flight.timer);
        if let Some(subscription) = in_flight.subscription {
            self.settle(subscription, Outcome::Delivered, None, now, out);
        }
        true
    }

    /// The NOTIFY with that branch and CSeq, under way to where an answer comes from, and who we
    /// are in its Via.
    fn find_notify(
        &self,
        branch: &[u8],
        sequence: u32,
        flow: &Flow,
    ) -> Option<(InFlightId, &LocalOrigin)> {
        let id = InFlightId::at(Mark::index_in(branch)?);
        let in_flight = self.notifier.in_flight.get(id.place())?;
        let is_it = in_flight.sequence == sequence
            && in_flight.mark.is_in(branch)
            && in_flight.flow.peer.ip() == flow.peer.ip();
        if !is_it {
            return None;
        }
        Some((id, self.origins.known(&in_flight.flow)?))
    }

    /// The NOTIFY that a response answers: its one Via and its CSeq say which (RFC 3261 §17.1.3), and
    /// nothing else of it need be readable. Between a phone and us are gateways that repeat headers or
    /// cut bodies; a response that they spoilt still says that the phone has the state.
    fn match_response(&self, message: &Message<'_>, flow: &Flow) -> Option<InFlightId> {
        let vias = message.headers(HeaderName::Via).flat_map(list_items);
        if vias.count() != 1 {
            return None;
        }
        let (via, cseq) = (message.via()?, message.cseq()?);
        let (id, origin) = self.find_notify(via.branch?, cseq.number, flow)?;
        let is_ours = cseq.method == Method::Notify && origin.is_sent_by(via.host, via.port);
        is_ours.then_some(id)
    }

    fn settle(
        &mut self,
        id: SubscriptionId,
        outcome: Outcome,
        message: Option<&Message<'_>>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) else {
            return;
        };
        subscription.in_flight = None;
        subscription.strikes = 0;
        match outcome {
            Outcome::Delivered => {
                subscription.refusals = 0;
                subscription.delays = 0;
                let dialog = subscription.dialog;
                if let Some(message) = message
                    && self.take_target_of_response(dialog, message)
                {
                    self.wake_siblings(dialog, id);
                }
            }
            Outcome::Gone => {
                self.counters.subscriptions_rejected += 1;
                return self.remove_subscription(id, now, out);
            }
            Outcome::Later(delay) => {
                subscription.forget_shown();
                let doublings = subscription.delays.min(DELAY_DOUBLINGS_MAX);
                subscription.delays = doublings + 1;
                let delay_min = DELAY_MIN * (1 << doublings);
                subscription.not_before = Some(now + delay.max(delay_min));
                subscription.wants = Wants::Notify;
                self.arm_subscription(id);
            }
            Outcome::Failed => {
                subscription.forget_shown();
                subscription.refusals += 1;
                if subscription.refusals >= REFUSALS_MAX {
                    self.counters.subscriptions_rejected += 1;
                    return self.remove_subscription(id, now, out);
                }
            }
        }
        if self
            .table
            .subscription(id)
            .is_some_and(|subscription| subscription.wants > Wants::Nothing)
        {
            self.want(id, Wants::Change);
        } else {
            self.await_report(id, now);
        }
    }

    /// A stream ended: what is under way on it is lost, what is owed waits for the next SUBSCRIBE
    /// (W:A6.8).
    pub(crate) fn handle_closed(
        &mut self,
        connection: ConnectionId,
        now: Instant,
        out: &mut Outbox,
    ) {
        for id in self.table.cut(connection) {
            let usages = self
                .table
                .dialog(id)
                .map(|entry| entry.subscriptions.clone())
                .unwrap_or_default();
            for usage in usages {
                self.cut_subscription(usage, now, out);
            }
        }
    }

    /// The phone came by another way: what is under way on the old one would be repeated into the
    /// void until Timer F, and hold up everything newer. The newest state goes by the new way
    /// instead.
    pub(crate) fn abandon_notifies(&mut self, id: DialogId) {
        let entry = self.table.dialog(id);
        let usages = entry.map(|entry| entry.subscriptions.clone());
        let usages = usages.unwrap_or_default();
        for usage in &usages {
            self.abandon_notify(*usage);
        }
        // What waited for the proof of the old path waits no longer.
        self.queue_again(&usages);
    }

    /// The NOTIFY under way is given up; the phone may not have it, so another is owed.
    fn abandon_notify(&mut self, id: SubscriptionId) {
        let subscription = self.table.subscription_mut(id);
        let in_flight = subscription.and_then(|subscription| subscription.in_flight.take());
        let Some(lost) = in_flight.and_then(|in_flight| self.end_notify(in_flight)) else {
            return;
        };
        self.wheel.cancel(lost.timer);
        if let Some(subscription) = self.table.subscription_mut(id) {
            subscription.forget_shown();
            subscription.wants = Wants::Notify;
        }
    }

    fn cut_subscription(&mut self, id: SubscriptionId, now: Instant, out: &mut Outbox) {
        self.abandon_notify(id);
        let Some(subscription) = self.table.subscription_mut(id) else {
            return;
        };
        subscription.forget_shown();
        if matches!(subscription.phase, Phase::Ending(_)) {
            self.remove_subscription(id, now, out);
        }
    }
}
