//! The interface of a socket that carries datagrams: receive a batch, send a batch, its address, and
//! waiting for it.

use std::cell::RefMut;
use std::net::{IpAddr, SocketAddr};
use std::{fmt, io};

use futures_util::future::LocalBoxFuture;

/// Datagrams that a turn takes at most.
pub const BATCH: usize = 64;

/// A socket that carries datagrams, kernel UDP or another implementation.
pub trait DatagramTransport: fmt::Debug {
    /// Receives the datagrams that are there, without waiting. Does nothing while some of those
    /// received before have not been taken.
    fn receive(&self) -> io::Result<RefMut<'_, dyn ReceivedDatagrams>>;

    /// Whether some of those received before have not been taken.
    fn is_left(&self) -> bool {
        false
    }

    /// Sends `count` datagrams in order, `datagram(0)` first, without waiting. Ends early when there
    /// is no room for more.
    fn send<'a>(&self, count: usize, datagram: &dyn Fn(usize) -> Datagram<'a>) -> Sent;

    /// The address that the socket is bound to; may be a wildcard.
    fn local_address(&self) -> SocketAddr;

    /// Waits until there is something to receive, or room to send. May return spuriously.
    fn wait_for(&self, interest: Interest) -> LocalBoxFuture<'_, io::Result<()>>;
}

/// What a socket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// A datagram can be received.
    Readable,
    /// A datagram can be sent.
    Writable,
}

/// Datagrams that were received together, to be taken one by one. The caller may stop anywhere and
/// go on later.
pub trait ReceivedDatagrams {
    /// The next datagram, in the order of arrival.
    fn next_datagram(&mut self) -> Option<Received<'_>>;

    /// Whether datagrams are left to be taken.
    fn is_left(&self) -> bool;

    /// Whether datagrams are left, or more of them probably wait in the socket.
    fn is_more_likely(&self) -> bool;
}

/// A received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The sender.
    pub peer: SocketAddr,
    /// The local destination address, if known (it is bound to a wildcard).
    pub local: Option<IpAddr>,
    /// The kernel's running count of dropped datagrams, if not zero.
    pub lost: Option<u32>,
    /// Whether it was longer than the buffer.
    pub is_truncated: bool,
    /// Its payload.
    pub bytes: &'a [u8],
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The destination.
    pub peer: SocketAddr,
    /// The source address; None leaves the choice to the socket.
    pub source: Option<IpAddr>,
    /// The payload, one piece after the other.
    pub pieces: [&'a [u8]; 2],
}

impl Datagram<'_> {
    pub(super) fn octets(&self) -> usize {
        self.pieces[0].len() + self.pieces[1].len()
    }
}

/// What became of a sequence of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams that are settled, sent or refused; the next was not tried.
    pub settled: usize,
    /// Datagrams among the settled that the kernel refused.
    pub refused: usize,
    /// Octets of the datagrams that were sent.
    pub octets: usize,
    /// Datagrams that were sent as parts of a GSO batch.
    pub segmented: usize,
    /// GSO batches that were refused and whose datagrams were sent one by one.
    pub segmentation_refused: usize,
    /// Whether the send buffer is full.
    pub is_stalled: bool,
}
