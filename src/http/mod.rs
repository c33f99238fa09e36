//! http (to be written)

pub mod engine;

pub use engine::Engine;
pub use engine::Unavailable;

use std::sync::Arc;
use std::sync::RwLock;

use crate::shard::Directory;

/// The directory in force; replaced as a whole when the configuration is read again.
pub type SharedDirectory = Arc<RwLock<Arc<Directory>>>;

/// What the HTTP core serves.
#[derive(Debug)]
pub struct HttpPlan<E> {
    /// Bound and listening sockets for everybody.
    pub listeners: Vec<std::net::TcpListener>,
    /// The bound and listening socket of the operator's commands.
    pub control: Option<std::os::unix::net::UnixListener>,
    /// The way to the shards.
    pub engine: E,
    /// Domains and accounts.
    pub directory: SharedDirectory,
}

/// Serves until it is dropped (at once done when there is no socket). Must be called on a glommio executor.
pub async fn serve<E: Engine>(plan: HttpPlan<E>) {
    let _ = plan;
}
