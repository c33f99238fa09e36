//! Streams that we open to phones, because theirs ended or a NOTIFY is too long for a datagram, and names
//! that are looked up for that.

use std::net::SocketAddr;
use std::sync::Arc;

pub use crate::shard::contract::ids::DialId;

use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::sip::Transport;
use crate::sip::location::Question;

/// A stream to be opened. The driver reports the outcome once, by
/// [`Input::Dialed`](crate::shard::Input::Dialed) or
/// [`Input::DialFailed`](crate::shard::Input::DialFailed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// By which the outcome is reported.
    pub id: DialId,
    /// The transport.
    pub transport: Transport,
    /// The listener of the stream that ended, or of the datagrams.
    pub listener: u16,
    /// Our address there. It stays our address in Via and Contact: the new stream has a port
    /// of its own, on which nothing listens.
    pub local: SocketAddr,
    /// The address to connect to.
    pub peer: SocketAddr,
    /// The name of the peer, which its certificate must be for (RFC 5922 §4); None if the certificate
    /// must be for the address.
    pub host: Option<Arc<str>>,
}

/// A name to be looked up. The driver reports the addresses, best first, once, by
/// [`Input::Located`](crate::shard::Input::Located).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// By which they are reported.
    pub id: DialId,
    /// The name.
    pub question: Question,
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
