//! The effects of a turn: messages to send, mail, replies, durable records, state changes, entries for the
//! log.
//!
//! The driver applies the effects in order and clears the outbox. Its buffers are reused, so a shard
//! in steady state allocates nothing.

use std::ops::Range;
use std::time::Instant;

use crate::shard::contract::command::{CommandId, Reply};
use crate::shard::contract::commit::{NotedChange, RecordChange};
use crate::shard::contract::connector::{Route, UpstreamDifference};
use crate::shard::contract::dial::{Dial, Lookup};
use crate::shard::contract::flow::{ConnectionId, Flow, ShardId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::report::{AuthenticationFailure, LoopReport};
use crate::shard::contract::state_change::StateChange;

/// One message to send: `head`, then `tail`, both ranges of the arena. Several messages may share
/// one tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The flow to send it on, to `flow.peer`.
    pub flow: Flow,
    /// The start line, the headers, and the part of the body that is specific to this recipient.
    pub head: Range<usize>,
    /// The rest of the body; may be empty.
    pub tail: Range<usize>,
}

/// A request that is answered with 2xx, for statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which.
    pub request: AnsweredRequest,
    /// When it arrived at the first shard that saw it.
    pub arrived: Instant,
}

/// The kinds of requests of which it is counted how long they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredRequest {
    /// PUBLISH
    Publish,
    /// SUBSCRIBE, initial or in a dialog.
    Subscribe,
    /// REGISTER
    Register,
}

/// The effects of one or more turns, each kind in the order it was produced.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The octets that `transmits`, `records` and `state_changes` refer to.
    pub arena: Vec<u8>,
    /// SIP messages to send.
    pub transmits: Vec<Transmit>,
    /// The requests of which the 2xx is among these, or goes to the shard of its stream.
    pub answered: Vec<Answered>,
    /// Mail to other shards. The driver must not lose any.
    pub mail: Vec<(ShardId, Mail)>,
    /// Replies to commands.
    pub replies: Vec<(CommandId, Reply)>,
    /// Records to be made durable, in this order, and before anything of a later turn. Empty with
    /// [`Durability::None`](crate::shard::contract::commit::Durability::None).
    pub records: Vec<RecordChange>,
    /// Changes of composed states that this turn's messages and mail tell of: to be noted before any of
    /// these leaves. Empty as `records` is.
    pub changes: Vec<NotedChange>,
    /// The number of the last of all records so far: to be reported by
    /// [`Input::Durable`](crate::shard::Input::Durable) once they are durable.
    pub recorded_through: u64,
    /// Places of dialogs that requests wait for while records are recovered: their records are to be
    /// recovered next, with [`Recovered::Absent`](crate::shard::Recovered::Absent) for one that has none.
    pub wanted_dialogs: Vec<u32>,
    /// Changes of composed state, for the history, for readers of events and for traces. Empty unless
    /// [`Options`](crate::shard::Options) has `writes_history`, `tells_changes` or `is_traced`.
    pub state_changes: Vec<StateChange>,
    /// Streams of this shard that must stay open until the given time, even when idle.
    pub kept: Vec<(ConnectionId, Instant)>,
    /// Streams to be opened.
    pub dials: Vec<Dial>,
    /// Names to be looked up.
    pub lookups: Vec<Lookup>,
    /// Servers of connectors to be found.
    pub routes: Vec<Route>,
    /// Looping phones, for the log; rate limited.
    pub alarms: Vec<LoopReport>,
    /// Authentication failures, for the log; rate limited.
    pub failures: Vec<AuthenticationFailure>,
    /// Differences that refreshes of connectors found, for the log; limited.
    pub differences: Vec<UpstreamDifference>,
    /// Number of times the outbox was cleared.
    generation: u64,
}

impl Outbox {
    /// Removes all effects and keeps the buffers.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.transmits.clear();
        self.answered.clear();
        self.mail.clear();
        self.replies.clear();
        self.records.clear();
        self.changes.clear();
        self.wanted_dialogs.clear();
        self.state_changes.clear();
        self.kept.clear();
        self.dials.clear();
        self.lookups.clear();
        self.routes.clear();
        self.alarms.clear();
        self.failures.clear();
        self.differences.clear();
        self.generation += 1;
    }

    /// Number of times the outbox was cleared. A range of the arena is valid only while it is
    /// unchanged.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there are no effects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty()
            && self.mail.is_empty()
            && self.replies.is_empty()
            && self.records.is_empty()
            && self.changes.is_empty()
            && self.wanted_dialogs.is_empty()
            && self.state_changes.is_empty()
            && self.kept.is_empty()
            && self.dials.is_empty()
            && self.lookups.is_empty()
            && self.routes.is_empty()
            && self.alarms.is_empty()
            && self.failures.is_empty()
            && self.differences.is_empty()
    }

    /// The octets of a record; None if it is removed.
    #[must_use]
    pub fn octets_of(&self, change: &RecordChange) -> Option<&[u8]> {
        let octets = change.octets.clone()?;
        Some(self.arena.get(octets).unwrap_or_default())
    }

    /// A text that a state change refers to.
    #[must_use]
    pub fn text(&self, range: &Range<usize>) -> &str {
        let octets = self.arena.get(range.clone()).unwrap_or_default();
        std::str::from_utf8(octets).unwrap_or_default()
    }

    /// The octets of a message: its head and its tail.
    #[must_use]
    pub fn pieces(&self, transmit: &Transmit) -> [&[u8]; 2] {
        [
            self.arena.get(transmit.head.clone()).unwrap_or_default(),
            self.arena.get(transmit.tail.clone()).unwrap_or_default(),
        ]
    }
}
