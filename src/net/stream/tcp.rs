//! SIP over TCP (RFC 3261 §18).

use std::io;
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use socket2::SockRef;

use crate::net::acceptor::on_executor;
use crate::net::stream::content_length::ContentLengthFraming;
use crate::net::stream::{Framing, StreamListener, StreamTransport};
use crate::net::{Acceptor, Limits};
use crate::sip::Transport;

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpAcceptor(Acceptor);

impl TcpAcceptor {
    /// Takes over a listening socket.
    ///
    /// # Errors
    /// The kernel refuses to make it non-blocking.
    pub fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        Acceptor::new(socket).map(Self)
    }

    /// Waits for a connection. None if the peer is gone.
    pub(super) async fn accept_stream(&self) -> io::Result<Option<TcpTransport>> {
        match self.0.accept().await {
            Ok(stream) => Ok(TcpTransport::new(stream)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn accept(&self) -> io::Result<Option<Box<dyn StreamTransport>>> {
        let transport = self.accept_stream().await?;
        Ok(transport.map(|transport| Box::new(transport) as Box<dyn StreamTransport>))
    }
}

impl StreamListener for TcpAcceptor {
    fn accept(&self) -> LocalBoxFuture<'_, io::Result<Option<Box<dyn StreamTransport>>>> {
        self.accept().boxed_local()
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct TcpTransport {
    stream: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
}

/// A connection that an earlier process accepted. Must run inside the executor that will wait on it.
/// None if the peer is gone.
#[must_use]
pub fn continued(socket: OwnedFd) -> Option<Box<dyn StreamTransport>> {
    Some(Box::new(TcpTransport::new(on_executor(socket))?))
}

/// Opens a connection. Must run inside the executor that will wait on it.
pub(crate) async fn connect(peer: SocketAddr, patience: Duration) -> io::Result<TcpTransport> {
    let stream = TcpStream::connect_timeout(peer, patience).await?;
    TcpTransport::new(stream).ok_or_else(|| io::ErrorKind::NotConnected.into())
}

impl TcpTransport {
    /// None if the peer is gone.
    pub(super) fn new(stream: TcpStream) -> Option<Self> {
        let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
        Some(Self {
            stream,
            local,
            peer,
        })
    }

    #[allow(
        unsafe_code,
        reason = "the executor shows its descriptor only in its raw form"
    )]
    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns the descriptor and lives as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }
}

impl StreamTransport for TcpTransport {
    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn local_address(&self) -> SocketAddr {
        self.local
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    fn framing(&self, limits: &Limits) -> Box<dyn Framing> {
        Box::new(ContentLengthFraming::new(limits))
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.stream.set_read_timeout(timeout)?)
    }

    fn poll_preface(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read(context, buffer)
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }

    fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = self.descriptor();
        loop {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            match SockRef::from(&socket).send_vectored_with_flags(pieces, flags) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn duplicate(&self) -> Option<OwnedFd> {
        self.descriptor().try_clone_to_owned().ok()
    }

    fn close(&mut self, _: bool) {
        // An error only means that the peer closed first.
        let _ = SockRef::from(&self.descriptor()).shutdown(Shutdown::Both);
    }
}
