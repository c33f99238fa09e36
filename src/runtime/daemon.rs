//! The daemon's main thread: starts the node, waits for signals, drains.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, TrySendError};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::runtime::bundle::Bundle;
use crate::runtime::commander::{RELOADS_MAX, ReloadRequest, Requests};
use crate::runtime::error::BootError;
use crate::runtime::node::Node;
use crate::runtime::plan::NodePlan;
use crate::runtime::reload::ConfigurationFiles;
use crate::runtime::service_manager::{ServiceManager, State};
use crate::runtime::signals::Request;
use crate::runtime::system_clock::SystemClock;
use crate::runtime::{reload, service_manager, signals};
use crate::shard::Command;

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
    /// The service manager does not take its sockets.
    #[error("the sockets could not be handed over to the service manager, and are closed: {0}")]
    HandOver(#[source] io::Error),
    /// A core has ended; the process should be restarted.
    #[error("{0} has ended unexpectedly")]
    CoreEnded(String),
}

/// Runs a node until SIGTERM or SIGINT, or until another process takes over. It begins with the sockets
/// that another process left, or else with those that the service manager kept. On SIGHUP, an operator's
/// reload or a change by the HTTP API, `files` are read again; `started` is called once everything listens.
pub fn run(
    mut plan: NodePlan,
    left: Option<Bundle>,
    started: impl FnOnce(&Node),
    files: impl ConfigurationFiles,
) -> Result<(), DaemonError> {
    // Before the first thread, so that a signal during boot is not lost.
    let (process, requests) = mpsc::channel();
    signals::listen(process.clone()).map_err(DaemonError::Signals)?;
    let (reloads, reload_requests) = mpsc::sync_channel(RELOADS_MAX);
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
    let mut node = Node::start_with(plan.clone(), inherited, to.clone())?;
    let reloader = Arc::new(Mutex::new(node.reloader()));
    reload::start(Arc::clone(&reloader), reload_requests, files).map_err(DaemonError::Reload)?;
    started(&node);
    let outstanding = loop {
        if let Some(manager) = &manager {
            manager.tell(State::Ready);
            // From now on, so that what arrives after a crash waits for the next process too.
            keep(manager, node.listening());
        }
        let heir = wait(&node, &requests, &reloads);
        if let Some(manager) = &manager {
            manager.tell(State::Stopping);
        }
        let heir = match heir {
            Ok(heir) => heir,
            Err(error) => {
                node.stop(Duration::ZERO);
                return Err(error);
            }
        };
        tracing::info!("draining");
        match (heir, &manager) {
            (Some((heir, place)), _) => {
                plan.directory = node.directory();
                plan.relays = node.commander().relays().plans();
                match yield_to(node, &heir, &place) {
                    Ok(outstanding) => break outstanding,
                    Err(sockets) => node = Node::start_with(plan.clone(), sockets, to.clone())?,
                }
                *reloader.lock().unwrap_or_else(PoisonError::into_inner) = node.reloader();
            }
            (None, Some(manager)) => break hand_over(node, manager)?,
            (None, None) => break node.stop(DRAIN_PATIENCE),
        }
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
    reloads: &mpsc::SyncSender<ReloadRequest>,
) -> Result<Option<(ServiceManager, PathBuf)>, DaemonError> {
    let mut clock = SystemClock::now();
    loop {
        if let Some(set) = clock.take_if_set(SystemClock::now()) {
            tracing::info!("the system's clock was set: rules that are valid for a time go by it");
            drop(node.commander().ask_all(|| Command::SetClock(set)));
        }
        match requests.recv_timeout(WATCH_EVERY) {
            Ok(Request::Reload) => {
                let request = ReloadRequest::Reload {
                    accepts_removal: false,
                    replier: None,
                };
                match reloads.try_send(request) {
                    // Those that wait will read the same files.
                    Ok(()) | Err(TrySendError::Full(_)) => {}
                    Err(TrySendError::Disconnected(_)) => {
                        tracing::error!("the configuration cannot be reloaded any more: restart");
                    }
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

/// Ends the node and leaves its sockets to the service manager. How many NOTIFYs were not acknowledged.
fn hand_over(node: Node, manager: &ServiceManager) -> Result<usize, DaemonError> {
    let (outstanding, sockets) = node.hand_over(DRAIN_PATIENCE);
    let kept = manager.keep(&sockets).and_then(|()| manager.wait());
    kept.map_err(DaemonError::HandOver)?;
    note_handed_over(&sockets, Path::new("the service manager"));
    Ok(outstanding)
}

/// Ends the node and leaves its sockets to a process that takes over, at `place`. How many NOTIFYs were
/// not acknowledged; the sockets if that process does not come to serve, as this one must serve again.
fn yield_to(node: Node, heir: &ServiceManager, place: &Path) -> Result<usize, Bundle> {
    let (outstanding, sockets) = node.hand_over(DRAIN_PATIENCE);
    let kept = heir.keep(&sockets);
    if let Err(reason) = kept.and_then(|()| heir.wait_until_serving()) {
        tracing::error!(%reason, "the other server has not taken over: this one serves again");
        return Err(sockets);
    }
    note_handed_over(&sockets, place);
    Ok(outstanding)
}

fn note_handed_over(sockets: &Bundle, to: &Path) {
    let (sockets, connections) = (sockets.len(), sockets.connections());
    tracing::info!(sockets, connections, heir = %to.display(), "sockets are handed over");
}
