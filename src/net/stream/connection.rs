//! One stream connection of whatever transport: reading into a shared buffer, one gathered write
//! per turn, a bounded queue for a peer that reads slowly.
//!
//! Invariants: octets leave in the order in which they were handed over. The queue is used only
//! while the socket has no room. An idle connection holds no buffer. A connection that has been
//! ended sends nothing more; its reader notices by the end of the stream.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::net::Limits;
use crate::net::stream::handshakes::{HandshakeFault, Handshakes};
use crate::net::stream::{Framing, PushFrame, StreamTransport};
use crate::shard::{CertificateNames, Flow};

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
    /// The engine's id for it.
    pub flow: Flow,
    stream: RefCell<Box<dyn StreamTransport>>,
    queue: RefCell<Vec<u8>>,
    queue_octets_max: usize,
    /// [`Connection::drain`] was asked for, and has not ended.
    is_draining: Cell<bool>,
    has_ended: Cell<bool>,
    /// Nothing is read: octets stay in the kernel.
    is_paused: Cell<bool>,
    /// Wakes the reader of a paused connection.
    reader: RefCell<Option<Waker>>,
    has_sent_message: Cell<bool>,
    /// Octets of an incomplete message were read.
    is_within_message: Cell<bool>,
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
            is_draining: Cell::new(false),
            has_ended: Cell::new(false),
            is_paused: Cell::new(false),
            reader: RefCell::default(),
            is_within_message: Cell::new(false),
            has_sent_message: Cell::new(false),
            idle_since: Cell::new(now),
        }
    }

    /// A reader of messages for this connection.
    #[must_use]
    pub fn framing(&self, limits: &Limits) -> Box<dyn Framing> {
        self.stream.borrow().framing(limits)
    }

    /// Whether its transport has a handshake.
    #[must_use]
    pub fn has_handshake(&self) -> bool {
        self.stream.borrow().has_handshake()
    }

    /// What puts a message into a frame, if its transport has frames.
    #[must_use]
    pub fn push_frame(&self) -> Option<PushFrame> {
        self.stream.borrow().push_frame()
    }

    /// Does the handshake of its transport; for `is_exempt` see [`Handshakes::begin`].
    ///
    /// # Errors
    /// It is refused, fails, or takes too long.
    pub async fn complete_handshake(
        &self,
        is_exempt: bool,
        handshakes: &Handshakes,
        scratch: &RefCell<Box<[u8]>>,
    ) -> Result<(), HandshakeFault> {
        let peer = (self.flow.peer.ip(), is_exempt);
        handshakes.complete(peer, &self.stream, scratch).await
    }

    /// The names in the certificate of the peer; none if the handshake has not verified one.
    #[must_use]
    pub fn certified_names(&self) -> CertificateNames {
        self.stream.borrow().certified_names()
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
            if !self.is_paused.get() {
                let mut stream = self.stream.borrow_mut();
                let read = stream.poll_read(context, &mut buffer.borrow_mut());
                if read.is_ready() {
                    return read;
                }
            } else if self.has_ended.get() {
                return Poll::Ready(Ok(0));
            }
            self.set_reader(context.waker());
            Poll::Pending
        })
        .await
    }

    fn set_reader(&self, waker: &Waker) {
        let mut reader = self.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *reader = Some(waker.clone());
        }
    }

    /// From now on nothing is read.
    pub fn pause(&self) {
        self.is_paused.set(true);
    }

    /// Whether the kernel's addresses are not those of the flow: we opened it, or a proxy forwards it.
    fn has_other_addresses(&self) -> bool {
        let stream = self.stream.borrow();
        (self.flow.local, self.flow.peer) != (stream.local_address(), stream.peer_address())
    }

    /// Leaves a paused connection to another process: its descriptor. None, and nothing changes, if
    /// it has ended, or is within a message in either direction, or if the next process would not know
    /// its addresses.
    pub fn hand_over(&self) -> Option<OwnedFd> {
        let is_between_messages = !self.is_within_message.get() && !self.is_draining.get();
        if self.has_ended.get() || !is_between_messages || self.has_other_addresses() {
            return None;
        }
        debug_assert!(self.is_paused.get(), "this process reads it no more");
        let descriptor = self.stream.borrow().duplicate()?;
        self.has_ended.set(true);
        self.wake_reader();
        Some(descriptor)
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Writes the pieces, in order, in one system call if the socket has room.
    pub fn write(&self, pieces: &[IoSlice<'_>]) -> Written {
        if self.has_ended.get() {
            return Written::Failed;
        }
        let was_draining = self.is_draining.get();
        let mut taken = 0;
        if !was_draining {
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
        if !self.enqueue(pieces, taken) {
            self.end();
            return Written::Overflow;
        }
        self.is_draining.set(self.has_waiting());
        match (self.is_draining.get(), was_draining) {
            (false, _) => Written::All,
            (true, false) => Written::Stalled,
            (true, true) => Written::Queued,
        }
    }

    /// Keeps what is left after `taken` octets, if there is room.
    fn enqueue(&self, pieces: &[IoSlice<'_>], mut taken: usize) -> bool {
        let mut queue = self.queue.borrow_mut();
        for piece in pieces {
            let left = piece.get(taken..).unwrap_or_default();
            taken = taken.saturating_sub(piece.len());
            if queue.len() + left.len() > self.queue_octets_max {
                return false;
            }
            queue.extend_from_slice(left);
        }
        true
    }

    /// Whether octets wait for room, here or in the transport.
    fn has_waiting(&self) -> bool {
        !self.queue.borrow().is_empty() || self.stream.borrow().has_unsent()
    }

    /// Writes what waits whenever there is room, until nothing does or the connection is over.
    pub async fn drain(&self) {
        while !self.has_ended.get() && self.has_waiting() {
            let written = poll_fn(|context| {
                let mut stream = self.stream.borrow_mut();
                stream.poll_write(context, &self.queue.borrow())
            })
            .await;
            match written {
                Ok(0) if !self.queue.borrow().is_empty() => self.end(),
                Ok(octets) => self.forget(octets),
                Err(_) => self.end(),
            }
        }
        self.is_draining.set(false);
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

    /// Whether what was read last ends within a message.
    pub fn note_within_message(&self, is_within_message: bool) {
        self.is_within_message.set(is_within_message);
    }

    /// Keeps the connection from idling out until `until`.
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

    /// Ends the connection in both directions; queued messages are dropped.
    pub fn end(&self) {
        if !self.has_ended.replace(true) {
            let is_between_messages = self.queue.borrow().is_empty();
            self.stream.borrow_mut().close(is_between_messages);
            self.wake_reader();
        }
    }

    /// Whether [`Connection::end`] was called, or it was handed over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::SocketAddr;
    use std::rc::Rc;
    use std::task::Context;

    use futures_util::FutureExt;

    use super::*;
    use crate::net::stream::content_length::ContentLengthFraming;
    use crate::shard::ConnectionId;
    use crate::sip::Transport;

    /// A stream without a kernel, which has room for some octets and keeps them.
    #[derive(Debug, Default)]
    struct Fake {
        room: Cell<usize>,
        written: RefCell<Vec<u8>>,
        is_closed: Cell<bool>,
    }

    impl Fake {
        fn write(&self, octets: &[u8]) -> usize {
            let taken = octets.len().min(self.room.get());
            self.room.update(|room| room - taken);
            self.written
                .borrow_mut()
                .extend_from_slice(&octets[..taken]);
            taken
        }
    }

    impl StreamTransport for Rc<Fake> {
        fn transport(&self) -> Transport {
            Transport::Tls
        }

        fn local_address(&self) -> SocketAddr {
            "10.0.0.1:5061".parse().unwrap()
        }

        fn peer_address(&self) -> SocketAddr {
            "192.0.2.1:40000".parse().unwrap()
        }

        fn framing(&self, limits: &Limits) -> Box<dyn Framing> {
            Box::new(ContentLengthFraming::new(limits))
        }

        fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn poll_preface(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            match pieces.iter().map(|piece| self.write(piece)).sum() {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                taken => Ok(taken),
            }
        }

        fn poll_write(&mut self, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
            match self.write(octets) {
                0 => Poll::Pending,
                taken => Poll::Ready(Ok(taken)),
            }
        }

        fn duplicate(&self) -> Option<OwnedFd> {
            std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
        }

        fn close(&mut self, _: bool) {
            self.is_closed.set(true);
        }
    }

    fn connection(stream: &Rc<Fake>, queue_octets_max: usize) -> Connection {
        let flow = Flow {
            transport: stream.transport(),
            listener: 0,
            connection: ConnectionId::default(),
            local: stream.local_address(),
            peer: stream.peer_address(),
        };
        let stream = Box::new(Rc::clone(stream));
        Connection::new(stream, flow, queue_octets_max, Instant::now())
    }

    fn write(connection: &Connection, pieces: [&[u8]; 2]) -> Written {
        connection.write(&pieces.map(IoSlice::new))
    }

    #[test]
    fn queued_octets_are_written_in_order_once_there_is_room() {
        let stream = Rc::new(Fake::default());
        let connection = connection(&stream, 100);
        stream.room.set(8);
        assert_eq!(write(&connection, [b"abc", b"de"]), Written::All);
        assert_eq!(write(&connection, [b"fg", b"hijk"]), Written::Stalled);
        stream.room.set(100);
        let later = write(&connection, [b"lm", b""]);
        assert_eq!(later, Written::Queued, "it does not overtake what waits");
        stream.room.set(1);
        assert!(connection.drain().now_or_never().is_none());
        stream.room.set(100);
        connection.drain().now_or_never().unwrap();
        assert_eq!(*stream.written.borrow(), b"abcdefghijklm");
        assert_eq!(write(&connection, [b"n", b"o"]), Written::All);
        assert!(!stream.is_closed.get());
    }

    #[test]
    fn a_peer_that_does_not_read_is_closed_when_its_queue_is_full() {
        let stream = Rc::new(Fake::default());
        let connection = connection(&stream, 10);
        assert_eq!(write(&connection, [b"12345", b"67890"]), Written::Stalled);
        assert_eq!(write(&connection, [b"x", b""]), Written::Overflow);
        assert!(stream.is_closed.get() && connection.has_ended());
        stream.room.set(100);
        assert_eq!(write(&connection, [b"y", b""]), Written::Failed);
        connection.drain().now_or_never().unwrap();
        assert!(stream.written.borrow().is_empty());
    }

    #[test]
    fn a_connection_is_handed_over_between_messages_only() {
        let stream = Rc::new(Fake::default());
        let connection = connection(&stream, 100);
        let buffer = RefCell::new(vec![0; 8].into());
        assert!(connection.read(&buffer, None).now_or_never().is_none());
        connection.pause();
        connection.note_within_message(true);
        assert!(connection.hand_over().is_none());
        connection.note_within_message(false);
        assert_eq!(write(&connection, [b"abc", b"de"]), Written::Stalled);
        assert!(connection.hand_over().is_none());
        stream.room.set(100);
        connection.drain().now_or_never().unwrap();
        assert!(connection.read(&buffer, None).now_or_never().is_none());
        assert!(connection.hand_over().is_some());
        assert!(connection.hand_over().is_none(), "it is gone");
        assert_eq!(write(&connection, [b"x", b""]), Written::Failed);
        let read = connection.read(&buffer, None).now_or_never();
        assert!(matches!(read, Some(Ok(0))), "its reader ends: {read:?}");
        connection.end();
        assert!(!stream.is_closed.get(), "another process has it");
    }
}
