//! The interface of the engine that this room uses.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::directory::Directory;
use crate::shard::{Command, Reply, ShardId};

/// The shards, and the directory in force.
pub trait Shards {
    /// How many shards there are.
    fn count(&self) -> u16;

    /// Gives a shard a command; None if it does not respond.
    fn ask(&self, shard: ShardId, command: Command) -> LocalBoxFuture<'static, Option<Reply>>;

    /// The directory in force now.
    fn directory(&self) -> Arc<Directory>;

    /// The time now, in milliseconds since 1970 UTC.
    fn unix_milliseconds(&self) -> i64;
}
