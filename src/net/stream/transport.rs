//! The interface of a stream transport: accepting, octets in and out, and the messages in them.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures_util::future::LocalBoxFuture;

use crate::net::Limits;
use crate::shard::CertificateNames;
use crate::sip::message::PlainResponse;
use crate::sip::{Fault, Transport};

/// A listening socket of a stream transport.
pub trait StreamListener: fmt::Debug {
    /// Waits for a connection. A handshake, if the transport has one, is left to the connection's
    /// reads. `Ok(None)` if the peer was gone before its address could be read; an error if no
    /// connection can be accepted for now (no more descriptors): retry after a pause.
    fn accept(&self) -> LocalBoxFuture<'_, io::Result<Option<Box<dyn StreamTransport>>>>;
}

/// One stream to a peer: octets of SIP messages in and out.
pub trait StreamTransport: fmt::Debug {
    /// Transport name for Via and Contact.
    fn transport(&self) -> Transport;

    /// Our end.
    fn local_address(&self) -> SocketAddr;

    /// The peer's end.
    fn peer_address(&self) -> SocketAddr;

    /// A reader of messages for this stream.
    fn framing(&self, limits: &Limits) -> Box<dyn Framing>;

    /// What puts a message into a frame, if the transport has frames.
    fn push_frame(&self) -> Option<PushFrame> {
        None
    }

    /// Bounds each wait for octets from now on.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Reads octets that come before those of the transport, its handshake too: the header of the PROXY
    /// protocol. 0 is the end of the stream.
    fn poll_preface(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>>;

    /// Whether the transport has a handshake before the first message.
    fn has_handshake(&self) -> bool {
        false
    }

    /// Reads octets of the handshake, if the transport has one, once there are some. Before it is done
    /// nothing else is read or written.
    fn poll_handshake(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<Handshake>> {
        Poll::Ready(Ok(Handshake::Done))
    }

    /// Goes on with the handshake after [`Handshake::Octets`]. It may compute for a millisecond.
    fn advance_handshake(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The protocol that the handshake has chosen, if it chooses one (ALPN).
    fn application_protocol(&self) -> Option<&[u8]> {
        None
    }

    /// The names in the certificate of the peer; none if the handshake has not verified one.
    fn certified_names(&self) -> CertificateNames {
        CertificateNames::default()
    }

    /// Reads octets once there are some. 0 is the end of the stream.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>>;

    /// Writes as much as fits, in order; returns the number of octets written. `WouldBlock` if
    /// there is no room at all.
    fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Writes of these octets, of which there may be none, what there is room for, once there is some
    /// and nothing is unsent.
    fn poll_write(&mut self, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>>;

    /// Whether octets that were taken still wait for room. Then [`StreamTransport::poll_write`] has to be
    /// called.
    fn has_unsent(&self) -> bool {
        false
    }

    /// Another descriptor of the stream, by which another process can continue it; None if the stream
    /// has state beside the kernel's.
    fn duplicate(&self) -> Option<OwnedFd> {
        None
    }

    /// Closes the stream in both directions, with the last word of its transport if nothing was cut off
    /// in the middle.
    fn close(&mut self, is_between_messages: bool);
}

/// Appends a message, which is in two pieces, in a frame.
pub type PushFrame = fn(message: [&[u8]; 2], octets: &mut Vec<u8>);

/// What came of waiting for octets of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Octets came: [`StreamTransport::advance_handshake`] is next.
    Octets,
    /// There is none, or it is done.
    Done,
}

/// The receiving half of one stream: finds the messages in its octets.
pub trait Framing: fmt::Debug {
    /// Takes the octets that were read and passes complete messages on. After an error the stream
    /// is out of step and must be closed.
    fn take(
        &mut self,
        octets: &[u8],
        now: Instant,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Fault>;

    /// When the message that has begun must be complete; None if none has begun.
    fn deadline(&self) -> Option<Instant>;
}

/// What was found on a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// A simple 200 response, already parsed, because finding its end required parsing.
    Response(&'a [u8], PlainResponse<'a>),
    /// A STUN message; a Binding request wants a response (RFC 8489).
    Stun(&'a [u8]),
    /// A keepalive that wants one CRLF (RFC 5626 §4.4.1).
    Ping,
    /// A frame that answers one of the peer's, to be sent as it is.
    Answer(&'a [u8]),
    /// The peer ends the connection.
    Goodbye,
}
