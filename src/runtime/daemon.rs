//! The daemon's main thread: starts the node, waits for signals, drains.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::runtime::bundle::Bundle;
use crate::runtime::commander::{ReloadRequest, Requests};
use crate::runtime::error::BootError;
use crate::runtime::node::Node;
use crate::runtime::plan::NodePlan;
use crate::runtime::reload::LoadedConfiguration;
use crate::runtime::service_manager::{ServiceManager, State};
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
    /// Its sockets could not be left to another process.
    #[error("the sockets could not be handed over to {}, and are closed: {reason}", .heir.display())]
    HandOver {
        /// To which.
        heir: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A core has ended; the process should be restarted.
    #[error("{0} has ended unexpectedly")]
    CoreEnded(String),
}

/// Runs a node until SIGTERM or SIGINT, or until another process takes over. It begins with the sockets
/// that another process left, or else with those that the service manager kept. On SIGHUP or an
/// operator's reload, `load` re-reads the configuration or returns its errors; `started` is called once
/// everything listens.
pub fn run(
    plan: NodePlan,
    left: Option<Bundle>,
    started: impl FnOnce(&Node),
    load: impl FnMut() -> Result<LoadedConfiguration, String> + Send + 'static,
) -> Result<(), DaemonError> {
    // Before the first thread, so that a signal during boot is not lost.
    let (process, requests) = mpsc::channel();
    signals::listen(process.clone()).map_err(DaemonError::Signals)?;
    let (reloads, reload_requests) = mpsc::channel();
    let (inherited, names) = service_manager::inherited();
    let inherited = left.unwrap_or(inherited);
    if !inherited.is_empty() {
        let (sockets, connections) = (inherited.len(), inherited.connections());
        tracing::info!(sockets, connections, "taking over from the last process");
    }
    let to = Requests {
        reloads: reloads.clone(),
        process,
    };
    let manager = ServiceManager::of_process();
    if let Some(manager) = &manager {
        take_back(manager, &names);
    }
    let node = Node::start_with(plan, inherited, to)?;
    reload::start(node.reloader(), reload_requests, load).map_err(DaemonError::Reload)?;
    started(&node);
    if let Some(manager) = &manager {
        manager.tell(State::Ready);
        // From now on, so that what arrives after a crash waits for the next process too.
        keep(manager, node.listening());
    }
    let heir = match wait(&node, &requests, &reloads) {
        Ok(heir) => heir,
        Err(error) => {
            if let Some(manager) = &manager {
                manager.tell(State::Stopping);
            }
            node.stop(Duration::ZERO);
            return Err(error);
        }
    };
    if let Some(manager) = &manager {
        manager.tell(State::Stopping);
    }
    tracing::info!("draining");
    let outstanding = match (heir, manager) {
        (Some((heir, place)), _) => hand_over(node, &heir, &place)?,
        (None, Some(manager)) => hand_over(node, &manager, Path::new("the service manager"))?,
        (None, None) => node.stop(DRAIN_PATIENCE),
    };
    match outstanding {
        0 => tracing::info!("stopped"),
        outstanding => tracing::warn!(outstanding, "stopped with unacknowledged NOTIFYs"),
    }
    Ok(())
}

/// Waits until the process is to end, and for which other process, at which place, if for one.
fn wait(
    node: &Node,
    requests: &mpsc::Receiver<Request>,
    reloads: &mpsc::Sender<ReloadRequest>,
) -> Result<Option<(ServiceManager, PathBuf)>, DaemonError> {
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
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Ok(Request::HandOver(place)) => match ServiceManager::at(place.as_os_str()) {
                Ok(heir) => return Ok(Some((heir, place))),
                Err(error) => {
                    tracing::error!(%error, place = %place.display(), "cannot hand over");
                }
            },
            Err(RecvTimeoutError::Timeout) => {
                if let Some(ended) = node.poll_ended() {
                    tracing::error!(
                        core = ended.core,
                        panicked = ended.has_panicked,
                        "a core has ended: stopping the node"
                    );
                    return Err(DaemonError::CoreEnded(ended.core));
                }
            }
        }
    }
}

/// Has the manager forget what it kept for this process: a socket that this process closes would stay
/// open there, and what arrives at it would be lost.
fn take_back(manager: &ServiceManager, names: &[String]) {
    if names.is_empty() {
        return;
    }
    if let Err(error) = manager.forget(names).and_then(|()| manager.wait()) {
        tracing::warn!(%error, "the service manager does not give the sockets back");
    }
}

/// Has the manager keep the listening sockets.
fn keep(manager: &ServiceManager, listening: &Bundle) {
    if let Err(error) = manager.keep(listening) {
        tracing::warn!(%error, "the service manager does not keep the sockets: what arrives during a restart is lost");
    }
}

/// Ends the node and leaves its sockets to `heir`, which is named for the log. How many NOTIFYs were
/// not acknowledged.
fn hand_over(node: Node, heir: &ServiceManager, name: &Path) -> Result<usize, DaemonError> {
    let (outstanding, bundle) = node.hand_over(DRAIN_PATIENCE);
    let (sockets, connections) = (bundle.len(), bundle.connections());
    let kept = heir.keep(&bundle).and_then(|()| heir.wait());
    kept.map_err(|reason| DaemonError::HandOver {
        heir: name.to_owned(),
        reason,
    })?;
    tracing::info!(sockets, connections, heir = %name.display(), "sockets are handed over");
    Ok(outstanding)
}
