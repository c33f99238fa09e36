//! The durable store: one SQLite file, written by one thread.
//!
//! - `batch`: rows that a shard writes and removes, up to a sequence number.
//! - `schema`: the tables, their version, and how a file of an older version is migrated.
//! - `clock`: the clock of records, which goes on from one process to the next.
//! - `data_directory`: the directory, used by one process at a time.
//! - `writer`: the thread that commits batches in groups, and publishes the sequence number up to
//!   which the rows of each shard are durable.
//! - `unwritten`: the changes that the writer keeps while the disk fails.
//! - `intake`: all changes that are not written yet; `watchdog`: acts for a writer that hangs.
//! - `checkpoint`: another thread, which copies committed pages from the write-ahead log to the file.
//! - `log`: the write-ahead log; `log_tail`: what an earlier process left behind the end of the log.
//! - `state_file`: the file that all connections share; `salvage`: how a damaged one is replaced.
//! - `recovery`: reads all rows back at the start.
//! - `change_notes`: which presentities changed last, in memory that outlives the process.
//! - `history`: the changes of composed states, in a file of their own.
//! - `backup`: a copy of the file while it is in use; `restore`: a copy becomes the store.
//! - `rewriting`: the file without what is left of removed rows; `maintenance`: the thread of both.
//!
//! # Guarantees
//! - A sequence number is published only after its rows, and all rows that the shard handed over
//!   before, are on the disk (`synchronous = FULL`). The exception is a failing disk with
//!   [`writer::OnFailure::Memory`]: see there.
//! - A shard never waits. The queue is bounded, and a full queue gives the batch back.
//! - Keys of rows are ascending numbers, never hashes: rows that are written together are adjacent in
//!   the file, so that a commit writes few pages.
//!
//! The store does not decode records.

mod backup;
pub mod batch;
mod change_notes;
mod checkpoint;
pub mod clock;
pub mod data_directory;
pub mod error;
pub mod history;
pub mod intake;
mod log;
mod log_tail;
pub mod maintenance;
pub mod recovery;
pub mod restore;
mod rewriting;
mod salvage;
pub mod schema;
mod state_file;
mod unwritten;
mod watchdog;
pub mod writer;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::presence::wall_clock::WallClock;
use crate::store::change_notes::ChangeNotes;
use crate::store::checkpoint::Checkpointer;
use crate::store::clock::RecordClock;
use crate::store::data_directory::DataDirectory;
use crate::store::error::StoreError;
use crate::store::maintenance::{Maintenance, MaintenanceSender};
use crate::store::recovery::Finder;
use crate::store::schema::Table;
use crate::store::state_file::StateFile;
use crate::store::watchdog::Watchdog;
use crate::store::writer::{OnFailure, StoreHandle, Wake, Writer};

/// The store of a running server.
#[derive(Debug)]
pub struct Store {
    directory: DataDirectory,
    file: Arc<StateFile>,
    writer: Writer,
    watchdog: Watchdog,
    checkpointer: Checkpointer,
    clock: RecordClock,
    maintenance: Maintenance,
    notes: Arc<ChangeNotes>,
}

/// The options of a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Number of shards that hand batches over. The number behind the last shard is the operator's,
    /// whose edits are no part of a recovery.
    pub shards: u16,
    /// Whether records count as durable while the disk fails.
    pub on_failure: OnFailure,
    /// Maximum size of the file; beyond it, commits fail as on a full disk. The log is not included:
    /// it takes 64 MiB, and more while the disk is too slow.
    pub octets_max: Option<u64>,
    /// A directory of a memory file system, for what must outlive the process but not the machine's boot.
    pub memory: PathBuf,
}

impl Store {
    /// Opens the store of a directory and starts its threads. `wake` is called with each shard of
    /// which more rows are durable.
    pub fn open(
        directory: DataDirectory,
        options: StoreOptions,
        wake: impl Fn(u16) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let (file, open) = StateFile::open(&directory.state_file(), options.octets_max)?;
        let file = Arc::new(file);
        let clock = RecordClock::after(recovery::noted(&file)?.as_ref());
        let wake: Arc<Wake> = Arc::new(wake);
        let StoreOptions {
            shards,
            on_failure,
            memory,
            ..
        } = options;
        let checkpointer = Checkpointer::start(Arc::clone(&file))?;
        let notes = Arc::new(ChangeNotes::open(&memory, directory.path(), shards));
        let writer = Writer::start(
            (Arc::clone(&file), open, Arc::clone(&notes)),
            (shards, on_failure),
            clock.clone(),
            checkpointer.requester(),
            Arc::clone(&wake),
        )?;
        let watchdog = Watchdog::start(&file, writer.handle(), wake)?;
        let maintenance = Maintenance::start(Arc::clone(&file), writer.handle())?;
        Ok(Self {
            directory,
            file,
            writer,
            watchdog,
            checkpointer,
            clock,
            maintenance,
            notes,
        })
    }

    /// The changes that earlier processes noted last: the hash of a presentity's address, and the time by
    /// the clock of records in milliseconds since 1970 UTC.
    pub fn noted_changes(&self) -> impl Iterator<Item = (u64, i64)> + use<'_> {
        self.notes.found().iter().copied()
    }

    /// The clock by which records tell times.
    #[must_use]
    pub fn clock(&self) -> WallClock {
        self.clock.clock
    }

    /// When the earlier process committed last; None if that is not known, or if not all that it
    /// committed is left.
    #[must_use]
    pub fn committed_at(&self) -> Option<Instant> {
        self.clock.committed_at()
    }

    /// One beyond the highest key of a table whose row is sound. `is_sound` is called with the rows
    /// from the highest on, until one is.
    pub fn end(
        &self,
        table: Table,
        is_sound: impl FnMut(i64, &[u8]) -> bool,
    ) -> Result<i64, StoreError> {
        recovery::end(&self.file, table, is_sound)
    }

    /// Removes rows that no server can have written.
    pub fn remove(&self, table: Table, keys: &HashSet<i64>) {
        self.writer.handle().remove(table, keys);
    }

    /// Calls `each` with every row that an earlier run left in a table, in the order of the keys.
    /// Returns the number of rows. Meanwhile the shards may submit batches, but only for keys beyond
    /// [`Self::end`], for keys that `each` has been called with, or for keys that a [`Finder`] was asked
    /// for.
    pub fn recover(&self, table: Table, each: impl FnMut(i64, &[u8])) -> Result<u64, StoreError> {
        recovery::read(&self.file, table, each)
    }

    /// Finds single rows of a table, while all are recovered.
    pub fn finder(&self, table: Table) -> Result<Finder, StoreError> {
        Finder::new(&self.file, table)
    }

    /// Whether the writer's thread has ended before [`Self::close`], which is a fault.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.writer.has_ended()
    }

    /// Where orders for backups go, and for writing the file anew.
    #[must_use]
    pub fn maintenance(&self) -> MaintenanceSender {
        self.maintenance.sender()
    }

    /// The shards' end of the store.
    #[must_use]
    pub fn handle(&self) -> StoreHandle {
        self.writer.handle()
    }

    /// Commits all submitted batches, copies the log to the file, and ends the threads. The
    /// directory stays locked as long as the returned value lives.
    pub fn close(self) -> DataDirectory {
        self.maintenance.stop();
        self.writer.stop();
        self.watchdog.stop();
        self.checkpointer.stop();
        self.notes.close();
        self.directory
    }
}
