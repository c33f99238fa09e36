//! The effects of a turn: octets to send, mail, replies. Cleared by the driver, never freed: the
//! steady state allocates nothing.

use std::ops::Range;
use std::time::Instant;

use crate::shard::contract::command::CommandId;
use crate::shard::contract::command::Reply;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::flow::ShardId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::report::AuthenticationFailure;
use crate::shard::contract::report::LoopReport;

/// One message to send: two pieces of the arena, one after the other (the second is shared between
/// watchers and may be empty).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub flow: Flow,
    /// Start line, headers, and what of the body is this recipient's own.
    pub head: Range<usize>,
    /// The rest of the body.
    pub tail: Range<usize>,
}

/// Effects, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The octets `transmits` point into.
    pub arena: Vec<u8>,
    /// Messages to peers.
    pub transmits: Vec<Transmit>,
    /// Mail to other shards; must not be lost.
    pub mail: Vec<(ShardId, Mail)>,
    /// Answers to commands.
    pub replies: Vec<(CommandId, Reply)>,
    /// Streams of this shard by which something came that lives until then.
    pub kept: Vec<(ConnectionId, Instant)>,
    /// Phones that loop, for the log; few.
    pub alarms: Vec<LoopReport>,
    /// Failed authentications, for the log; few.
    pub failures: Vec<AuthenticationFailure>,
    /// How often the arena was cleared.
    generation: u64,
}

impl Outbox {
    /// Forgets the effects, keeps the room.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.transmits.clear();
        self.mail.clear();
        self.replies.clear();
        self.kept.clear();
        self.alarms.clear();
        self.failures.clear();
        self.generation += 1;
    }

    /// Tells one filling of the arena from another.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty()
            && self.mail.is_empty()
            && self.replies.is_empty()
            && self.kept.is_empty()
            && self.alarms.is_empty()
            && self.failures.is_empty()
    }

    /// The two pieces of a message.
    #[must_use]
    pub fn pieces(&self, transmit: &Transmit) -> [&[u8]; 2] {
        [
            self.arena.get(transmit.head.clone()).unwrap_or_default(),
            self.arena.get(transmit.tail.clone()).unwrap_or_default(),
        ]
    }
}
