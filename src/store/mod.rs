//! The durable store: one SQLite file, written by one thread of its own.
//!
//! - `batch`: what a shard hands over: rows to write and rows to remove, up to a sequence number.
//! - `schema`: the tables, their version, and how a file of an older version is migrated.
//! - `data_directory`: the directory, used by one process at a time.
//! - `writer`: the thread that commits batches in groups and publishes how far each shard is durable.
//! - `unwritten`: what the writer holds while the disk fails.
//! - `checkpoint`: moves committed pages from the write-ahead log into the file, beside the writer.
//! - `state_file`: the file that all connections share; `salvage`: how a damaged one is replaced.
//! - `recovery`: reads all rows back at the start.
//!
//! # Guarantees
//! - A sequence number is published only after its rows, and all rows that the shard handed over
//!   before, are on the disk (`synchronous = FULL`). The exception is a failing disk with
//!   [`writer::OnFailure::Memory`]: see there.
//! - A shard never waits. The queue is bounded, and a full queue gives the batch back.
//! - Rows are keyed by numbers that grow, never by hashes: neighbours in time are neighbours in the
//!   file, so that a commit writes few pages.
//!
//! The store does not know what a record says.

pub mod batch;
mod checkpoint;
pub mod data_directory;
pub mod error;
mod recovery;
mod salvage;
pub mod schema;
mod state_file;
mod unwritten;
pub mod writer;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::sync::Arc;

use crate::store::checkpoint::Checkpointer;
use crate::store::data_directory::DataDirectory;
use crate::store::error::StoreError;
use crate::store::schema::Table;
use crate::store::state_file::StateFile;
use crate::store::writer::{OnFailure, StoreHandle, Writer};

/// The store of a running server.
#[derive(Debug)]
pub struct Store {
    directory: DataDirectory,
    file: Arc<StateFile>,
    writer: Writer,
    checkpointer: Checkpointer,
}

/// How a store works.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Number of shards that hand batches over.
    pub shards: u16,
    /// What the shards are told while the disk fails.
    pub on_failure: OnFailure,
    /// Octets that the file may take; beyond, it is treated as a full disk. The log comes on top: 64
    /// MiB, and more while the disk cannot follow.
    pub octets_max: Option<u64>,
}

impl Store {
    /// Opens the store of a directory and starts its threads. `wake` is called with a shard whose
    /// durable number rose.
    pub fn open(
        directory: DataDirectory,
        options: StoreOptions,
        wake: impl Fn(u16) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let file = StateFile::open(&directory.state_file(), options.octets_max)?;
        let file = Arc::new(file);
        let StoreOptions {
            shards, on_failure, ..
        } = options;
        let writer = Writer::start(Arc::clone(&file), shards, on_failure, wake)?;
        let checkpointer = Checkpointer::start(Arc::clone(&file))?;
        Ok(Self {
            directory,
            file,
            writer,
            checkpointer,
        })
    }

    /// One beyond the highest key of a table.
    pub fn end(&self, table: Table) -> Result<i64, StoreError> {
        recovery::end(&self.file, table)
    }

    /// Calls `each` with every row of a table that an earlier run left, in the order of the keys; how
    /// many they were. Meanwhile the shards may hand batches over, but only for keys beyond
    /// [`Self::end`], or that `each` was called with.
    pub fn recover(&self, table: Table, each: impl FnMut(i64, &[u8])) -> Result<u64, StoreError> {
        recovery::read(&self.file, table, each)
    }

    /// Whether the writer has ended by itself, which is a fault.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.writer.has_ended()
    }

    /// The shards' end of the store.
    #[must_use]
    pub fn handle(&self) -> StoreHandle {
        self.writer.handle()
    }

    /// Commits what was handed over, copies the log into the file, and ends the threads. The
    /// directory stays locked as long as the returned value lives.
    pub fn close(self) -> DataDirectory {
        self.writer.stop();
        self.checkpointer.stop();
        self.directory
    }
}
