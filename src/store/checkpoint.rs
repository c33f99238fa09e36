//! Checkpoints: a thread with a connection of its own copies committed pages from the write-ahead log
//! to the file, so that commits need not wait for this.
//!
//! What is copied is then synchronized, and commits that the disk takes meanwhile are slow. So it copies
//! little at a time: the writer says when it has written some hundred pages.
//!
//! SQLite restarts the log at its beginning only if a checkpoint has copied all of it before the next
//! transaction begins, which never happens under constant load. Once the log is long, the thread
//! therefore copies until few pages are left, and locks the writer out while it copies those.
//!
//! The thread also makes the file of the log longer before the writer needs it.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::log::{self, LOG_PAGES, Log};
use crate::store::state_file::StateFile;

/// Longest time between two checkpoints.
const INTERVAL: Duration = Duration::from_millis(500);
/// Pages that the writer adds to the log before it asks for a checkpoint: a megabyte.
const PAGES_AT_ONCE: usize = 256;
/// Pages that a commit adds besides those of its rows: the clock, a node of the tree, a page begun before.
const PAGES_OF_COMMIT: usize = 3;
/// Rows on a page, about.
const ROWS_OF_PAGE: usize = 10;
/// Pages in the log at which it is restarted even if the writer has to wait for long.
const LOG_PAGES_MAX: i64 = 4 * LOG_PAGES;
/// Pages that may be copied while the writer is locked out: less than a millisecond.
const REST_PAGES: i64 = 64;
/// Copies made at most to get down to `REST_PAGES`.
const ROUNDS: u32 = 8;

/// The checkpoint thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    requests: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread on a file.
    pub(super) fn start(file: Arc<StateFile>) -> Result<Self, StoreError> {
        let (requests, received) = mpsc::sync_channel(1);
        let path = file.path().to_path_buf();
        let thread = thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || run(&file, || received.recv_timeout(INTERVAL)))
            .map_err(StoreError::io(&path))?;
        Ok(Self { requests, thread })
    }

    /// What the writer asks for checkpoints by.
    pub(super) fn requester(&self) -> Requester {
        Requester {
            requests: self.requests.clone(),
            pages: 0,
        }
    }

    /// Copies all of the log, and ends the thread. The writer must have ended: it has a requester.
    pub(super) fn stop(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread of the store panicked");
        }
    }
}

/// Asks for checkpoints.
#[derive(Debug)]
pub(super) struct Requester {
    requests: SyncSender<()>,
    /// Added to the log since the last request, about.
    pages: usize,
}

impl Requester {
    /// Notes a commit of that many rows.
    pub(super) fn note_commit(&mut self, rows: usize) {
        self.pages += PAGES_OF_COMMIT + rows / ROWS_OF_PAGE;
        if self.pages >= PAGES_AT_ONCE {
            self.pages = 0;
            // If the thread has not come to the last request yet, that one is enough.
            let _ = self.requests.try_send(());
        }
    }
}

fn run(file: &StateFile, mut wait: impl FnMut() -> Result<(), RecvTimeoutError>) {
    let mut open = None;
    while wait() != Err(RecvTimeoutError::Disconnected) {
        // The writer reports a failing disk.
        let known = open.take().filter(|open| !file.is_stale(open));
        open = known.or_else(|| file.connect().ok());
        let Some(connection) = open.as_ref().map(|open| &open.connection) else {
            continue;
        };
        let shortened = shorten(connection, file).map_err(StoreError::of(file.path()));
        let done = shortened.and_then(|log| {
            let made = log::make_room(file.path(), log.pages);
            made.map_err(StoreError::io(file.path()))
        });
        if let Err(error) = done {
            tracing::debug!(%error, "the checkpoint failed");
            file.note_failure(&error);
            open = None;
        }
    }
    let last = file.connect().ok();
    if let Some(Err(error)) = last.map(|open| log::copy(&open.connection, "TRUNCATE")) {
        tracing::debug!(%error, "the last checkpoint failed");
    }
}

/// Copies the log to the file; if the log is long, all of it, so that SQLite restarts it. Returns how
/// long it was.
fn shorten(connection: &Connection, file: &StateFile) -> rusqlite::Result<Log> {
    let log = log::copy(connection, "PASSIVE")?;
    let is_long = log.pages >= LOG_PAGES;
    if is_long && (catch_up(connection, log)? || log.pages >= LOG_PAGES_MAX) {
        let _writer_waits = file.lock();
        return log::copy(connection, "PASSIVE");
    }
    Ok(log)
}

/// Copies what the writer added during the copy before, until that was little. False if it never was.
fn catch_up(connection: &Connection, mut log: Log) -> rusqlite::Result<bool> {
    for _ in 0..ROUNDS {
        let copied = log.copied;
        log = log::copy(connection, "PASSIVE")?;
        if log.pages - copied <= REST_PAGES {
            return Ok(true);
        }
    }
    Ok(false)
}
