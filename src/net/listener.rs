//! The transports that SIP is served over: how a listener of each is bound, and how a shard opens
//! its socket of it.
//!
//! Sockets are bound by the thread that boots, one per shard and listener, and opened inside the
//! shard's executor.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use crate::net::bind::BindError;
use crate::net::datagram::port::DatagramPort;
use crate::net::datagram::udp::UdpTransport;
use crate::net::stream::tcp::TcpAcceptor;
use crate::net::stream::tls::TlsAcceptor;
use crate::net::stream::websocket::{Origins, WebSocketAcceptor};
use crate::net::stream::{StreamListener, StreamTransport, tcp, tls};
use crate::net::{Limits, bind};
use crate::shard::Dial;
use crate::sip::Transport;
use crate::tls::{SharedKeyring, TlsClient};

/// What a listener serves, with what that needs.
#[derive(Clone, Debug)]
pub enum Service {
    /// SIP over UDP.
    Udp,
    /// SIP over TCP.
    Tcp,
    /// SIP over TLS.
    Tls(SharedKeyring),
    /// SIP over WebSocket, for web pages of these origins.
    Ws(Origins),
    /// SIP over WebSocket over TLS.
    Wss(Origins, SharedKeyring),
}

impl Service {
    /// Its transport.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Udp => Transport::Udp,
            Self::Tcp => Transport::Tcp,
            Self::Tls(_) => Transport::Tls,
            Self::Ws(_) => Transport::Ws,
            Self::Wss(..) => Transport::Wss,
        }
    }

    /// Its certificates, if it has any.
    #[must_use]
    pub const fn keyring(&self) -> Option<&SharedKeyring> {
        match self {
            Self::Udp | Self::Tcp | Self::Ws(_) => None,
            Self::Tls(keyring) | Self::Wss(_, keyring) => Some(keyring),
        }
    }
}

/// One shard's bound socket of one listener.
#[derive(Debug)]
pub enum ListenerSocket {
    /// For datagrams, and the address that the socket is bound to.
    Datagram(UdpSocket, SocketAddr),
    /// For streams.
    Stream(TcpListener),
}

/// A listener's socket as a shard serves it.
#[derive(Debug)]
pub enum Port {
    /// Messages come in datagrams.
    Datagram(DatagramPort),
    /// Messages arrive on accepted connections.
    Stream(Box<dyn StreamListener>),
}

/// Binds `count` sockets to one address. Port 0 takes a free one for all. Returns the bound
/// address.
pub fn bind(
    transport: Transport,
    address: SocketAddr,
    count: usize,
) -> Result<(SocketAddr, Vec<ListenerSocket>), BindError> {
    if transport.is_reliable() {
        let (bound, sockets) = bind::tcp(address, count)?;
        let sockets = sockets.into_iter().map(ListenerSocket::Stream);
        return Ok((bound, sockets.collect()));
    }
    let (bound, sockets) = bind::udp(address, count)?;
    let share = |socket| ListenerSocket::Datagram(socket, bound);
    Ok((bound, sockets.into_iter().map(share).collect()))
}

/// Continues a listener of an earlier process with its sockets, at least one, in the order in which
/// they were bound; binds more of them up to `count`. There may be more than that.
pub fn go_on(
    transport: Transport,
    address: SocketAddr,
    sockets: Vec<OwnedFd>,
    count: usize,
) -> Result<Vec<ListenerSocket>, BindError> {
    let missing = count.saturating_sub(sockets.len());
    let sockets = sockets.into_iter();
    if transport.is_reliable() {
        let more = bind::more_tcp(address, missing)?;
        let sockets = sockets.map(TcpListener::from).chain(more);
        return Ok(sockets.map(ListenerSocket::Stream).collect());
    }
    let more = bind::more_udp(address, missing)?;
    let sockets = sockets.map(UdpSocket::from).chain(more);
    let share = |socket| ListenerSocket::Datagram(socket, address);
    Ok(sockets.map(share).collect())
}

/// The address that a socket of IP is bound to.
#[must_use]
pub fn address_of(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    SockRef::from(&socket).local_addr().ok()?.as_socket()
}

/// The address of the peer that a stream is connected to.
#[must_use]
pub fn peer_of(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    SockRef::from(&socket).peer_addr().ok()?.as_socket()
}

/// A stream that an earlier process accepted. Must run inside the executor that will wait on it. None
/// if its peer is gone, or its transport does not outlive a process.
#[must_use]
pub fn continue_stream(transport: Transport, socket: OwnedFd) -> Option<Box<dyn StreamTransport>> {
    match transport {
        Transport::Tcp => tcp::continued(socket),
        Transport::Udp | Transport::Tls | Transport::Ws | Transport::Wss => None,
    }
}

/// Opens a stream to a peer within `patience`; its handshake, if the transport has one, is left to the
/// connection's reads. Must run inside the executor that will wait on it.
///
/// # Errors
/// The peer does not accept it, or the transport is not one that we open.
pub async fn connect(
    dial: &Dial,
    patience: Duration,
    client: &TlsClient,
) -> io::Result<Box<dyn StreamTransport>> {
    match dial.transport {
        Transport::Tcp => Ok(Box::new(tcp::connect(dial.peer, patience).await?)),
        Transport::Tls => tls::connect(dial.peer, dial.host.as_deref(), patience, client).await,
        Transport::Udp | Transport::Ws | Transport::Wss => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl ListenerSocket {
    /// Another descriptor of the socket.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Datagram(socket, _) => socket.try_clone().map(OwnedFd::from),
            Self::Stream(socket) => socket.try_clone().map(OwnedFd::from),
        }
    }

    /// The descriptor to poll, for datagram sockets.
    #[must_use]
    pub fn datagram_descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Datagram(socket, _) => Some(socket.as_fd()),
            Self::Stream(_) => None,
        }
    }

    /// Opens the socket of the listener with this index in the configuration, to serve that. Must run
    /// inside the executor that will wait on it.
    ///
    /// # Errors
    /// The kernel refuses the mode that the executor needs.
    pub fn open(self, listener: u16, service: &Service, limits: &Limits) -> io::Result<Port> {
        Ok(match self {
            Self::Datagram(socket, bound) => {
                let socket = UdpTransport::new(socket, bound, limits.segment_octets_max);
                let stalled_octets_max = limits.stalled_octets_max;
                Port::Datagram(DatagramPort::new(
                    Box::new(socket),
                    listener,
                    stalled_octets_max,
                ))
            }
            Self::Stream(socket) => Port::Stream(stream_listener(socket, service)?),
        })
    }
}

fn stream_listener(socket: TcpListener, service: &Service) -> io::Result<Box<dyn StreamListener>> {
    let inner: Box<dyn StreamListener> = match service.keyring() {
        Some(keyring) => Box::new(TlsAcceptor::new(socket, keyring.clone())?),
        None => Box::new(TcpAcceptor::new(socket)?),
    };
    Ok(match service {
        Service::Ws(origins) | Service::Wss(origins, _) => {
            Box::new(WebSocketAcceptor::new(inner, Arc::clone(origins)))
        }
        Service::Udp | Service::Tcp | Service::Tls(_) => inner,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_listener_gives_a_socket_to_each_shard() {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Wss] {
            let (bound, sockets) = bind(transport, "127.0.0.1:0".parse().unwrap(), 3).unwrap();
            assert_ne!(bound.port(), 0);
            assert_eq!(sockets.len(), 3);
            let wakes = |socket: &ListenerSocket| socket.datagram_descriptor().is_some();
            assert!(
                sockets
                    .iter()
                    .all(|socket| wakes(socket) != transport.is_reliable())
            );
        }
    }
}
