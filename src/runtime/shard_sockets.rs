//! The sockets that a shard is given at the start.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::net::listener::ListenerSocket;
use crate::shard::Flow;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct ShardSockets {
    /// By listener.
    pub(crate) listening: Vec<ListenerSocket>,
    /// Those of shards that an earlier process had and this one has not, with the index of their
    /// listener; the last first. The first shard has them all: they are few, and seldom.
    pub(crate) surplus: Vec<(u16, ListenerSocket)>,
    /// The streams of an earlier process that this shard continues.
    pub(crate) streams: Vec<ContinuedStream>,
    /// Those of all shards.
    pub(crate) continued: Arc<[Flow]>,
}

/// A stream that an earlier process accepted and this one continues.
#[derive(Debug)]
pub(crate) struct ContinuedStream {
    /// Its name in this process, and its addresses.
    pub(crate) flow: Flow,
    /// The connected socket.
    pub(crate) socket: OwnedFd,
    /// How long something depends on it.
    pub(crate) in_use: Duration,
}
