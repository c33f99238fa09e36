//! Responses to NOTIFY (RFC 6665 §4.2.2, RFC 5057; W:A3.7).

use std::time::{Duration, Instant};

use crate::shard::container::slab::Key;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{InFlightId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::peer::local_address::LocalAddress;
use crate::shard::peer::routing_token::RoutingToken;
use crate::shard::subscription::Wants;
use crate::sip::header::{list_items, retry_after};
use crate::sip::message::PlainResponse;
use crate::sip::{HeaderName, Message, Method};

/// The subscription is removed at this many consecutive NOTIFYs rejected with an error that concerns
/// only the NOTIFY (RFC 6665 §4.2.2, RFC 5057).
const REFUSALS_MAX: u8 = 5;

/// The subscription is removed at this many consecutive NOTIFYs that got no final response
/// (W:A3.7).
pub(crate) const STRIKES_MAX: u8 = 2;

/// The shortest pause after a NOTIFY that was refused with Retry-After. It doubles with each
/// consecutive rejection, even if Retry-After is shorter.
const DELAY_MIN: Duration = Duration::from_secs(1);

/// Maximum number of doublings (64 s).
const DELAY_DOUBLINGS_MAX: u8 = 6;

/// The effect of a final response on the subscription (RFC 6665 §4.2.2, RFC 5057).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 2xx: delivered.
    Delivered,
    /// 481 or another fatal error: the subscription is removed without a NOTIFY.
    Gone,
    /// Retry-After: retry after this time.
    Later(Duration),
    /// Only this NOTIFY failed; the subscription continues.
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

impl Notifier {
    /// A response to a NOTIFY of ours; false if it belongs to another request (RFC 3261 §17.1.3, §18.1.2,
    /// §8.1.3.3).
    pub(crate) fn handle_response(
        &mut self,
        message: &Message<'_>,
        code: u16,
        flow: &Flow,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(id) = self.match_response(message, flow, turn.options.shards) else {
            return false;
        };
        if code < 200 {
            let in_flight = self.in_flight.get_mut(id);
            if let Some(in_flight) = in_flight.expected("the response was matched to it") {
                in_flight.transaction.handle_provisional();
                if let Some(path) = in_flight.held_path {
                    subscriptions.table_mut().prove_path(path, turn);
                }
            }
            return true;
        }
        let refused = self.in_flight.get(id).filter(|_| code == 503);
        if let Some((connection, refused)) = refused.map(|it| (it.flow.connection, it.subscription))
            && self.leave_for_next_address(connection, subscriptions, turn)
        {
            turn.counters.notifies_refused += 1;
            self.count_outcome(refused, Some(code), subscriptions);
            return true;
        }
        let Some(in_flight) = self.end_answered(id, subscriptions, turn) else {
            return true;
        };
        turn.wheel.cancel(in_flight.timer);
        let delay = message.header(HeaderName::RetryAfter).and_then(retry_after);
        let outcome = Outcome::of(code, delay);
        if outcome == Outcome::Delivered {
            turn.counters.notifies_confirmed += 1;
        } else {
            turn.counters.notifies_refused += 1;
        }
        self.count_outcome(in_flight.subscription, Some(code), subscriptions);
        if let Some(subscription) = in_flight.subscription {
            let notify = (subscription, in_flight.transaction.started());
            self.settle(notify, outcome, Some(message), subscriptions, turn);
        }
        true
    }

    /// Fast path for a minimal 200 to a NOTIFY. Returns false if it matches none.
    pub(crate) fn handle_plain_response(
        &mut self,
        response: &PlainResponse<'_>,
        flow: &Flow,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let found = self
            .find_notify(
                response.branch,
                response.sequence,
                flow,
                turn.options.shards,
            )
            .filter(|(_, local)| local.sent_by() == response.sent_by);
        let Some(in_flight) = found
            .map(|(id, _)| id)
            .and_then(|id| self.end_answered(id, subscriptions, turn))
        else {
            return false;
        };
        turn.counters.count_received(flow.transport);
        turn.counters.notifies_confirmed += 1;
        turn.wheel.cancel(in_flight.timer);
        self.count_outcome(in_flight.subscription, Some(200), subscriptions);
        if let Some(subscription) = in_flight.subscription {
            let notify = (subscription, in_flight.transaction.started());
            self.settle(notify, Outcome::Delivered, None, subscriptions, turn);
        }
        true
    }

    /// The outstanding NOTIFY with this branch and CSeq, sent to the address the response came
    /// from, and our address in its Via.
    fn find_notify(
        &self,
        branch: &[u8],
        sequence: u32,
        flow: &Flow,
        shards: u16,
    ) -> Option<(InFlightId, &LocalAddress)> {
        let place = RoutingToken::place_in(branch)?;
        let id = InFlightId::from_index(place.index(shards));
        let in_flight = self.in_flight.get(id)?;
        let is_it = in_flight.sequence == sequence
            && in_flight.token.is_in(branch)
            && in_flight.flow.peer.ip() == flow.peer.ip();
        if !is_it {
            return None;
        }
        // None if the table of local addresses was full, and was cleared since.
        Some((id, self.local_addresses.known(&in_flight.flow)?))
    }

    /// The NOTIFY of a response: matched by its single Via and CSeq; the rest may be
    /// malformed, because gateways duplicate headers or truncate bodies, and such a response still
    /// confirms delivery.
    fn match_response(
        &self,
        message: &Message<'_>,
        flow: &Flow,
        shards: u16,
    ) -> Option<InFlightId> {
        let vias = message.headers(HeaderName::Via).flat_map(list_items);
        if vias.count() != 1 {
            return None;
        }
        let (via, cseq) = (message.via()?, message.cseq()?);
        let (id, local) = self.find_notify(via.branch?, cseq.number, flow, shards)?;
        let is_ours = cseq.method == Method::Notify && local.is_sent_by(via.host, via.port);
        is_ours.then_some(id)
    }

    /// A NOTIFY that was sent at `sent_at` got its final response.
    fn settle(
        &mut self,
        (id, sent_at): (SubscriptionId, Instant),
        outcome: Outcome,
        message: Option<&Message<'_>>,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let delivered = (outcome == Outcome::Delivered).then_some(sent_at);
        let Some(subscription) = subscriptions.table_mut().answered(id, delivered) else {
            return;
        };
        match outcome {
            Outcome::Delivered => {
                let dialog = subscription.dialog();
                if let Some(message) = message
                    && self.take_target_of_response(dialog, message, subscriptions, turn)
                {
                    subscriptions.table_mut().wake_siblings(dialog, id);
                }
            }
            Outcome::Gone => {
                turn.counters.subscriptions_rejected += 1;
                return self.remove_subscription(id, subscriptions, turn);
            }
            Outcome::Later(delay) => {
                let delay_min = |doublings: u8| DELAY_MIN * (1 << doublings);
                subscription.delayed(DELAY_DOUBLINGS_MAX, |doublings| {
                    turn.now + delay.max(delay_min(doublings))
                });
                subscriptions.table_mut().arm_subscription(id, turn);
                subscriptions.table_mut().fall_behind(id);
            }
            Outcome::Failed => {
                if subscription.refused() >= REFUSALS_MAX {
                    turn.counters.subscriptions_rejected += 1;
                    return self.remove_subscription(id, subscriptions, turn);
                }
                subscriptions.table_mut().fall_behind(id);
            }
        }
        if subscriptions
            .table()
            .subscription(id)
            .expected("its NOTIFY was answered")
            .is_some_and(|subscription| subscription.wants() > Wants::Nothing)
        {
            subscriptions.table_mut().want(id, Wants::Change);
        } else {
            subscriptions.table_mut().await_report(id, turn);
        }
    }
}
