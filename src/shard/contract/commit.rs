//! Records of what must outlive the process, and the acknowledgements that wait for their commit.
//!
//! A turn that changes a dialog or a presentity appends its record to the outbox. Records of one
//! shard are numbered in sequence; the driver hands them to a store, and reports the number up to
//! which they are durable ([`Input::Durable`](crate::shard::Input::Durable)).
//!
//! With [`Durability::Synced`] an acknowledgement (a 2xx, a reply, mail with an outcome) is held
//! until all records that were written up to the end of its turn are durable. So nothing that was
//! acknowledged is ever lost. NOTIFYs of changes are not held.
//!
//! Invariant: acknowledgements are released in the order in which they were held.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::shard::contract::command::{CommandId, Reply};
use crate::shard::contract::flow::{Address, Flow};
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::outbox::{Answered, Outbox};
use crate::sip::transaction::TIMER_F;
use crate::sip::transaction::server::TransactionKey;

/// Whether state is recorded, and whether acknowledgements wait for the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is recorded: all state ends with the process.
    #[default]
    None,
    /// Records are written, acknowledgements do not wait for them.
    Relaxed,
    /// Acknowledgements wait until their records are durable.
    Synced,
}

/// By this time after a change all its watchers have been notified, or a record says that one has not: a
/// NOTIFY waits at most for the response to the one before, then for its own, and for pacing.
pub(crate) const UP_TO_DATE_WITHIN: Duration = Duration::from_secs(70);
/// By this time after a SUBSCRIBE its phone has been notified, or a record says that it has not. Over a
/// path that is not proven it takes two NOTIFYs: [`UP_TO_DATE_WITHIN`].
pub(crate) const NOTIFIED_WITHIN: Duration = Duration::from_secs(35);

const _: () = assert!(UP_TO_DATE_WITHIN.as_secs() > 2 * TIMER_F.as_secs());
const _: () = assert!(NOTIFIED_WITHIN.as_secs() > TIMER_F.as_secs());

/// The table and the row of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// A presentity, by the number that its owner assigned. Numbers ascend and are never reused.
    Presentity(u64),
    /// A waiting watcher (RFC 3857 §4.7.1), by a hash that also identifies it in documents.
    Waiting(u64),
    /// A dialog with its subscriptions, by the place in its To-tag.
    Dialog(u32),
}

/// A change of a composed state. It may be shown on lamps before the record of its presentity is durable,
/// because no lamp waits for the disk; if the process ends in between, the record does not tell the next
/// one of it. So the driver notes changes where they outlive the process, without waiting for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotedChange {
    /// The hash of the presentity's address, equal in every process.
    pub presentity: u64,
    /// When, by the clock of records, in milliseconds since 1970 UTC.
    pub at: i64,
}

/// A record to be written, or to be removed. A record replaces the one with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// The presentity or dialog.
    pub key: RecordKey,
    /// Its octets, a range of the arena; None to remove it.
    pub octets: Option<Range<usize>>,
}

/// An acknowledgement that waits for a commit.
#[derive(Debug)]
pub(crate) enum Acknowledgement {
    /// A 2xx, and the subscription whose NOTIFY must follow it.
    Response {
        transaction: Option<TransactionKey>,
        /// The flow that it is sent on.
        flow: Flow,
        /// None if its transaction holds it.
        octets: Option<Box<[u8]>>,
        /// The request that it answers.
        answered: Option<Answered>,
        subscription: Option<SubscriptionId>,
    },
    /// The reply to a command.
    Reply(CommandId, Reply),
    /// Not a message: a NOTIFY of this subscription, which waits for a record that reserves its CSeq.
    Notify(SubscriptionId),
    /// Mail to another shard with the outcome of a request.
    Mail(Address, Mail),
}

/// The records of a shard, by number, and the acknowledgements that wait for them.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    /// The number of the last record.
    written: u64,
    /// The number up to which records are durable.
    durable: u64,
    held: VecDeque<Held>,
    /// The store cannot be written, and what it does not have is not to be acknowledged.
    pub(crate) is_refused: bool,
    /// 2xx that wait for an outcome from another shard first.
    put_off: Vec<(SubscriptionId, Option<Acknowledgement>)>,
}

/// An acknowledgement that is held.
#[derive(Debug)]
struct Held {
    /// The number of the record that it waits for; None until the end of the turn, when records are
    /// written.
    sequence: Option<u64>,
    acknowledgement: Acknowledgement,
}

impl Commits {
    /// Adds the record with `octets` of the arena, or its removal, to the outbox. Returns its number.
    pub(crate) fn record(
        &mut self,
        key: RecordKey,
        octets: Option<Range<usize>>,
        out: &mut Outbox,
    ) -> u64 {
        self.written += 1;
        out.records.push(RecordChange { key, octets });
        out.recorded_through = self.written;
        self.written
    }

    /// Whether the records up to this number are durable.
    pub(crate) const fn is_durable(&self, sequence: u64) -> bool {
        sequence <= self.durable
    }

    /// Holds an acknowledgement until the records of this turn, and all before, are durable.
    pub(crate) fn hold(&mut self, acknowledgement: Acknowledgement) {
        if let Acknowledgement::Response {
            subscription: Some(id),
            ..
        } = acknowledgement
            && let Some((_, place)) = self
                .put_off
                .iter_mut()
                .find(|(of, held)| *of == id && held.is_none())
        {
            *place = Some(acknowledgement);
            return;
        }
        self.held.push_back(Held {
            sequence: None,
            acknowledgement,
        });
    }

    /// How many acknowledgements are held.
    pub(crate) fn held(&self) -> usize {
        self.held.len() + self.put_off.len()
    }

    /// The next 2xx that is held for a SUBSCRIBE of this subscription waits for an outcome from another
    /// shard first.
    pub(crate) fn put_off(&mut self, id: SubscriptionId) {
        self.put_off.push((id, None));
    }

    /// The outcome is there: holds the 2xx of that subscription like any other.
    pub(crate) fn go_on(&mut self, id: SubscriptionId) {
        let ready = self.put_off.extract_if(.., |(of, _)| *of == id);
        let ready: Vec<_> = ready.filter_map(|(_, held)| held).collect();
        ready.into_iter().for_each(|it| self.hold(it));
    }

    /// Ends a turn, whose records are written: acknowledgements held in it wait for the last of these.
    pub(crate) fn end_turn(&mut self) {
        let of_turn = self.held.iter_mut().rev();
        for held in of_turn.take_while(|held| held.sequence.is_none()) {
            held.sequence = Some(self.written);
        }
    }

    /// Records up to this number are durable. Numbers may arrive late or more than once.
    pub(crate) fn advance(&mut self, durable: u64) {
        debug_assert!(durable <= self.written, "only what was written is durable");
        self.durable = self.durable.max(durable);
    }

    /// The next acknowledgement whose records are durable.
    pub(crate) fn release(&mut self) -> Option<Acknowledgement> {
        let sequence = self.held.front()?.sequence?;
        if !self.is_durable(sequence) {
            return None;
        }
        Some(self.held.pop_front()?.acknowledgement)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn reply(id: u64) -> Acknowledgement {
        Acknowledgement::Reply(CommandId(id), Reply::Done)
    }

    fn released(commits: &mut Commits) -> Vec<u64> {
        std::iter::from_fn(|| commits.release())
            .map(|acknowledgement| match acknowledgement {
                Acknowledgement::Reply(id, _) => id.0,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn an_acknowledgement_waits_for_the_records_of_its_turn() {
        let (mut commits, mut out) = (Commits::default(), Outbox::default());
        commits.hold(reply(1));
        assert!(released(&mut commits).is_empty(), "its turn has not ended");
        commits.record(RecordKey::Dialog(7), None, &mut out);
        commits.end_turn();
        commits.hold(reply(2));
        commits.record(RecordKey::Presentity(9), None, &mut out);
        commits.end_turn();
        assert_eq!((out.records.len(), out.recorded_through), (2, 2));
        assert!(released(&mut commits).is_empty());
        commits.advance(1);
        assert_eq!(released(&mut commits), [1]);
        commits.advance(0);
        assert!(released(&mut commits).is_empty());
        commits.advance(2);
        assert_eq!(released(&mut commits), [2]);
        commits.hold(reply(3));
        commits.end_turn();
        assert_eq!(released(&mut commits), [3], "nothing new was written");
        assert_eq!(commits.held(), 0);
    }
}
