//! The thread of what takes long and is needed rarely: backups, and writing the file anew. It does one
//! at a time, in order. It also replaces a file that a failed write has left in doubt, once the disk
//! takes commits again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::store::error::StoreError;
use crate::store::state_file::StateFile;
use crate::store::writer::StoreHandle;
use crate::store::{backup, rewriting};

/// How often the thread looks whether the file is in doubt.
const DOUBT_WATCH: Duration = Duration::from_millis(500);

/// Takes the outcome of an order.
type Done<T> = Box<dyn FnOnce(Result<T, String>) + Send>;

/// What the thread is to do.
pub enum Order {
    /// Writes a backup.
    BackUp {
        /// The file to write. It must not exist.
        file: PathBuf,
        /// A file that it has, too, if there is one.
        beside: PathBuf,
        /// Called with the number of octets, or the reason that there is no backup.
        done: Done<u64>,
    },
    /// Writes the file of the store anew.
    WriteAnew {
        /// Called with the files that were set aside as damaged, or the reason that the file was not
        /// written.
        done: Done<Vec<String>>,
    },
}

impl fmt::Debug for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackUp { file, .. } => file.fmt(formatter),
            Self::WriteAnew { .. } => formatter.write_str("WriteAnew"),
        }
    }
}

/// Where orders go.
#[derive(Clone, Debug)]
pub struct MaintenanceSender(Sender<Option<Order>>);

impl MaintenanceSender {
    /// Gives an order. If the store is closed, the order is dropped.
    pub fn send(&self, order: Order) {
        let _closed = self.0.send(Some(order));
    }
}

/// The thread.
#[derive(Debug)]
pub(super) struct Maintenance {
    sender: MaintenanceSender,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Maintenance {
    /// Starts the thread on a file.
    pub(super) fn start(file: Arc<StateFile>, store: StoreHandle) -> Result<Self, StoreError> {
        let (sender, orders) = mpsc::channel();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let path = file.path().to_path_buf();
        let stopping = Arc::clone(&is_stopping);
        let thread = thread::Builder::new()
            .name("maintenance".into())
            .spawn(move || serve(&file, &store, &orders, &stopping))
            .map_err(StoreError::io(&path))?;
        Ok(Self {
            sender: MaintenanceSender(sender),
            is_stopping,
            thread,
        })
    }

    /// Where orders go.
    pub(super) fn sender(&self) -> MaintenanceSender {
        self.sender.clone()
    }

    /// Ends the thread, and what it does.
    pub(super) fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        let _ended = self.sender.0.send(None);
        if self.thread.join().is_err() {
            tracing::error!("the maintenance thread of the store ended by a panic");
        }
    }
}

fn serve(
    file: &StateFile,
    store: &StoreHandle,
    orders: &Receiver<Option<Order>>,
    stop: &AtomicBool,
) {
    let mut doubts = Doubts::default();
    loop {
        let order = match orders.recv_timeout(DOUBT_WATCH) {
            Ok(Some(order)) => order,
            Err(RecvTimeoutError::Timeout) => {
                doubts.look(file, store, stop);
                continue;
            }
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
        };
        match order {
            Order::BackUp {
                file: to,
                beside,
                done,
            } => {
                let outcome = backup::back_up(file, &to, &beside, stop);
                match &outcome {
                    Ok(octets) => tracing::info!(file = %to.display(), octets, "backed up"),
                    Err(error) => tracing::error!(%error, "no backup"),
                }
                done(outcome.map_err(|error| error.to_string()));
            }
            Order::WriteAnew { done } => {
                let outcome = rewriting::write_anew(file, store, stop);
                match &outcome {
                    Ok(_) => tracing::info!("the file of the store was written anew"),
                    Err(why) => {
                        tracing::error!(why, "the file of the store was not written anew");
                    }
                }
                done(outcome);
            }
        }
    }
}

/// Replaces the file while it is in doubt.
#[derive(Debug, Default)]
struct Doubts {
    /// Whether the last try failed.
    has_failed: bool,
}

impl Doubts {
    fn look(&mut self, file: &StateFile, store: &StoreHandle, stop: &AtomicBool) {
        // Whether rows wait for a commit says nothing: under load there are always some.
        if !file.is_in_doubt() || !store.can_commit() {
            return;
        }
        let replaced = rewriting::rewrite(file, stop);
        match &replaced {
            Ok(()) => {
                tracing::info!("the file of the store, in doubt after a failed write, was replaced")
            }
            Err(error) if !self.has_failed => tracing::error!(
                %error,
                "the file of the store, in doubt after a failed write, cannot be replaced; trying again"
            ),
            Err(_reported) => {}
        }
        self.has_failed = replaced.is_err();
    }
}
