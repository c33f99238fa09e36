//! The history: every change of a composed state, appended to a file of its own.
//!
//! - `batch`: the changes that a shard hands over in one turn.
//! - `schema`: the tables. `journal`: the file as the writer has it open: appending and pruning.
//! - `erasure`: everything about one person, and the person as the party of others.
//! - `salvage`: what can be read of a damaged file, on its way to the one that replaced it.
//! - `writer`: the thread that appends, prunes and erases. `reader`: the thread that answers queries.
//!
//! A file of its own, beside the state: what is lost of a history hurts less than a delayed state. So
//! the writer needs no write of the disk for each commit (`synchronous = NORMAL`: a power failure may
//! cost the last second, a crash of the process nothing), pruning and erasing never keep a record
//! waiting, a backup of the state stays small, and an operator can move the file away.
//!
//! # Guarantees
//! - A shard never waits. If the writer or the disk cannot follow, changes are left out and counted
//!   (`history_thinned`).
//! - What was erased is overwritten, in the file and in its log, before the erasure is confirmed.
//! - A damaged file is set aside, never deleted, whether it is found at the start, by the writer or by a
//!   query. A new one is begun at once, and what can be read of the old one is copied to it.
//! - A query reads on a connection of its own, which cannot write, and is bounded.

pub mod batch;
mod erasure;
mod journal;
pub mod limits;
mod reader;
mod salvage;
mod schema;
mod writer;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::path::Path;

use crate::store::error::StoreError;
use crate::store::history::limits::HistoryLimits;
use crate::store::history::reader::Reader;
use crate::store::history::writer::Writer;

pub use crate::store::history::reader::QueryHandle;
pub use crate::store::history::writer::HistoryHandle;

/// The history of a running server.
#[derive(Debug)]
pub struct History {
    writer: Writer,
    reader: Reader,
}

impl History {
    /// Opens the file, creates its tables if it is new, and starts the threads.
    pub fn open(file: &Path, shards: u16, limits: HistoryLimits) -> Result<Self, StoreError> {
        let writer = Writer::start(file, shards, limits)?;
        let reader = Reader::start(file, writer.handle())?;
        Ok(Self { writer, reader })
    }

    /// The shards' end, and that of erasures.
    #[must_use]
    pub fn handle(&self) -> HistoryHandle {
        self.writer.handle()
    }

    /// Where queries go.
    #[must_use]
    pub fn queries(&self) -> QueryHandle {
        self.reader.handle()
    }

    /// Writes what was handed over, and ends the threads.
    pub fn close(self) {
        self.reader.stop();
        self.writer.stop();
    }
}
