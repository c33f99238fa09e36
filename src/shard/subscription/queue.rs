//! The NOTIFYs that are owed: their queue, and how many phones lack the current state ([`Unconfirmed`]).
//!
//! State changes go before all other NOTIFYs (initial, after a refresh, final), but the others get one turn in
//! four.

use std::collections::VecDeque;
use std::time::Instant;

use crate::shard::contract::ids::SubscriptionId;
use crate::shard::subscription::Wants;
use crate::shard::subscription::unconfirmed::Unconfirmed;

/// One NOTIFY in this many is not a change, if both kinds wait.
const SHARES: u8 = 4;

/// The queue of subscriptions that may need a NOTIFY.
#[derive(Debug)]
pub(crate) struct Backlog {
    changes: VecDeque<SubscriptionId>,
    others: VecDeque<SubscriptionId>,
    /// Changes taken in a row while `others` was not empty.
    in_a_row: u8,
    /// The subscriptions whose phones lack the current state.
    pub(super) unconfirmed: Unconfirmed,
    /// Changes that came while a NOTIFY was wanted already, which tells of them too.
    pub(super) coalesced: u64,
}

impl Backlog {
    /// Nothing is owed.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            changes: VecDeque::new(),
            others: VecDeque::new(),
            in_a_row: 0,
            unconfirmed: Unconfirmed::new(epoch),
            coalesced: 0,
        }
    }

    /// Queues a subscription. If it is queued already, its second turn finds nothing to send.
    pub(crate) fn push(&mut self, id: SubscriptionId, wants: Wants) {
        if wants == Wants::Change {
            self.changes.push_back(id);
        } else {
            self.others.push_back(id);
        }
    }

    /// Takes the next subscription to be notified.
    pub(crate) fn pop(&mut self) -> Option<SubscriptionId> {
        let is_others_turn = self.in_a_row + 1 >= SHARES && !self.others.is_empty();
        if !is_others_turn && let Some(id) = self.changes.pop_front() {
            self.in_a_row = match self.others.is_empty() {
                true => 0,
                false => self.in_a_row + 1,
            };
            return Some(id);
        }
        self.in_a_row = 0;
        self.others.pop_front()
    }

    /// The subscriptions that will most likely be next, at most `count`.
    pub(crate) fn first(&self, count: usize) -> impl Iterator<Item = SubscriptionId> {
        self.changes.iter().chain(&self.others).take(count).copied()
    }

    /// Number of queued entries.
    pub(crate) fn len(&self) -> usize {
        self.changes.len() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_go_first_and_others_are_not_starved() {
        let mut backlog = Backlog::new(Instant::now());
        for id in 0..4 {
            backlog.push(SubscriptionId(id), Wants::Notify);
        }
        for id in 10..20 {
            backlog.push(SubscriptionId(id), Wants::Change);
        }
        assert_eq!(backlog.len(), 14);
        let popped: Vec<u32> = std::iter::from_fn(|| backlog.pop())
            .map(|id| id.0)
            .collect();
        assert_eq!(popped, [10, 11, 12, 0, 13, 14, 15, 1, 16, 17, 18, 2, 19, 3]);
        assert_eq!(backlog.len(), 0);
    }
}
