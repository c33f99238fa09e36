//! A disk that does not answer: the writer hangs in a write or `fsync`, and can say nothing. The
//! watchdog notices, reports the store as failing, and does in the writer's place what needs no disk:
//! it empties the queue, and with [`OnFailure::Memory`] tells the shards to go on.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::store::error::StoreError;
use crate::store::state_file::StateFile;
use crate::store::writer::{StoreHandle, Wake};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// The thread of the watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Starts the thread beside the writer of a file.
    pub(super) fn start(
        file: &StateFile,
        store: StoreHandle,
        wake: Arc<Wake>,
    ) -> Result<Self, StoreError> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                store.stand_in(&*wake);
            }
        };
        let thread = thread::Builder::new()
            .name("store-watchdog".into())
            .spawn(run)
            .map_err(StoreError::io(file.path()))?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread.
    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the store's watchdog ended by a panic");
        }
    }
}
