//! Limits for NOTIFYs on an unvalidated path: one at a time, short, few retransmissions.

use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{InFlightId, PathId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::notify::content::{Content, Written};
use crate::shard::notify::{InFlight, Notifier};

/// Retransmissions of a NOTIFY over a path that is not proven.
pub(crate) const RETRANSMISSIONS_MAX: u8 = 3;

/// Octets of the longest body over a path that is not proven.
const BODY_OCTETS_MAX: usize = 1400;

impl Notifier {
    /// Writes the body of a NOTIFY, unless it is too long for a path that is not proven: then it is
    /// withheld, and all of it follows once the path is proven.
    pub(crate) fn write_body_for_path(
        &mut self,
        id: SubscriptionId,
        content: &mut Content,
        path: PathId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Written> {
        if subscriptions.table().is_path_proven(path) {
            return self.write_body(id, content, subscriptions, turn);
        }
        // Writing a list marks its resources as sent, so an oversized list must not be written at
        // all.
        let is_long_list =
            matches!(content, Content::Resources) && self.selection.octets() > BODY_OCTETS_MAX;
        if !is_long_list {
            // None if the NOTIFY has no body.
            let body = self.write_body(id, content, subscriptions, turn)?;
            if self.prolog.len() + body.octets.len() <= BODY_OCTETS_MAX {
                return Some(body);
            }
            let subscription = subscriptions.table_mut().subscription_mut(id);
            subscription
                .expected("a NOTIFY is of a subscription")?
                .forget_shown();
        }
        self.prolog.clear();
        *content = Content::Withheld;
        None
    }

    /// Whether a NOTIFY that is not answered yet may be sent once more.
    pub(crate) fn may_retransmit(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
    ) -> bool {
        let in_flight = self.in_flight.get(id.index());
        let Some(in_flight) = in_flight.expected("its timer fired") else {
            return false;
        };
        let sent_again = in_flight.transaction.retransmissions();
        let unproven = in_flight
            .probed
            .filter(|path| !subscriptions.table().is_path_proven(*path));
        let Some(path) = unproven.filter(|_| sent_again > RETRANSMISSIONS_MAX) else {
            return true;
        };
        subscriptions.table_mut().end_turn(id, path);
        false
    }

    /// Ends a NOTIFY that got a final response, and validates its path.
    pub(crate) fn end_answered(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
    ) -> Option<InFlight> {
        let in_flight = self.in_flight.get(id.index());
        let probed = in_flight.expected("the response was matched to it")?.probed;
        if let Some(path) = probed {
            subscriptions.table_mut().prove_path(path);
        }
        self.end_notify(id, subscriptions)
    }

    /// Ends a NOTIFY transaction and its probe of the path.
    pub(crate) fn end_notify(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
    ) -> Option<InFlight> {
        let in_flight = self.end(id)?;
        if let Some(path) = in_flight.probed {
            subscriptions.table_mut().end_probe(id, path);
        }
        Some(in_flight)
    }

    /// A NOTIFY over a path that is not proven was not answered in time: what waited for its answer
    /// goes with it.
    pub(crate) fn give_up_path(
        &mut self,
        path: PathId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        for id in subscriptions.table_mut().take_waiting(path) {
            // The id may be another subscription's by now.
            if subscriptions.table().uses_path(id, path) {
                turn.counters.subscriptions_unanswered += 1;
                self.remove_subscription(id, subscriptions, turn);
            }
        }
    }
}
