//! The file that the store's connections share, and how a damaged one is replaced under them.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::{salvage, schema};

/// Which file of that name it is: it rises when a damaged file is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// The file of the store.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// Pages that the file may have; SQLite answers that the disk is full beyond.
    pages_max: Option<i64>,
    /// Held during a transaction, while the writer is kept out, and while the file is replaced.
    generation: Mutex<Generation>,
}

/// A connection, and the file it was opened on.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    generation: Generation,
}

impl StateFile {
    /// Opens the file, creates or migrates its tables. A damaged file is set aside, and what can be
    /// read of it is copied into a new one.
    pub(super) fn open(path: &Path, octets_max: Option<u64>) -> Result<Self, StoreError> {
        let file = Self {
            path: path.into(),
            pages_max: octets_max.map(|octets| (octets / schema::PAGE_OCTETS) as i64),
            generation: Mutex::default(),
        };
        match file.connect() {
            Err(error) if error.is_damage() => {
                salvage::replace(path)?;
                file.connect()?;
            }
            outcome => drop(outcome?),
        }
        Ok(file)
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection for the writer; its tables are made if the file is new.
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

    /// Keeps all others from writing and from replacing the file.
    pub(super) fn lock(&self) -> MutexGuard<'_, Generation> {
        let generation = self.generation.lock();
        generation.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a connection is on a file that was replaced since.
    pub(super) fn is_stale(&self, open: &Open) -> bool {
        open.generation != *self.lock()
    }

    /// Replaces the file that `open` is on, unless another thread has done so already.
    pub(super) fn replace(&self, open: &Open) -> Result<(), StoreError> {
        let mut generation = self.lock();
        if *generation == open.generation {
            salvage::replace(&self.path)?;
            generation.0 += 1;
        }
        Ok(())
    }
}
