//! Limits for NOTIFYs on an unproven path: one at a time, short, few retransmissions, and none that the
//! allowance does not cover.

use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{InFlightId, PathId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::{InFlight, Notifier};

/// Retransmissions of a NOTIFY over a path that is not proven.
pub(crate) const RETRANSMISSIONS_MAX: u8 = 3;

impl Notifier {
    /// Whether a NOTIFY without a response may be retransmitted once more.
    pub(crate) fn may_retransmit(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let in_flight = self.in_flight.get(id);
        let Some(in_flight) = in_flight.expected("its timer fired") else {
            return false;
        };
        let unproven = in_flight
            .held_path
            .filter(|path| !subscriptions.table().is_path_proven(*path));
        let Some(path) = unproven else {
            return true;
        };
        if in_flight.transaction.retransmissions() > RETRANSMISSIONS_MAX {
            subscriptions.table_mut().end_probe(id, path);
            return false;
        }
        let octets = self.copies.octets_of(&in_flight.kept);
        let is_lent = subscriptions.table_mut().lend(path, octets, turn);
        turn.counters.retransmissions_withheld += u64::from(!is_lent);
        is_lent
    }

    /// Ends a NOTIFY that got a final response, which proves its path.
    pub(crate) fn end_answered(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
        turn: &Turn<'_>,
    ) -> Option<InFlight> {
        let in_flight = self.in_flight.get(id);
        let probed = in_flight
            .expected("the response was matched to it")?
            .held_path;
        if let Some(path) = probed {
            subscriptions.table_mut().prove_path(path, turn);
        }
        self.end_notify(id, subscriptions)
    }

    /// Ends a NOTIFY transaction and its probe of the path.
    pub(crate) fn end_notify(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
    ) -> Option<InFlight> {
        if let Some(in_flight) = self.in_flight.get(id) {
            let table = subscriptions.table_mut();
            if let Some(detour) = &in_flight.detour {
                table.end_detour(detour.dial, id, false);
            }
            if let Some(path) = in_flight.held_path {
                table.release_path(id, path);
            }
        }
        self.end(id)
    }

    /// A NOTIFY over an unproven path got no response in time: removes the subscriptions that
    /// waited for one.
    pub(crate) fn give_up_path(
        &mut self,
        path: PathId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        for id in subscriptions.table_mut().take_waiting(path) {
            // The id may have been reused for another subscription.
            if subscriptions.table().uses_path(id, path) {
                turn.counters.subscriptions_unanswered += 1;
                self.remove_subscription(id, subscriptions, turn);
            }
        }
    }
}
