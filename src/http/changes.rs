//! Changes of composed state on their way from the shards to the HTTP core.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crossbeam::queue::ArrayQueue;
use futures_util::task::AtomicWaker;

use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::composition::{Availability, Extended};

/// Batches under way: one for each turn that changed something. One more is lost, and counted.
const BATCHES_MAX: usize = 8_192;
/// Batches that are received at once.
const BATCHES_AT_ONCE: usize = 256;

/// A change of a composed state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The presentity.
    pub aor: Aor,
    /// The composed availability.
    pub availability: Availability,
    /// The PIDF basic status: true for open.
    pub is_open: bool,
    /// The dialog state that a lamp shows.
    pub lamp: CallState,
    /// The state in the vocabulary of the domain's composition style; None in the standard style.
    pub extended: Option<Extended>,
    /// The other party of the call that a lamp shows, as watchers may see it at most; empty if there is none.
    pub party: Box<str>,
    /// The note; empty if there is none.
    pub note: Box<str>,
}

/// The way from all shards to the one reader, the HTTP core. Clones are the same.
#[derive(Clone, Debug)]
pub struct ChangeFeed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    batches: ArrayQueue<Vec<Change>>,
    /// Changes that found it full.
    lost: AtomicU64,
    reader: AtomicWaker,
}

impl Default for ChangeFeed {
    fn default() -> Self {
        Self(Arc::new(Shared {
            batches: ArrayQueue::new(BATCHES_MAX),
            lost: AtomicU64::new(0),
            reader: AtomicWaker::new(),
        }))
    }
}

impl ChangeFeed {
    /// Hands over changes; those that find the feed full are lost, and the reader is told.
    pub fn send(&self, changes: Vec<Change>) {
        let was_empty = self.0.batches.is_empty();
        if let Err(changes) = self.0.batches.push(changes) {
            self.0
                .lost
                .fetch_add(changes.len() as u64, Ordering::Relaxed);
        }
        if was_empty {
            self.0.reader.wake();
        }
    }

    /// The next changes, and how many were lost since the last ones.
    pub(crate) async fn receive(&self) -> (Vec<Change>, u64) {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<(Vec<Change>, u64)> {
        self.0.reader.register(context.waker());
        let mut received = Vec::new();
        for _ in 0..BATCHES_AT_ONCE {
            match self.0.batches.pop() {
                Some(changes) => received.extend(changes),
                None => break,
            }
        }
        let lost = self.0.lost.swap(0, Ordering::Relaxed);
        match received.is_empty() && lost == 0 {
            true => Poll::Pending,
            false => Poll::Ready((received, lost)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn change(user: usize) -> Change {
        Change {
            at: 0,
            aor: Aor::new(&user.to_string(), "abc.com"),
            availability: Availability::Busy,
            is_open: true,
            lamp: CallState::Confirmed,
            extended: None,
            party: "".into(),
            note: "".into(),
        }
    }

    #[test]
    fn changes_arrive_in_order_and_lost_ones_are_counted() {
        let feed = ChangeFeed::default();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(feed.poll(&mut context), Poll::Pending);
        for batch in 0..BATCHES_MAX + 3 {
            feed.send(vec![change(2 * batch), change(2 * batch + 1)]);
        }
        let (mut received, mut lost) = (Vec::new(), 0);
        while let Poll::Ready((changes, more)) = feed.poll(&mut context) {
            received.extend(changes);
            lost += more;
        }
        let sent: Vec<Change> = (0..2 * BATCHES_MAX).map(change).collect();
        assert_eq!((received == sent, lost), (true, 6));
    }
}
