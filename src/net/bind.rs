//! Binds one socket per shard to the same address; fails if another process already uses it.
//!
//! The sockets of a listener share their port (SO_REUSEPORT), and the kernel distributes peers
//! among them by 4-tuple. That option would also let a second daemon of the same user join in
//! silently and take half the phones; so the port is first bound without it, which fails when it is
//! taken. All sockets are bound before any core starts: the distribution changes whenever a socket
//! joins or leaves the group.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use std::{io, thread};

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::net::kernel_options;

/// Octets wanted in each socket's buffers: a burst of tens of thousands of datagrams must be
/// buffered there until the next turn.
const DATAGRAM_BUFFER_OCTETS: usize = 8 * 1024 * 1024;
/// The backlog of `listen`: connections that the kernel completes before we accept them.
const ACCEPT_BACKLOG: i32 = 4096;
/// How long to wait for a killed predecessor to release its ports.
const PREDECESSOR_PATIENCE: Duration = Duration::from_millis(300);
/// How often the port is tried meanwhile.
const PREDECESSOR_POLL: Duration = Duration::from_millis(20);
/// Ports tried if another process takes the free one before all sockets are bound to it.
const FREE_PORT_TRIES: usize = 8;

/// An address that could not be bound, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {transport} {address}: {reason}{}", advice(.reason.kind()))]
pub struct BindError {
    /// `udp`, `tcp`, `http`.
    pub transport: &'static str,
    /// The address as configured.
    pub address: SocketAddr,
    /// The OS error.
    pub reason: io::Error,
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => {
            " (another process, perhaps a second lamplighter, is using it: `ss -lnp` shows which)"
        }
        io::ErrorKind::PermissionDenied => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has that address)",
        _ => "",
    }
}

/// Binds `count` UDP sockets to one address. Port 0 takes a free one for all.
pub fn udp(address: SocketAddr, count: usize) -> Result<(SocketAddr, Vec<UdpSocket>), BindError> {
    let bind = |address, shared| bind_udp(address, shared).map(UdpSocket::from);
    group(address, count, bind, UdpSocket::local_addr).map_err(|reason| BindError {
        transport: "udp",
        address,
        reason,
    })
}

/// Binds `count` listening TCP sockets to one address. Port 0 takes a free one for all.
pub fn tcp(address: SocketAddr, count: usize) -> Result<(SocketAddr, Vec<TcpListener>), BindError> {
    let bind = |address, shared| bind_tcp(address, shared).map(TcpListener::from);
    group(address, count, bind, TcpListener::local_addr).map_err(|reason| BindError {
        transport: "tcp",
        address,
        reason,
    })
}

/// Binds the one socket of an HTTP listener.
pub fn http(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = bind_patiently(|| bind_tcp(address, false)).map(TcpListener::from);
    bound.map_err(|reason| BindError {
        transport: "http",
        address,
        reason,
    })
}

/// Binds `count` more UDP sockets to an address that sockets are bound to already.
pub fn more_udp(address: SocketAddr, count: usize) -> Result<Vec<UdpSocket>, BindError> {
    let bind = |_| bind_udp(address, true).map(UdpSocket::from);
    let sockets: io::Result<_> = (0..count).map(bind).collect();
    sockets.map_err(|reason| BindError {
        transport: "udp",
        address,
        reason,
    })
}

/// Binds `count` more listening TCP sockets to an address that sockets are bound to already.
pub fn more_tcp(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, BindError> {
    let bind = |_| bind_tcp(address, true).map(TcpListener::from);
    let sockets: io::Result<_> = (0..count).map(bind).collect();
    sockets.map_err(|reason| BindError {
        transport: "tcp",
        address,
        reason,
    })
}

fn group<S>(
    address: SocketAddr,
    count: usize,
    bind: impl Fn(SocketAddr, bool) -> io::Result<S>,
    local: impl Fn(&S) -> io::Result<SocketAddr>,
) -> io::Result<(SocketAddr, Vec<S>)> {
    let mut tries = if address.port() == 0 {
        FREE_PORT_TRIES
    } else {
        1
    };
    loop {
        tries -= 1;
        let alone = bind_patiently(|| bind(address, false))?;
        let bound = local(&alone)?;
        drop(alone);
        match (0..count).map(|_| bind(bound, true)).collect() {
            Ok(sockets) => return Ok((bound, sockets)),
            Err(error) if tries == 0 || error.kind() != io::ErrorKind::AddrInUse => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}

/// A killed process frees its ports a moment after its end: the kernel closes files still
/// referenced by its io_uring in the background. So a port that is taken is tried again for a
/// while.
fn bind_patiently<S>(bind: impl Fn() -> io::Result<S>) -> io::Result<S> {
    let deadline = Instant::now() + PREDECESSOR_PATIENCE;
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(PREDECESSOR_POLL)
            }
            result => return result,
        }
    }
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // One family per listener: each peer address has a single representation, and 0.0.0.0 and
        // [::] can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bind_udp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    if shared {
        socket.set_reuse_port(true)?;
        kernel_options::enlarge_buffers(&socket, DATAGRAM_BUFFER_OCTETS);
        kernel_options::report_lost_datagrams(socket.as_fd())?;
        kernel_options::receive_trains(socket.as_fd());
        if address.ip().is_unspecified() {
            kernel_options::report_local_address(socket.as_fd(), address.is_ipv6())?;
        }
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_tcp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // Connections of an earlier process that linger in TIME_WAIT do not prevent binding; a
    // listening socket still does.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Every accepted connection inherits these three.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive())?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(60)))?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(socket)
}

/// Detects a peer that vanished without closing, within about five minutes.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(180))
        .with_interval(Duration::from_secs(30))
        .with_retries(4)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn all_sockets_of_a_listener_share_the_port_that_was_free() {
        let (address, sockets) = udp(loopback(), 3).unwrap();
        assert_ne!(address.port(), 0);
        assert!(
            sockets
                .iter()
                .all(|socket| socket.local_addr().unwrap() == address)
        );
        let (address, listeners) = tcp(loopback(), 3).unwrap();
        assert!(
            listeners
                .iter()
                .all(|listener| listener.local_addr().unwrap() == address)
        );
    }

    #[test]
    fn a_second_daemon_is_refused() {
        let (address, _sockets) = udp(loopback(), 2).unwrap();
        let refused = udp(address, 2).unwrap_err();
        assert_eq!(refused.reason.kind(), io::ErrorKind::AddrInUse);
        assert!(
            refused.to_string().contains("second lamplighter"),
            "{refused}"
        );
        let (address, _listeners) = tcp(loopback(), 2).unwrap();
        assert_eq!(
            tcp(address, 2).unwrap_err().reason.kind(),
            io::ErrorKind::AddrInUse
        );
        assert_eq!(
            http(address).unwrap_err().reason.kind(),
            io::ErrorKind::AddrInUse
        );
    }

    #[test]
    fn a_listener_can_be_bound_again_at_once() {
        let (address, listeners) = tcp(loopback(), 1).unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        // Our side closes first and stays in TIME_WAIT.
        drop(accepted);
        drop(client);
        drop(listeners);
        assert_eq!(tcp(address, 2).unwrap().0, address);
    }

    #[test]
    fn the_kernel_spreads_datagrams_over_all_sockets_of_a_listener() {
        let (address, sockets) = udp(loopback(), 2).unwrap();
        for _ in 0..64 {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.send_to(b"x", address).unwrap();
        }
        let received = |socket: &UdpSocket| {
            socket.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| socket.recv(&mut [0; 8]).ok()).count()
        };
        let counts: Vec<usize> = sockets.iter().map(received).collect();
        assert_eq!(counts.iter().sum::<usize>(), 64);
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }
}
