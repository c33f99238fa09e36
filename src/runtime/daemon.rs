//! The daemon's main thread: starts the node, waits for signals, drains.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::runtime::error::BootError;
use crate::runtime::node::Node;
use crate::runtime::notify;
use crate::runtime::notify::State;
use crate::runtime::plan::NodePlan;
use crate::runtime::signals;
use crate::runtime::signals::Request;
use crate::shard::Directory;

/// How long draining may take.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked whether all cores still run.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Why the daemon ended otherwise than it was told to.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It did not start.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// A core is gone; the process should be started anew.
    #[error("{0} has ended unexpectedly")]
    CoreEnded(String),
}

/// Runs a node until SIGTERM or SIGINT. At SIGHUP `reload` reads the configuration and gives the
/// new domains and accounts, or None when it is no good (having said why); `started` is called once
/// everything listens.
pub fn run(
    plan: NodePlan,
    started: impl FnOnce(&Node),
    mut reload: impl FnMut() -> Option<Arc<Directory>>,
) -> Result<(), DaemonError> {
    // Before the first thread, so that a signal during boot is not lost.
    let requests = signals::listen().map_err(DaemonError::Signals)?;
    let node = Node::start(plan)?;
    announce(&node);
    started(&node);
    notify::tell(State::Ready);
    loop {
        match requests.recv_timeout(WATCH_EVERY) {
            Ok(Request::Reload) => apply(&node, reload()),
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(ended) = node.poll_ended() {
                    tracing::error!(
                        core = ended.core,
                        panicked = ended.has_panicked,
                        "a core has ended, so the whole node does"
                    );
                    notify::tell(State::Stopping);
                    node.stop(Duration::ZERO);
                    return Err(DaemonError::CoreEnded(ended.core));
                }
            }
        }
    }
    notify::tell(State::Stopping);
    tracing::info!("draining");
    match node.stop(DRAIN_PATIENCE) {
        0 => tracing::info!("stopped"),
        outstanding => tracing::warn!(outstanding, "stopped with NOTIFYs unanswered"),
    }
    Ok(())
}

fn announce(node: &Node) {
    for (transport, address) in node.sip_addresses() {
        tracing::info!(%address, "SIP over {}", transport.via_token());
    }
    for address in node.http_addresses() {
        tracing::info!(%address, "HTTP");
    }
}

fn apply(node: &Node, directory: Option<Arc<Directory>>) {
    let Some(directory) = directory else {
        tracing::error!("the configuration is not reloaded, the old one stays in force");
        return;
    };
    match node.reload(directory) {
        Ok(()) => tracing::info!("domains, all that is of them, and profiles reloaded"),
        Err(error) => tracing::error!(%error, "domains and accounts are not reloaded everywhere"),
    }
}
