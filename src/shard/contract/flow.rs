//! Where things are: the shard that owns or holds something, and the transport flow (RFC 5626 §3),
//! the 4-tuple or stream that a message arrived on.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

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
        match shards {
            0 | 1 => Self(0),
            _ => Self((fnv1a(aor.as_str().as_bytes()) % u64::from(shards)) as u16),
        }
    }
}

/// Number of a node of the cluster; 0 for a node on its own. At most 4095, see `RoutingToken`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u16);

/// The address of a shard: where mail is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The node of the shard.
    pub node: NodeId,
    /// The shard on that node.
    pub shard: ShardId,
}

/// Identifies a stream of this node. Datagrams carry the default value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The shard that accepted the stream. Only this shard can write to it.
    pub shard: ShardId,
    /// Number of the stream on that shard; not reused during the life of the process.
    pub number: u32,
}

impl ConnectionId {
    /// A stream of an earlier process; no stream has this number.
    pub(crate) const GONE: Self = Self {
        shard: ShardId(u16::MAX),
        number: u32::MAX,
    };
}

/// A UDP 4-tuple or one stream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// How and when a message arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    /// The flow it arrived on.
    pub(crate) flow: Flow,
    /// The time of the turn in which a shard first saw it; it may have waited since.
    pub(crate) at: Instant,
}

/// In few pieces, for a keyed hasher has its price per piece. IPv6 zones are left out: two flows that
/// differ in nothing else are rare.
impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ends = [self.local.port(), self.peer.port()].map(u64::from);
        let ConnectionId { shard, number } = self.connection;
        state.write_u64(u64::from(number) << 32 | ends[0] << 16 | ends[1]);
        let transport = self.transport as u64;
        state.write_u64(u64::from(shard.0) << 32 | transport << 16 | u64::from(self.listener));
        match (self.local.ip(), self.peer.ip()) {
            (IpAddr::V4(local), IpAddr::V4(peer)) => {
                state.write_u64(u64::from(local.to_bits()) << 32 | u64::from(peer.to_bits()));
            }
            (local, peer) => (local, peer).hash(state),
        }
    }
}

/// The address and port of one end of a flow as the key of a map, hashed in few pieces as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End(pub(crate) SocketAddr);

impl Hash for End {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let port = u64::from(self.0.port());
        match self.0.ip() {
            IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits()) << 16 | port),
            IpAddr::V6(ip) => {
                state.write_u128(ip.to_bits());
                state.write_u64(port);
            }
        }
    }
}
