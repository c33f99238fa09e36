//! Checkpoints: a thread with a connection of its own copies committed pages from the write-ahead log
//! to the file, so that commits need not wait for this.
//!
//! SQLite restarts the log at its beginning only if a checkpoint has copied all of it before the next
//! transaction begins, which never happens under constant load. Once the log is long, the thread
//! therefore copies until few pages are left, and locks the writer out while it copies those.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::state_file::StateFile;

/// Time between two checkpoints.
const INTERVAL: Duration = Duration::from_millis(500);
/// Pages of 4 KiB in the log at which it is restarted: 64 MiB.
const LOG_PAGES: i64 = 16 * 1024;
/// Pages that may be copied while the writer is locked out: about a millisecond.
const REST_PAGES: i64 = 256;
/// Copies made at most to get down to `REST_PAGES`.
const ROUNDS: u32 = 8;

/// The checkpoint thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread on a file.
    pub(super) fn start(file: Arc<StateFile>) -> Result<Self, StoreError> {
        let (stop, stopped) = mpsc::channel();
        let path = file.path().to_path_buf();
        let thread = thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || run(&file, || stopped.recv_timeout(INTERVAL)))
            .map_err(StoreError::io(&path))?;
        Ok(Self { stop, thread })
    }

    /// Copies all of the log, and ends the thread. The writer must have ended.
    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the checkpoint thread of the store panicked");
        }
    }
}

fn run(file: &StateFile, mut wait: impl FnMut() -> Result<(), RecvTimeoutError>) {
    let mut open = None;
    while wait() == Err(RecvTimeoutError::Timeout) {
        // A failing disk is reported by the writer.
        let known = open.take().filter(|open| !file.is_stale(open));
        open = known.or_else(|| file.connect().ok());
        let connection = open.as_ref().map(|open| &open.connection);
        if let Some(Err(error)) = connection.map(|connection| shorten(connection, file)) {
            tracing::debug!(%error, "the checkpoint failed");
            open = None;
        }
    }
    let last = file.connect().ok();
    if let Some(Err(error)) = last.map(|open| checkpoint(&open.connection, "TRUNCATE")) {
        tracing::debug!(%error, "the last checkpoint failed");
    }
}

/// Copies the log to the file; if the log is long, all of it, so that SQLite restarts it.
fn shorten(connection: &Connection, file: &StateFile) -> rusqlite::Result<()> {
    for _ in 0..ROUNDS {
        let log = checkpoint(connection, "PASSIVE")?;
        if log.pages < LOG_PAGES {
            return Ok(());
        }
        if log.pages - log.copied <= REST_PAGES {
            break;
        }
    }
    let _writer_waits = file.lock();
    checkpoint(connection, "PASSIVE").map(drop)
}

/// Copies all of the log and begins it anew, before the first commit after a failed one.
///
/// After a failed `fsync` the system may take pages for written that never reached the disk. The log
/// would then have a hole, and all commits behind the hole would be lost with the power. What the
/// checkpoint copies is written and synchronized again.
pub(super) fn begin_log_anew(connection: &Connection) -> rusqlite::Result<()> {
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, bool>(0)
    })?;
    match is_busy {
        true => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        )),
        false => Ok(()),
    }
}

/// The length of the log.
#[derive(Clone, Copy, Debug)]
struct Log {
    /// Pages in the log.
    pages: i64,
    /// Pages that were copied to the file.
    copied: i64,
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Log> {
    let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    statement.query_row([], |row| {
        Ok(Log {
            pages: row.get(1)?,
            copied: row.get(2)?,
        })
    })
}
