//! The limits of one shard's sockets, and what happens beyond each.

use std::time::Duration;

use crate::net::connection_limits::ConnectionLimits;

/// The limits of one shard's sockets. What happens beyond a limit is written beside it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of datagrams waiting for room in a socket's send buffer; more are dropped and
    /// counted, the peer's timers recover.
    pub stalled_octets_max: usize,
    /// Largest datagram that may be batched with others to the same destination (UDP GSO); 0
    /// disables batching.
    pub segment_octets_max: usize,
    /// Stream connections of one shard.
    pub connections: ConnectionLimits,
    /// Handshakes of one shard's streams.
    pub handshakes: HandshakeLimits,
    /// Idle timeout of a stream, unless a live subscription, publication or registration was
    /// received on it.
    pub idle_timeout: Duration,
    /// `idle_timeout` while room is short.
    pub idle_timeout_short: Duration,
    /// Timeout for opening a stream to a peer.
    pub connect_timeout: Duration,
    /// Octets waiting for a peer that does not read; beyond it the connection is closed. More than
    /// the longest NOTIFY of a list.
    pub outbound_octets_max: usize,
    /// Timeout for the first complete message after connecting, and for each later message after
    /// its first octet, or the connection is closed (W:E2.8).
    pub message_timeout: Duration,
    /// Octets of start line and headers on a stream; beyond it the connection is closed (RFC 3261
    /// §18.3).
    pub head_octets_max: usize,
    /// Octets of a whole message on a stream; beyond it the connection is closed.
    pub message_octets_max: usize,
}

/// The limits of the handshakes of one thread's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Handshakes at once; one more connection is closed at once. Peers at one address are closed earlier
    /// ([`Handshakes`](crate::net::stream::handshakes::Handshakes)).
    pub at_once_max: usize,
    /// Timeout for a handshake, after which the connection is closed.
    pub timeout: Duration,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self {
            at_once_max: 1024,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stalled_octets_max: 4 * 1024 * 1024,
            segment_octets_max: 1400,
            connections: ConnectionLimits {
                connections_max: 32 * 1024,
                per_address_max: 1024,
            },
            handshakes: HandshakeLimits::default(),
            idle_timeout: Duration::from_secs(600),
            idle_timeout_short: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            outbound_octets_max: 6 * 1024 * 1024,
            message_timeout: Duration::from_secs(30),
            head_octets_max: 64 * 1024,
            message_octets_max: 128 * 1024,
        }
    }
}
