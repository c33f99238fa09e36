//! UDP sockets towards one peer, and the address of this machine that messages to it leave from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::shard::{ConnectionId, Flow};
use crate::sip::Transport;

/// The source address the kernel would use towards `peer`. Sends nothing.
///
/// # Errors
/// There is no route to the peer.
pub fn towards(peer: SocketAddr) -> io::Result<IpAddr> {
    Ok(socket_towards(peer)?.local_addr()?.ip())
}

/// The flow to another server by a transport: from the listener bound to the source address that the kernel
/// would choose, or bound to the wildcard. None if there is no such listener, or no route.
#[must_use]
pub fn flow_to(
    listeners: &[(Transport, SocketAddr)],
    transport: Transport,
    peer: SocketAddr,
) -> Option<Flow> {
    let source = towards(peer).ok()?;
    let is_right = |(_, (used, bound)): &(u16, &(Transport, SocketAddr))| {
        let reaches = bound.ip() == source || bound.ip().is_unspecified();
        *used == transport && bound.is_ipv4() == peer.is_ipv4() && reaches
    };
    let (listener, (_, bound)) = (0..).zip(listeners).find(is_right)?;
    Some(Flow {
        transport,
        listener,
        connection: ConnectionId::default(),
        local: SocketAddr::new(source, bound.port()),
        peer,
    })
}

/// A socket that is connected to `peer`, at any free port.
///
/// # Errors
/// There is no route to the peer, or no socket.
pub fn socket_towards(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(peer)?;
    Ok(socket)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback() {
        let source = towards("127.0.0.1:9".parse().unwrap()).unwrap();
        assert!(source.is_loopback());
    }
}
