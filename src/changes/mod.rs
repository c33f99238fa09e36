//! Changes of composed state on their way from the shards to a reader: the events of the HTTP API, the relays. Also
//! the form in which both tell a state (`shown`).
//!
//! A shard hands over one batch for each turn that changed something. The reader gives batches back, so
//! in steady state a shard allocates nothing for it.

pub(crate) mod shown;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crossbeam::queue::ArrayQueue;
use futures_util::task::AtomicWaker;

use crate::shard::Outbox;
use crate::shard::contract::state_change::StateChange;

/// Batches under way. A batch that finds no room is lost, and its changes are counted.
const BATCHES_MAX: usize = 8_192;
/// Batches that are received at once.
const BATCHES_AT_ONCE: usize = 256;
/// Spare batches that are kept, each with its buffers.
const SPARE_MAX: usize = 2 * BATCHES_AT_ONCE;
/// A batch with room for more than that is freed: the turn of a reload may change everything.
const SPARE_CHANGES_MAX: usize = 256;
const SPARE_OCTETS_MAX: usize = 16 << 10;

/// The way from all shards to one reader. A clone is another handle of the same feed.
#[derive(Clone, Debug)]
pub struct ChangeFeed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    batches: ArrayQueue<ChangeBatch>,
    spare: ArrayQueue<ChangeBatch>,
    /// Changes that found no room.
    lost: AtomicU64,
    reader: AtomicWaker,
}

/// The changes of one turn.
#[derive(Debug, Default)]
pub struct ChangeBatch {
    /// Their ranges are of `text`.
    changes: Vec<StateChange>,
    text: String,
}

/// A change with its texts.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The change.
    pub state: &'a StateChange,
    /// The other party of the call that a lamp shows, as watchers may see it at most; empty if there is none.
    pub party: &'a str,
    /// The note; empty if there is none.
    pub note: &'a str,
}

/// What is received at once.
#[derive(Debug, Default)]
pub struct Received {
    /// In the order of each shard.
    batches: Vec<ChangeBatch>,
    /// Changes that were lost before them.
    pub lost: u64,
}

impl Default for ChangeFeed {
    fn default() -> Self {
        Self(Arc::new(Shared {
            batches: ArrayQueue::new(BATCHES_MAX),
            spare: ArrayQueue::new(SPARE_MAX),
            lost: AtomicU64::new(0),
            reader: AtomicWaker::new(),
        }))
    }
}

impl ChangeFeed {
    /// Hands over the changes of an outbox.
    pub fn send(&self, outbox: &Outbox) {
        let mut batch = self.0.spare.pop().unwrap_or_default();
        outbox
            .state_changes
            .iter()
            .for_each(|change| batch.push(change, outbox));
        if let Err(batch) = self.0.batches.push(batch) {
            let lost = batch.changes.len() as u64;
            self.0.lost.fetch_add(lost, Ordering::Relaxed);
            self.give_back([batch]);
        }
        self.0.reader.wake();
    }

    /// The next batches, once there are any; they have to be given back.
    pub(crate) async fn receive(&self) -> Received {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Received> {
        let received = self.take();
        if !received.is_empty() {
            return Poll::Ready(received);
        }
        self.0.reader.register(context.waker());
        // A batch may have come before the reader was registered.
        let received = self.take();
        match received.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(received),
        }
    }

    /// The batches that are there, some at a time; they have to be given back.
    #[must_use]
    pub fn take(&self) -> Received {
        let next = || self.0.batches.pop();
        Received {
            batches: std::iter::from_fn(next).take(BATCHES_AT_ONCE).collect(),
            lost: self.0.lost.swap(0, Ordering::Relaxed),
        }
    }

    /// Gives batches back to the shards, which fill them again.
    pub fn give_back(&self, batches: impl IntoIterator<Item = ChangeBatch>) {
        for mut batch in batches {
            batch.changes.clear();
            batch.text.clear();
            let is_small = batch.changes.capacity() <= SPARE_CHANGES_MAX
                && batch.text.capacity() <= SPARE_OCTETS_MAX;
            if is_small {
                // One that finds no room is freed.
                let _ = self.0.spare.push(batch);
            }
        }
    }
}

impl Received {
    /// The changes.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.batches.iter().flat_map(ChangeBatch::changes)
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.lost == 0
    }

    /// Whether no more were there.
    pub(crate) fn is_all(&self) -> bool {
        self.batches.len() < BATCHES_AT_ONCE
    }
}

impl IntoIterator for Received {
    type Item = ChangeBatch;
    type IntoIter = std::vec::IntoIter<ChangeBatch>;

    fn into_iter(self) -> Self::IntoIter {
        self.batches.into_iter()
    }
}

impl ChangeBatch {
    fn push(&mut self, change: &StateChange, outbox: &Outbox) {
        let mut append = |text: &str| {
            let start = self.text.len();
            self.text.push_str(text);
            start..self.text.len()
        };
        let change = StateChange {
            party: append(outbox.text(&change.party)),
            note: append(outbox.text(&change.note)),
            ..change.clone()
        };
        self.changes.push(change);
    }

    fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.changes.iter().map(|state| Change {
            state,
            party: self.text.get(state.party.clone()).unwrap_or_default(),
            note: self.text.get(state.note.clone()).unwrap_or_default(),
        })
    }
}

/// An outbox with a change for each user and note: busy, in a call.
#[cfg(test)]
pub(crate) fn outbox_of(changes: &[(&str, &str)]) -> Outbox {
    use crate::directory::peer_systems::Addressees;
    use crate::presence::Aor;
    use crate::presence::call::CallState;
    use crate::presence::composition::Availability;

    let mut outbox = Outbox::default();
    for (user, note) in changes {
        let start = outbox.arena.len();
        outbox.arena.extend_from_slice(note.as_bytes());
        outbox.state_changes.push(StateChange {
            at: 1_000,
            aor: Aor::new(user, "abc.com"),
            addressees: Addressees::ALL,
            availability: Availability::Busy,
            is_open: true,
            lamp: CallState::Confirmed,
            has_call: true,
            extended: None,
            decider: "",
            rule: "",
            party: 0..0,
            note: start..outbox.arena.len(),
        });
    }
    outbox
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn changes_arrive_in_order_and_lost_ones_are_counted() {
        let feed = ChangeFeed::default();
        let mut context = Context::from_waker(Waker::noop());
        assert!(feed.poll(&mut context).is_pending());
        for number in 0..BATCHES_MAX + 3 {
            let note = number.to_string();
            feed.send(&outbox_of(&[("1", &note), ("2", &note)]));
        }
        let (mut received_all, mut lost) = (Vec::new(), 0);
        while let Poll::Ready(received) = feed.poll(&mut context) {
            for change in received.changes() {
                let user = change.state.aor.user().to_owned();
                received_all.push((user, change.note.to_owned()));
            }
            lost += received.lost;
            feed.give_back(received);
        }
        let of_batch = |number: usize| ["1", "2"].map(|user| (user.into(), number.to_string()));
        let sent: Vec<(String, String)> = (0..BATCHES_MAX).flat_map(of_batch).collect();
        assert_eq!((received_all == sent, lost), (true, 6));
    }

    #[test]
    fn batches_are_used_again_unless_they_are_large() {
        let feed = ChangeFeed::default();
        let spare = || feed.0.spare.len();
        feed.send(&outbox_of(&[("1", "lunch")]));
        feed.give_back(feed.take());
        assert_eq!(spare(), 1);
        feed.send(&outbox_of(&[("2", "meeting")]));
        assert_eq!(spare(), 0);
        let received = feed.take();
        let notes: Vec<&str> = received.changes().map(|change| change.note).collect();
        assert_eq!(notes, ["meeting"]);
        feed.give_back(received);
        feed.send(&outbox_of(&[("3", ""); 2 * SPARE_CHANGES_MAX]));
        feed.give_back(feed.take());
        assert_eq!(spare(), 0);
    }
}
