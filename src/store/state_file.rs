//! The file that the store's connections share, and its replacement when it is damaged.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::{log_tail, salvage, schema};

/// Incremented when a damaged file is replaced by a new one with the same path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// The file of the store.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// Maximum number of pages; beyond it, SQLite reports a full disk.
    pages_max: Option<i64>,
    /// Locked during a transaction, during a checkpoint that locks the writer out, and while the file
    /// is replaced.
    generation: Mutex<Generation>,
    /// The file is locked for long, and the disk is not to blame.
    is_locked_for_long: AtomicBool,
    damaged: AtomicU64,
    salvaged: AtomicU64,
    /// Commits of earlier processes that the log has lost.
    commits_lost: AtomicU64,
}

/// A connection, and the generation of the file that it has open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    generation: Generation,
}

/// The lock of a file that is held for long.
#[derive(Debug)]
pub(super) struct LongLock<'a> {
    _guard: MutexGuard<'a, Generation>,
    file: &'a StateFile,
}

impl Drop for LongLock<'_> {
    fn drop(&mut self) {
        let is_locked = &self.file.is_locked_for_long;
        is_locked.store(false, Ordering::Release);
    }
}

impl StateFile {
    /// Opens the file, creates or migrates its tables. A damaged file is set aside, and its readable
    /// rows are copied to a new one.
    pub(super) fn open(path: &Path, octets_max: Option<u64>) -> Result<Self, StoreError> {
        let file = Self {
            path: path.into(),
            pages_max: octets_max.map(|octets| (octets / schema::PAGE_OCTETS) as i64),
            generation: Mutex::default(),
            is_locked_for_long: AtomicBool::new(false),
            damaged: AtomicU64::new(0),
            salvaged: AtomicU64::new(0),
            commits_lost: AtomicU64::new(0),
        };
        let take_lost = || {
            let open = file.connect()?;
            log_tail::take_lost(&open.connection, path)
        };
        match take_lost() {
            Err(error) if error.is_damage() => {
                file.salvage()?;
                file.connect()?;
            }
            lost => file.commits_lost.store(lost?, Ordering::Relaxed),
        }
        Ok(file)
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a connection; creates the tables if the file is new.
    pub(super) fn connect(&self) -> Result<Open, StoreError> {
        let generation = *self.lock();
        let connection = schema::open(&self.path)?;
        if let Some(pages) = self.pages_max {
            connection
                .pragma_update(None, "max_page_count", pages)
                .map_err(StoreError::of(&self.path))?;
        }
        Ok(Open {
            connection,
            generation,
        })
    }

    /// Locks the file against transactions and replacement by other threads.
    pub(super) fn lock(&self) -> MutexGuard<'_, Generation> {
        let generation = self.generation.lock();
        generation.unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::lock`], for longer than a commit may take.
    pub(super) fn lock_for_long(&self) -> LongLock<'_> {
        let guard = self.lock();
        self.is_locked_for_long.store(true, Ordering::Release);
        LongLock {
            _guard: guard,
            file: self,
        }
    }

    /// Whether the file is locked for long.
    pub(super) fn is_locked_for_long(&self) -> bool {
        self.is_locked_for_long.load(Ordering::Acquire)
    }

    /// Whether the file of a connection has been replaced.
    pub(super) fn is_stale(&self, open: &Open) -> bool {
        open.generation != *self.lock()
    }

    /// Replaces the file of `open`, unless another thread has already done so.
    pub(super) fn replace(&self, open: &Open) -> Result<(), StoreError> {
        let mut generation = self.lock();
        if *generation == open.generation {
            self.salvage()?;
            generation.0 += 1;
        }
        Ok(())
    }

    fn salvage(&self) -> Result<(), StoreError> {
        let rows = salvage::replace(&self.path)?;
        self.damaged.fetch_add(1, Ordering::Relaxed);
        self.salvaged.fetch_add(rows, Ordering::Relaxed);
        Ok(())
    }

    /// Damaged files that were set aside since the start.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Commits of earlier processes that the log has lost by damage.
    pub(super) fn commits_lost(&self) -> u64 {
        self.commits_lost.load(Ordering::Relaxed)
    }

    /// Rows that were read back from them.
    pub(super) fn salvaged(&self) -> u64 {
        self.salvaged.load(Ordering::Relaxed)
    }
}
