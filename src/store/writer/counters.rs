//! What an operator counts of the store.

use std::sync::atomic::Ordering;

use crate::store::writer::StoreHandle;

impl StoreHandle {
    /// Commits so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Batches that were handed over, and that no commit under way holds.
    #[must_use]
    pub fn batches_waiting(&self) -> usize {
        self.shared.queue.len()
    }

    /// Rows that were removed because no server can have written them.
    #[must_use]
    pub fn rows_impossible(&self) -> u64 {
        self.shared.rows_impossible.load(Ordering::Relaxed)
    }

    /// Damaged files that were set aside since the start.
    #[must_use]
    pub fn files_damaged(&self) -> u64 {
        self.file.damaged()
    }

    /// Acknowledged commits of earlier processes that a damage of the log has lost.
    #[must_use]
    pub fn commits_lost(&self) -> u64 {
        self.file.commits_lost()
    }

    /// Rows that were read back from them.
    #[must_use]
    pub fn rows_salvaged(&self) -> u64 {
        self.file.salvaged()
    }

    /// Rows written or removed so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.shared.rows.load(Ordering::Relaxed)
    }
}
