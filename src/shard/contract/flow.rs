//! A flow: how a peer is reached (RFC 5626).

use std::net::SocketAddr;

use crate::presence::Aor;
use crate::presence::fixed_hash::fnv1a;
use crate::sip::Transport;

/// A shard's number: its index in the list of cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard that owns a presentity; the same answer on every shard and in every process of a
    /// node of so many shards.
    #[must_use]
    pub fn owner_of(aor: &Aor, shards: u16) -> Self {
        Self((fnv1a(aor.as_str().as_bytes()) % u64::from(shards.max(1))) as u16)
    }
}

/// A stream of this node; the default for datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The shard that accepted it, and alone can write to it.
    pub shard: ShardId,
    /// Never reused by that shard within a process.
    pub number: u32,
}

/// A UDP 4-tuple or one stream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// UDP or TCP.
    pub transport: Transport,
    /// The index of the listener in the configuration.
    pub listener: u16,
    /// The stream, when it is one.
    pub connection: ConnectionId,
    /// The local address the peer spoke to (never a wildcard).
    pub local: SocketAddr,
    /// The peer.
    pub peer: SocketAddr,
}
