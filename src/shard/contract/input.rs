//! Inputs of a shard: SIP messages, mail from other shards, operator commands.

use crate::shard::contract::command::{Command, CommandId};
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::mail::Mail;
use crate::sip::message::PlainResponse;

/// One input of [`crate::shard::Shard::handle`].
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, or one message cut from a stream.
    Message {
        /// The flow it arrived on.
        flow: Flow,
        /// The message.
        bytes: &'a [u8],
    },
    /// A plain 200 that the stream's framing has already parsed.
    Response {
        /// The flow it arrived on.
        flow: Flow,
        /// The message.
        bytes: &'a [u8],
        /// The parsed message.
        response: PlainResponse<'a>,
    },
    /// A stream ended. Dialogs on it cannot be reached until their phone returns (RFC 5626).
    Closed(ConnectionId),
    /// Mail from another shard.
    Mail(Mail),
    /// An operator command: from HTTP, the command line, or a signal.
    Command(CommandId, Command),
}
