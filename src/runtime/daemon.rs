//! The daemon's main thread: starts the node, waits for signals, drains.

use std::io;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::runtime::commander::ReloadRequest;
use crate::runtime::error::BootError;
use crate::runtime::node::Node;
use crate::runtime::plan::NodePlan;
use crate::runtime::reload::LoadedConfiguration;
use crate::runtime::service_manager::State;
use crate::runtime::signals::Request;
use crate::runtime::{reload, service_manager, signals};

/// How long draining may take.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// How often the thread checks that all cores still run.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Why the daemon ended without a request.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It did not start.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// The thread that reads the configuration again does not start.
    #[error("cannot start the thread for reloads: {0}")]
    Reload(#[source] io::Error),
    /// A core has ended; the process should be restarted.
    #[error("{0} has ended unexpectedly")]
    CoreEnded(String),
}

/// Runs a node until SIGTERM or SIGINT. On SIGHUP or an operator's reload, `load` re-reads the
/// configuration or returns its errors; `started` is called once everything listens.
pub fn run(
    plan: NodePlan,
    started: impl FnOnce(&Node),
    load: impl FnMut() -> Result<LoadedConfiguration, String> + Send + 'static,
) -> Result<(), DaemonError> {
    // Before the first thread, so that a signal during boot is not lost.
    let requests = signals::listen().map_err(DaemonError::Signals)?;
    let (reloads, reload_requests) = mpsc::channel();
    let node = Node::start_with(plan, reloads.clone())?;
    reload::start(node.reloader(), reload_requests, load).map_err(DaemonError::Reload)?;
    started(&node);
    service_manager::tell(State::Ready);
    loop {
        match requests.recv_timeout(WATCH_EVERY) {
            Ok(Request::Reload) => {
                let request = ReloadRequest {
                    accepts_removal: false,
                    replier: None,
                };
                if reloads.send(request).is_err() {
                    tracing::error!("the configuration cannot be reloaded any more: restart");
                }
            }
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(ended) = node.poll_ended() {
                    tracing::error!(
                        core = ended.core,
                        panicked = ended.has_panicked,
                        "a core has ended: stopping the node"
                    );
                    service_manager::tell(State::Stopping);
                    node.stop(Duration::ZERO);
                    return Err(DaemonError::CoreEnded(ended.core));
                }
            }
        }
    }
    service_manager::tell(State::Stopping);
    tracing::info!("draining");
    match node.stop(DRAIN_PATIENCE) {
        0 => tracing::info!("stopped"),
        outstanding => tracing::warn!(outstanding, "stopped with unacknowledged NOTIFYs"),
    }
    Ok(())
}
