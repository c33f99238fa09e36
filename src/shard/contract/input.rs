//! What a shard is told: octets from the network, mail from other shards, commands.

use crate::shard::contract::command::Command;
use crate::shard::contract::command::Token;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::mail::Mail;
use crate::sip::message::PlainResponse;

/// One input of [`crate::shard::Shard::handle`].
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, or one message cut from a stream.
    Datagram {
        /// How it came.
        flow: Flow,
        /// The octets.
        bytes: &'a [u8],
    },
    /// One message cut from a stream, which had to be read for that.
    Answer {
        /// How it came.
        flow: Flow,
        /// The octets.
        bytes: &'a [u8],
        /// What they say.
        answer: PlainResponse<'a>,
    },
    /// A stream ended; what is bound to it has no way out any more (W:A6.8).
    Closed(ConnectionId),
    /// From another shard.
    Mail(Mail),
    /// From the operator's side: HTTP, command line, signals.
    Command(Token, Command),
}
