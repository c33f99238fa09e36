//! Streams that we open to phones, because theirs ended.

use std::net::SocketAddr;

use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::sip::Transport;

/// A stream to be opened. The driver reports the outcome by
/// [`Input::Dialed`](crate::shard::Input::Dialed) or
/// [`Input::DialFailed`](crate::shard::Input::DialFailed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// The transport.
    pub transport: Transport,
    /// The listener of the stream that ended.
    pub listener: u16,
    /// Our address on that stream. It stays our address in Via and Contact: the new stream has a port
    /// of its own, on which nothing listens.
    pub local: SocketAddr,
    /// The address to connect to.
    pub peer: SocketAddr,
}

impl Dial {
    /// The flow that the new stream is for the engine.
    #[must_use]
    pub const fn flow(&self, connection: ConnectionId) -> Flow {
        Flow {
            transport: self.transport,
            listener: self.listener,
            connection,
            local: self.local,
            peer: self.peer,
        }
    }
}
