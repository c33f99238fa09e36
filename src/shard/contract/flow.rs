//! A transport flow (RFC 5626 §3): the 4-tuple or the stream that a message arrived on.

use std::net::SocketAddr;

use crate::presence::Aor;
use crate::presence::fixed_hash::fnv1a;
use crate::sip::Transport;

/// Number of a shard, from 0: its index in the list of cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard that owns a presentity. It depends on the address of record and on the number of
    /// shards only, so all shards agree, also after a restart.
    #[must_use]
    pub fn owner_of(aor: &Aor, shards: u16) -> Self {
        Self((fnv1a(aor.as_str().as_bytes()) % u64::from(shards.max(1))) as u16)
    }
}

/// Identifies a stream of this node. Datagrams carry the default value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The shard that accepted the stream. Only this shard can write to it.
    pub shard: ShardId,
    /// Number of the stream on that shard; not reused during the life of the process.
    pub number: u32,
}

/// A UDP 4-tuple or one stream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport protocol.
    pub transport: Transport,
    /// Index of the listener in the configuration.
    pub listener: u16,
    /// The stream; the default value for datagrams.
    pub connection: ConnectionId,
    /// The local address that the peer sent to; never a wildcard.
    pub local: SocketAddr,
    /// The address and port of the peer.
    pub peer: SocketAddr,
}
