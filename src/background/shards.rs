//! The interface of the engine that services use.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::directory::Directory;
use crate::directory::connectors::ServerAddress;
use crate::shard::{Command, Reply, ShardId};

/// The shards, the directory in force, and the name service.
pub trait Shards {
    /// How many shards there are.
    fn count(&self) -> u16;

    /// Gives a shard a command before it returns; None if it does not respond.
    fn ask(&self, shard: ShardId, command: Command) -> LocalBoxFuture<'static, Option<Reply>>;

    /// The directory in force now.
    fn directory(&self) -> Arc<Directory>;

    /// The addresses of a server, best first, or why there is none.
    fn locate(
        &self,
        server: &ServerAddress,
        default_port: u16,
    ) -> LocalBoxFuture<'static, Result<Vec<SocketAddr>, String>>;

    /// The time now, in milliseconds since 1970 UTC.
    fn unix_milliseconds(&self) -> i64;
}
