//! Inputs of a shard: SIP messages, mail from other shards, operator commands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::shard::contract::certificates::CertificateNames;
use crate::shard::contract::command::{Command, CommandId};
use crate::shard::contract::commit::{NotedChange, RecordKey};
use crate::shard::contract::dial::DialId;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::LinkId;
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
    /// The handshake of a stream has verified a certificate of the peer with these names; before the first
    /// message on it.
    Certified(ConnectionId, Arc<CertificateNames>),
    /// A stream ended. Dialogs on it cannot be reached until their phone returns (RFC 5626).
    Closed(ConnectionId),
    /// A stream that the engine wanted is open: a flow like any other from now on.
    Dialed(DialId, Flow),
    /// A stream that the engine wanted could not be opened.
    DialFailed(DialId),
    /// The addresses of a name that the engine wanted looked up, best first; none if it has none, or if
    /// they were not to be had.
    Located(DialId, &'a [SocketAddr]),
    /// The flows to the server of a connector, best first; none if it has no address, or if no listener
    /// reaches it.
    Routed(LinkId, &'a [Flow]),
    /// Mail from another shard.
    Mail(Mail),
    /// The records of this shard up to this number are durable.
    Durable(u64),
    /// What an earlier process recorded.
    Recovered(Recovered<'a>),
    /// An operator command: from HTTP, the command line, or a signal.
    Command(CommandId, Command),
}

/// What an earlier process recorded, in the order of the variants: `Begin` before any message, `Changes`, then all
/// presentities and waiting watchers on all shards, then the dialogs, then `End`. Other inputs may come in between.
///
/// Dialogs come in any order. Those that the shard asks for
/// ([`Outbox::wanted_dialogs`](crate::shard::Outbox::wanted_dialogs)) come first, and may come once more
/// with the others; that has no effect.
///
/// A record goes to the shard that [`recovering_shard`](crate::shard::recovering_shard) names.
#[derive(Clone, Copy, Debug)]
pub enum Recovered<'a> {
    /// Records will come.
    Begin {
        /// One beyond the highest place of a dialog.
        dialogs_end: u32,
        /// One beyond the highest number of a presentity.
        presentities_end: u64,
        /// The time of the last commit; None if it is not known. Phones that had been notified of everything
        /// by then are not notified again.
        committed_at: Option<Instant>,
    },
    /// The last changes that earlier processes noted, to every shard, before any record: their records may
    /// be lost.
    Changes(&'a [NotedChange]),
    /// A record, as it was written.
    Record(RecordKey, &'a [u8]),
    /// A stream of the earlier process that goes on; before the first dialog, to every shard.
    Stream(Flow),
    /// There is no record of the dialog at this place, which the shard asked for.
    Absent(u32),
    /// There are no more records.
    End,
}
