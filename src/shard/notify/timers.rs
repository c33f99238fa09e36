//! NOTIFY transaction timers: retransmission (Timer E) and timeout (Timer F) (RFC 3261 §17.1.2.2).

use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::InFlightId;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::notify::response::STRIKES_MAX;
use crate::shard::subscription::{Phase, Wants};
use crate::sip::transaction::client::Due;

impl Notifier {
    /// Handles Timer E or F of a NOTIFY.
    pub(crate) fn handle_notify_timer(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let in_flight = self.in_flight.get_mut(id);
        let Some(in_flight) = in_flight.expected("the end of a NOTIFY cancels its timer") else {
            return;
        };
        if in_flight.detour.is_some() {
            return self.give_up_detour(id, subscriptions, turn);
        }
        match in_flight.transaction.handle_timeout(turn.now) {
            Some(Due::Retransmit) => {
                in_flight.timer = turn
                    .wheel
                    .arm(in_flight.transaction.deadline(), Timer::Notify(id));
                if self.may_retransmit(id, subscriptions, turn) {
                    self.retransmit(id, turn);
                }
            }
            Some(Due::TimedOut) => self.handle_silence(id, subscriptions, turn),
            None => {
                in_flight.timer = turn
                    .wheel
                    .arm(in_flight.transaction.deadline(), Timer::Notify(id))
            }
        }
    }

    fn retransmit(&mut self, id: InFlightId, turn: &mut Turn<'_>) {
        let in_flight = self.in_flight.get(id);
        let Some(in_flight) = in_flight.expected("its timer fired") else {
            return;
        };
        let head = self.copies.write(&in_flight.kept, &mut turn.out.arena);
        turn.counters.notifies_retransmitted += 1;
        turn.transmit(in_flight.flow, head, 0..0);
    }

    /// Timer F: no final response within 32 s. After the first timeout the NOTIFY is retried
    /// following a pause; after the second, or on an unproven path, the subscription is removed
    /// (W:A3.7).
    fn handle_silence(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        turn.counters.notifies_unanswered += 1;
        let unanswered = self.in_flight.get(id).and_then(|it| it.subscription);
        self.count_outcome(unanswered, None, subscriptions);
        let in_flight = self.in_flight.get(id);
        let unproven = in_flight
            .expected("its timer fired")
            .and_then(|in_flight| in_flight.held_path)
            .filter(|path| !subscriptions.table().is_path_proven(*path));
        if let Some(path) = unproven {
            self.give_up_path(path, subscriptions, turn);
        }
        let Some(ended) = self
            .end_notify(id, subscriptions)
            .and_then(|in_flight| in_flight.subscription)
        else {
            // It was the last NOTIFY of a subscription that is removed already.
            return;
        };
        let not_before = turn.now + turn.options.probation;
        let recipient = subscriptions.table_mut().recipient(ended);
        let Some(recipient) = recipient.expected("a removed one leaves its NOTIFY") else {
            return;
        };
        let subscription = recipient.subscription;
        let strikes = subscription.timed_out();
        let strikes_max = recipient.dialog.profile().strikes;
        let is_gone = strikes >= strikes_max.unwrap_or(STRIKES_MAX);
        if is_gone || unproven.is_some() {
            turn.counters.subscriptions_unanswered += 1;
            return self.remove_subscription(ended, subscriptions, turn);
        }
        if matches!(subscription.phase(), Phase::Ending(_)) || subscription.wants() == Wants::Notify
        {
            // A SUBSCRIBE arrived in the meantime, or the subscription is ending: its NOTIFY is
            // sent without a pause.
            subscriptions.table_mut().want(ended, Wants::Notify);
        } else {
            subscription.retry_at(not_before);
            subscriptions.table_mut().arm_subscription(ended, turn);
        }
        subscriptions.table_mut().fall_behind(ended);
    }
}
