//! What this room needs of the engine: somebody who carries a command to a shard and brings the
//! reply.

use std::future::Future;

use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::ShardId;

/// The way to the shards, as seen from the HTTP core. A clone is another handle of the same engine.
pub trait Engine: Clone + 'static {
    /// How many shards there are.
    fn shards(&self) -> u16;

    /// Gives a shard a command, before it returns; what it returns waits for the reply. So commands
    /// of one caller arrive in the order of its calls, whatever it does with what is returned.
    fn ask(
        &self,
        shard: ShardId,
        command: Command,
    ) -> impl Future<Output = Result<Reply, Unavailable>>;

    /// Has the configuration read again, and waits for what comes of it.
    fn reload(&self, accepts_removal: bool) -> impl Future<Output = Result<Reloaded, Unavailable>>;

    /// Whether the node takes new work: every shard runs and nobody asked it to drain.
    fn is_ready(&self) -> bool;
}

/// What came of a reload, in words for the operator: what is in force now, or why nothing changed.
pub type Reloaded = Result<String, String>;

/// The shard did not take the command or did not answer: it is full, or the node is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard does not answer")]
pub struct Unavailable;
