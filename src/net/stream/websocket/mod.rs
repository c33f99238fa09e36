//! SIP over WebSocket (RFC 7118), over TCP or over TLS: one SIP message in each WebSocket message.
//!
//! - `upgrade`: the HTTP request that a connection begins with, and the response to it.
//! - `frames`: WebSocket frames of both directions.
//!
//! A connection is closed with a code: 1001 if the server ends it, or what `frames` found wrong.

pub mod frames;
pub mod upgrade;

use std::cell::Cell;
use std::io;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::net::Limits;
use crate::net::stream::transport::{
    Framing, Handshake, PushFrame, StreamListener, StreamTransport,
};
use crate::net::stream::websocket::frames::WebSocketFraming;
use crate::net::stream::websocket::upgrade::Verdict;
use crate::shard::CertificateNames;
use crate::sip::Transport;

/// The origins of the web pages that may connect (RFC 6455 §10.2); none for those of any.
pub type Origins = Arc<[String]>;

/// Octets of the HTTP request; beyond it the connection is closed.
const REQUEST_OCTETS_MAX: usize = 8 * 1024;

/// A listening socket of WebSocket.
#[derive(Debug)]
pub struct WebSocketAcceptor {
    inner: Box<dyn StreamListener>,
    origins: Origins,
}

impl WebSocketAcceptor {
    /// WebSocket on what `inner` accepts: connections of TCP or TLS.
    #[must_use]
    pub fn new(inner: Box<dyn StreamListener>, origins: Origins) -> Self {
        Self { inner, origins }
    }

    async fn accept(&self) -> io::Result<Option<Box<dyn StreamTransport>>> {
        let Some(inner) = self.inner.accept().await? else {
            return Ok(None);
        };
        let transport = WebSocketTransport::new(inner, Arc::clone(&self.origins));
        Ok(Some(Box::new(transport)))
    }
}

impl StreamListener for WebSocketAcceptor {
    fn accept(&self) -> LocalBoxFuture<'_, io::Result<Option<Box<dyn StreamTransport>>>> {
        self.accept().boxed_local()
    }
}

/// A WebSocket connection.
#[derive(Debug)]
struct WebSocketTransport {
    inner: Box<dyn StreamTransport>,
    stage: Stage,
    origins: Origins,
    /// With which it closes.
    close_code: Rc<Cell<CloseCode>>,
}

/// How far a connection is.
#[derive(Debug)]
enum Stage {
    /// The handshake of TLS is not done.
    Begun,
    /// The HTTP request has arrived so far.
    Requesting(Vec<u8>),
    /// Frames are exchanged.
    Open,
}

impl WebSocketTransport {
    fn new(inner: Box<dyn StreamTransport>, origins: Origins) -> Self {
        Self {
            inner,
            stage: Stage::Begun,
            origins,
            close_code: Rc::new(Cell::new(CloseCode::Away)),
        }
    }

    /// Answers the HTTP request once it is whole.
    fn upgrade(&mut self) -> io::Result<()> {
        let Stage::Requesting(request) = &self.stage else {
            return Ok(());
        };
        let invalid = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        match upgrade::read(request, &self.origins) {
            Verdict::Incomplete if request.len() < REQUEST_OCTETS_MAX => Ok(()),
            Verdict::Incomplete => invalid("the HTTP request is too long"),
            Verdict::Accepted(response) => {
                self.respond(&response)?;
                self.stage = Stage::Open;
                Ok(())
            }
            Verdict::Refused(response, why) => {
                self.respond(&response)?;
                invalid(why)
            }
        }
    }

    /// Sends the response, for which there is room: nothing was sent before.
    fn respond(&mut self, response: &[u8]) -> io::Result<()> {
        let taken = self.inner.try_write(&[IoSlice::new(response)])?;
        match taken == response.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

impl StreamTransport for WebSocketTransport {
    fn transport(&self) -> Transport {
        match self.inner.transport() {
            Transport::Tls => Transport::Wss,
            _ => Transport::Ws,
        }
    }

    fn local_address(&self) -> SocketAddr {
        self.inner.local_address()
    }

    fn peer_address(&self) -> SocketAddr {
        self.inner.peer_address()
    }

    fn framing(&self, limits: &Limits) -> Box<dyn Framing> {
        let close_code = Rc::clone(&self.close_code);
        Box::new(WebSocketFraming::new(limits, close_code))
    }

    fn push_frame(&self) -> Option<PushFrame> {
        Some(frames::push_message)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.set_read_timeout(timeout)
    }

    fn poll_preface(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_preface(context, buffer)
    }

    fn has_handshake(&self) -> bool {
        true
    }

    fn poll_handshake(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Handshake>> {
        if matches!(self.stage, Stage::Begun) {
            match ready!(self.inner.poll_handshake(context, buffer))? {
                Handshake::Octets => return Poll::Ready(Ok(Handshake::Octets)),
                Handshake::Done => self.stage = Stage::Requesting(Vec::new()),
            }
        }
        let Stage::Requesting(request) = &mut self.stage else {
            return Poll::Ready(Ok(Handshake::Done));
        };
        let length = ready!(self.inner.poll_read(context, buffer))?;
        if length == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
        Poll::Ready(Ok(Handshake::Octets))
    }

    fn advance_handshake(&mut self) -> io::Result<()> {
        match self.stage {
            Stage::Begun => self.inner.advance_handshake(),
            Stage::Requesting(_) => self.upgrade(),
            Stage::Open => Ok(()),
        }
    }

    fn certified_names(&self) -> CertificateNames {
        self.inner.certified_names()
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_read(context, buffer)
    }

    fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.try_write(pieces)
    }

    fn poll_write(&mut self, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(context, octets)
    }

    fn has_unsent(&self) -> bool {
        self.inner.has_unsent()
    }

    fn close(&mut self, is_between_messages: bool) {
        if is_between_messages && matches!(self.stage, Stage::Open) {
            let frame = frames::close(self.close_code.get());
            // An error only means that the peer closed first, or does not read.
            let _ = self.inner.try_write(&[IoSlice::new(&frame)]);
        }
        self.inner.close(is_between_messages);
    }
}
