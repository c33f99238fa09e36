//! What a shard is told: octets from the network, mail from other shards, commands.

use crate::shard::contract::command::Command;
use crate::shard::contract::command::CommandId;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::mail::Mail;
use crate::sip::message::PlainResponse;

/// One input of [`crate::shard::Shard::handle`].
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, or one message cut from a stream.
    Message {
        /// How it came.
        flow: Flow,
        /// The octets.
        bytes: &'a [u8],
    },
    /// One message cut from a stream, which had to be read for that.
    Response {
        /// How it came.
        flow: Flow,
        /// The octets.
        bytes: &'a [u8],
        /// What they say.
        response: PlainResponse<'a>,
    },
    /// A stream ended; what is bound to it has no way out any more (W:A6.8).
    Closed(ConnectionId),
    /// From another shard.
    Mail(Mail),
    /// From the operator's side: HTTP, command line, signals.
    Command(CommandId, Command),
}
