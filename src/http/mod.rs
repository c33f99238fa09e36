//! HTTP on a core of its own: `call_state.htm` (W:D1), health, metrics, and the operator's
//! questions and commands on a Unix socket.
//!
//! Guarantees: query strings, passwords and called numbers reach no log and no public answer;
//! nothing a client does holds a connection longer than the times in `server`; connections,
//! heads and bodies have maxima. HTTP is hyper's; the sockets are glommio's.
//!
//! Is not: TLS, which a proxy before it does; a way into the shards other than [`Engine`].

mod answer;
mod attempts;
mod call_state;
mod connections;
mod control;
mod directory;
pub mod engine;
pub mod facts;
mod failed_attempts;
mod monitor;
mod server;

pub use connections::SPARE_CONNECTIONS;
pub use directory::SharedDirectory;
pub use engine::Engine;
pub use engine::Reloaded;
pub use engine::Unavailable;
pub use facts::Facts;

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join;
use futures_util::future::join_all;

use crate::directory::Directory;
use crate::http::attempts::Attempts;
use crate::http::connections::Connections;
use crate::http::server::listener;
use crate::http::server::listener::Door;
use crate::net::bind;
use crate::net::connection_limits::ConnectionLimits;
use crate::shard::contract::overload_options::OverloadOptions;
use crate::sip::digest::Secret;

/// Connections at the operator's socket.
const CONTROL_CONNECTIONS: ConnectionLimits = ConnectionLimits {
    connections_max: 32,
    per_address_max: 32,
};

/// What the HTTP core serves.
#[derive(Debug)]
pub struct HttpPlan<E> {
    /// Bound and listening sockets for everybody.
    pub listeners: Vec<std::net::TcpListener>,
    /// The bound and listening socket of the operator's commands.
    pub control: Option<std::os::unix::net::UnixListener>,
    /// How many connections there may be at the public sockets, and as many at the operator's.
    pub connections: ConnectionLimits,
    /// The way to the shards.
    pub engine: E,
    /// Domains and accounts.
    pub directory: SharedDirectory,
    /// What the node says of itself.
    pub facts: Facts,
    /// How often a password may be wrong, and who is exempt.
    pub shield: OverloadOptions,
}

/// What every request may look at.
struct Site<E> {
    public: Connections,
    control: Connections,
    engine: E,
    directory: SharedDirectory,
    facts: Facts,
    /// Compared with when there is no account, so that a wrong user costs what a wrong password
    /// costs (W:D1.8).
    decoy: Secret,
    attempts: Attempts,
}

impl<E> Site<E> {
    /// The connections of one of our doors.
    fn connections(&self, door: Door) -> &Connections {
        match door {
            Door::Public => &self.public,
            Door::Control => &self.control,
        }
    }

    /// The directory in force now.
    fn directory(&self) -> Arc<Directory> {
        self.directory.current()
    }
}

/// Serves until it is dropped (at once done when there is no socket). Must be called on a glommio
/// executor.
pub async fn serve<E: Engine>(plan: HttpPlan<E>) {
    let decoy = Secret::new("nobody", "invalid", "");
    let site = Rc::new(Site {
        public: Connections::new(plan.connections),
        control: Connections::new(CONTROL_CONNECTIONS),
        engine: plan.engine,
        directory: plan.directory,
        facts: plan.facts,
        decoy,
        attempts: Attempts::new(plan.shield),
    });
    let public = plan
        .listeners
        .into_iter()
        .map(|listener| (Door::Public, OwnedFd::from(listener)));
    let control = plan
        .control
        .into_iter()
        .map(|listener| (Door::Control, OwnedFd::from(listener)));
    let doors =
        public.chain(control).filter_map(|(door, listener)| {
            match bind::accept_on_executor(listener) {
                Ok(listener) => Some(listener::accept(listener, door, Rc::clone(&site))),
                Err(error) => {
                    tracing::error!(%error, ?door, "a listening socket cannot be used");
                    None
                }
            }
        });
    let accepting = join_all(doors.collect::<Vec<_>>());
    let sweeping = listener::sweep(Rc::clone(&site));
    join(accepting, sweeping).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
