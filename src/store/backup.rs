//! Backup of a running store: SQLite's online backup, in small steps, on a connection and a thread of
//! its own.
//!
//! The connection keeps a read transaction open. Otherwise each commit of the writer would make
//! SQLite begin the copy again. Meanwhile the log grows, because it cannot begin anew.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::store::error::StoreError;
use crate::store::salvage::with_suffix;
use crate::store::schema;
use crate::store::state_file::StateFile;

/// Pages of a step: some tens of microseconds.
const STEP_PAGES: i32 = 32;
/// Time between two steps: at most 64 MiB are copied in a second.
const PAUSE: Duration = Duration::from_millis(2);
/// Steps after which the copy is synchronized, so that the disk never has much to do at once.
const STEPS_PER_SYNC: u32 = 64;

/// A request for a backup.
pub struct BackupRequest {
    /// The file to write. It must not exist.
    pub file: PathBuf,
    /// Called with the number of octets, or the reason that there is no backup.
    pub done: Box<dyn FnOnce(Result<u64, String>) + Send>,
}

impl fmt::Debug for BackupRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(formatter)
    }
}

/// Where requests for backups go.
#[derive(Clone, Debug)]
pub struct BackupSender(Sender<Option<BackupRequest>>);

impl BackupSender {
    /// Requests a backup. If the store is closed, the request is dropped.
    pub fn send(&self, request: BackupRequest) {
        let _closed = self.0.send(Some(request));
    }
}

/// The thread of backups; it makes one at a time.
#[derive(Debug)]
pub(super) struct BackupThread {
    sender: BackupSender,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl BackupThread {
    /// Starts the thread on a file.
    pub(super) fn start(file: Arc<StateFile>) -> Result<Self, StoreError> {
        let (sender, requests) = mpsc::channel();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let path = file.path().to_path_buf();
        let stopping = Arc::clone(&is_stopping);
        let thread = thread::Builder::new()
            .name("backup".into())
            .spawn(move || serve(&file, &requests, &stopping))
            .map_err(StoreError::io(&path))?;
        Ok(Self {
            sender: BackupSender(sender),
            is_stopping,
            thread,
        })
    }

    /// Where requests go.
    pub(super) fn sender(&self) -> BackupSender {
        self.sender.clone()
    }

    /// Ends the thread, and the backup in progress.
    pub(super) fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        let _ended = self.sender.0.send(None);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the store's backups ended by a panic");
        }
    }
}

fn serve(file: &StateFile, requests: &Receiver<Option<BackupRequest>>, stop: &AtomicBool) {
    while let Ok(Some(request)) = requests.recv() {
        let outcome = back_up(file, &request.file, stop);
        match &outcome {
            Ok(octets) => tracing::info!(file = %request.file.display(), octets, "backed up"),
            Err(error) => tracing::error!(%error, "no backup"),
        }
        (request.done)(outcome.map_err(|error| error.to_string()));
    }
}

/// Writes a backup. Returns its number of octets.
fn back_up(file: &StateFile, to: &Path, stop: &AtomicBool) -> Result<u64, StoreError> {
    if to.exists() {
        return Err(StoreError::Exists(to.into()));
    }
    let partial = with_suffix(to, ".partial");
    let _absent = fs::remove_file(&partial);
    let written = copy(file, &partial, stop).and_then(|octets| {
        fs::rename(&partial, to).map_err(StoreError::io(to))?;
        Ok(octets)
    });
    if written.is_err() {
        let _absent = fs::remove_file(&partial);
    }
    written
}

fn copy(file: &StateFile, partial: &Path, stop: &AtomicBool) -> Result<u64, StoreError> {
    let (ours, theirs) = (StoreError::of(file.path()), StoreError::of(partial));
    let open = file.connect()?;
    let snapshot = "BEGIN; SELECT count(*) FROM sqlite_schema;";
    open.connection.execute_batch(snapshot).map_err(ours)?;
    schema::make_private(partial).map_err(StoreError::io(partial))?;
    let disk = File::options().write(true).open(partial);
    let disk = disk.map_err(StoreError::io(partial))?;
    let mut copy = Connection::open(partial).map_err(&theirs)?;
    // An interrupted backup is deleted, so it needs no journal.
    let settings = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;";
    copy.execute_batch(settings).map_err(&theirs)?;
    let backup = Backup::new(&open.connection, &mut copy).map_err(&theirs)?;
    let mut steps = 0;
    while backup.step(STEP_PAGES).map_err(&theirs)? != StepResult::Done {
        if stop.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        steps += 1;
        if steps % STEPS_PER_SYNC == 0 {
            disk.sync_data().map_err(StoreError::io(partial))?;
        }
        thread::sleep(PAUSE);
    }
    drop(backup);
    drop(copy);
    // The copy has no log, and needs no other file beside it.
    let copy = Connection::open(partial).map_err(&theirs)?;
    let leave_log = "PRAGMA journal_mode = DELETE";
    copy.query_row(leave_log, [], |_| Ok(())).map_err(&theirs)?;
    drop(copy);
    disk.sync_all().map_err(StoreError::io(partial))?;
    let octets = disk.metadata().map_err(StoreError::io(partial))?.len();
    Ok(octets)
}
