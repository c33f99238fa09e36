//! A shard's listening socket of one TCP listener.

use std::io;
use std::net::SocketAddr;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;

use glommio::net::TcpStream;

/// One listening socket.
#[derive(Debug)]
pub struct TcpPort {
    socket: glommio::net::TcpListener,
    /// The index of the listener in the configuration.
    pub listener: u16,
}

/// A stream whose two ends are known.
#[derive(Debug)]
pub struct Accepted {
    /// The stream.
    pub stream: TcpStream,
    /// Our end.
    pub local: SocketAddr,
    /// The peer.
    pub peer: SocketAddr,
}

impl TcpPort {
    /// Takes over a listening socket. Must run inside the executor that will wait on it.
    #[must_use]
    #[allow(
        unsafe_code,
        reason = "the executor takes over a descriptor only in its raw form"
    )]
    pub fn new(socket: std::net::TcpListener, listener: u16) -> Self {
        let descriptor = socket.into_raw_fd();
        // SAFETY: the descriptor is open and, by into_raw_fd, now owned by nobody else.
        let socket = unsafe { glommio::net::TcpListener::from_raw_fd(descriptor) };
        Self { socket, listener }
    }

    /// Waits for a connection. `Ok(None)` when the peer was gone before it could be looked at;
    /// `Err` when none can be accepted for now (no more descriptors): wait a little, then go on.
    pub async fn accept(&self) -> io::Result<Option<Accepted>> {
        let stream = match self.socket.accept().await.map_err(io::Error::from) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return Ok(None),
            Err(error) => return Err(error),
        };
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
            return Ok(None);
        };
        Ok(Some(Accepted {
            stream,
            local,
            peer,
        }))
    }
}
