//! One stream connection of whatever transport: reading into a shared buffer, one gathered write per
//! turn, a bounded queue for a peer that reads slowly.
//!
//! Invariants worth naming: octets leave in the order in which they were handed over. The queue is
//! used only while the socket has no room. An idle connection holds no buffer. A connection that has
//! been ended sends nothing more; its reader notices by the end of the stream.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::io::IoSlice;
use std::time::Duration;
use std::time::Instant;

use crate::net::Limits;
use crate::net::stream::Framing;
use crate::net::stream::StreamTransport;
use crate::shard::Flow;

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is with the kernel.
    All,
    /// The rest waits; the caller has to start [`Connection::drain`].
    Stalled,
    /// The rest waits behind what waited already.
    Queued,
    /// Too much waits; the connection is over.
    Overflow,
    /// The connection is over.
    Failed,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// How the engine names it.
    pub flow: Flow,
    stream: RefCell<Box<dyn StreamTransport>>,
    queue: RefCell<Vec<u8>>,
    queue_octets_max: usize,
    has_ended: Cell<bool>,
    has_sent_message: Cell<bool>,
    /// When it began, when its last message came, or when the last thing that depends on it
    /// expires; the latest of these.
    idle_since: Cell<Instant>,
}

impl Connection {
    /// Takes over an accepted stream.
    #[must_use]
    pub fn new(
        stream: Box<dyn StreamTransport>,
        flow: Flow,
        queue_octets_max: usize,
        now: Instant,
    ) -> Self {
        let queue = RefCell::new(Vec::new());
        Self {
            flow,
            stream: RefCell::new(stream),
            queue,
            queue_octets_max,
            has_ended: Cell::new(false),
            has_sent_message: Cell::new(false),
            idle_since: Cell::new(now),
        }
    }

    /// A reader of messages for this connection.
    #[must_use]
    pub fn framing(&self, limits: &Limits) -> Box<dyn Framing> {
        self.stream.borrow().framing(limits)
    }

    /// Reads into `buffer`, which is borrowed only once there is something to read: other
    /// connections use it meanwhile. 0 is the end of the stream. `patience` bounds the wait.
    pub async fn read(
        &self,
        buffer: &RefCell<Box<[u8]>>,
        patience: Option<Duration>,
    ) -> io::Result<usize> {
        let patience = patience.map(|patience| patience.max(Duration::from_millis(1)));
        self.stream.borrow().set_read_timeout(patience)?;
        poll_fn(|context| {
            let mut stream = self.stream.borrow_mut();
            stream.poll_read(context, &mut buffer.borrow_mut())
        })
        .await
    }

    /// Writes the pieces, in order, in one system call if the socket has room.
    pub fn write(&self, pieces: &[IoSlice<'_>]) -> Written {
        if self.has_ended.get() {
            return Written::Failed;
        }
        let was_stalled = !self.queue.borrow().is_empty();
        let mut taken = 0;
        if !was_stalled {
            let written = self.stream.borrow_mut().try_write(pieces);
            match written {
                Ok(octets) => taken = octets,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.end();
                    return Written::Failed;
                }
            }
        }
        self.enqueue(pieces, taken, was_stalled)
    }

    /// Keeps what is left after `taken` octets.
    fn enqueue(&self, pieces: &[IoSlice<'_>], mut taken: usize, was_stalled: bool) -> Written {
        let mut queue = self.queue.borrow_mut();
        for piece in pieces {
            let left = piece.get(taken..).unwrap_or_default();
            taken = taken.saturating_sub(piece.len());
            if queue.len() + left.len() > self.queue_octets_max {
                drop(queue);
                self.end();
                return Written::Overflow;
            }
            queue.extend_from_slice(left);
        }
        match (queue.is_empty(), was_stalled) {
            (true, _) => Written::All,
            (false, false) => Written::Stalled,
            (false, true) => Written::Queued,
        }
    }

    /// Writes what waits, whenever there is room, until nothing waits or the connection is over.
    pub async fn drain(&self) {
        while !self.has_ended.get() && !self.queue.borrow().is_empty() {
            let written = poll_fn(|context| {
                let mut stream = self.stream.borrow_mut();
                stream.poll_write(context, &self.queue.borrow())
            })
            .await;
            match written {
                Ok(octets) if octets > 0 => self.forget(octets),
                _ => self.end(),
            }
        }
    }

    fn forget(&self, octets: usize) {
        let mut queue = self.queue.borrow_mut();
        queue.drain(..octets);
        if queue.is_empty() {
            *queue = Vec::new();
        }
    }

    /// A whole message came.
    pub fn note_message(&self, now: Instant) {
        self.has_sent_message.set(true);
        self.keep(now);
    }

    /// The connection is in use until then.
    pub fn keep(&self, until: Instant) {
        self.idle_since.set(self.idle_since.get().max(until));
    }

    /// Whether a whole message ever came.
    #[must_use]
    pub fn has_sent_message(&self) -> bool {
        self.has_sent_message.get()
    }

    /// Since when it has been idle; in the future while a subscription, publication or registration
    /// depends on it.
    #[must_use]
    pub fn idle_since(&self) -> Instant {
        self.idle_since.get()
    }

    /// Ends the connection in both directions; what waits is dropped.
    pub fn end(&self) {
        if !self.has_ended.replace(true) {
            self.stream.borrow_mut().close();
        }
    }

    /// Whether [`Connection::end`] was called.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }
}
