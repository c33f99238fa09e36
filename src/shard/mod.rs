//! The engine of one core, where SIP and the domain meet. Synchronous, single-owner, deterministic: input and time in, effects out.

pub mod directory;
pub mod flow;
pub mod mail;
pub mod options;
pub mod outbox;

pub use directory::Directory;
pub use flow::ConnectionId;
pub use flow::Flow;
pub use flow::ShardId;
pub use mail::Command;
pub use mail::Input;
pub use mail::Mail;
pub use mail::Reply;
pub use mail::Token;
pub use options::Options;
pub use outbox::Outbox;
pub use outbox::Transmit;

use std::sync::Arc;
use std::time::Instant;

use crate::presence::Aor;

/// One core's engine.
///
/// Contract: give one input (or a timeout), then drain the outbox before the next. `now` never goes back. The same seed and inputs
/// give the same octets. [`Shard::poll_timeout`] says when [`Shard::handle_timeout`] wants to be called; it may be at once, when a turn left
/// work over.
#[derive(Debug)]
pub struct Shard {}

impl Shard {
    /// An empty engine.
    #[must_use]
    pub fn new(options: Options, directory: Arc<Directory>, seed: [u8; 32]) -> Self {
        todo!()
    }

    /// The shard that owns a presentity; the same answer on every shard and in every process of a node.
    #[must_use]
    pub fn owner(aor: &Aor, shards: u16) -> ShardId {
        todo!()
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input<'_>, now: Instant, out: &mut Outbox) {
        todo!()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        todo!()
    }

    /// When something is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
}
