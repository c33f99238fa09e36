//! The file that the store's connections share, and its replacement: when it is damaged, and by a copy
//! of its rows.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::store::batch::Change;
use crate::store::error::StoreError;
use crate::store::schema::Table;
use crate::store::{log_tail, salvage, schema};

/// Incremented when the file is replaced by another one with the same path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Generation(u64);

/// Rows, by table and key.
pub(super) type Keys = HashSet<(Table, i64)>;

/// What the lock of the file protects.
#[derive(Debug, Default)]
pub(super) struct Locked {
    generation: Generation,
    /// The rows that were committed since a copy of the file began; None if no copy is being made.
    changed: Option<Keys>,
}

impl Locked {
    /// Notes a change that is about to be committed.
    pub(super) fn note(&mut self, change: Change<'_>) {
        if let Some(changed) = &mut self.changed {
            changed.insert(change.row());
        }
    }

    /// The rows that were committed since the copy began, or since the last call.
    pub(super) fn take_changed(&mut self) -> Keys {
        self.changed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }
}

/// The file of the store.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// Maximum number of pages; beyond it, SQLite reports a full disk.
    pages_max: Option<i64>,
    /// Locked during a transaction, during a checkpoint that locks the writer out, and while the file
    /// is replaced.
    locked: Mutex<Locked>,
    /// Whether the next connection makes the file if there is none: at the start, and when a damaged one
    /// was set aside.
    may_be_new: AtomicBool,
    /// See [`Self::note_failure`].
    is_in_doubt: AtomicBool,
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

/// The rows that are committed are noted as long as it lives.
#[derive(Debug)]
pub(super) struct Noting<'a>(&'a StateFile);

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        self.0.lock().changed = None;
    }
}

impl StateFile {
    /// Opens the file, creates or migrates its tables. A damaged file is set aside, and its readable
    /// rows are copied to a new one. The connection is to be kept until there is another: with its last
    /// connection, SQLite copies the log, waits for the disk, and removes a file of many megabytes.
    pub(super) fn open(path: &Path, octets_max: Option<u64>) -> Result<(Self, Open), StoreError> {
        let file = Self {
            path: path.into(),
            pages_max: octets_max.map(|octets| (octets / schema::PAGE_OCTETS) as i64),
            locked: Mutex::default(),
            may_be_new: AtomicBool::new(true),
            is_in_doubt: AtomicBool::new(false),
            damaged: AtomicU64::new(0),
            salvaged: AtomicU64::new(0),
            commits_lost: AtomicU64::new(0),
        };
        file.remove_unfinished()?;
        let take_lost = || -> Result<(Open, u64), StoreError> {
            let open = file.connect()?;
            let lost = log_tail::take_lost(&open.connection, path)?;
            Ok((open, lost))
        };
        let open = match take_lost() {
            Err(error) if error.is_damage() => {
                file.salvage()?;
                file.connect()?
            }
            taken => {
                let (open, lost) = taken?;
                file.commits_lost.store(lost, Ordering::Relaxed);
                open
            }
        };
        Ok((file, open))
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a connection. Not while the file is being replaced: file and log must be of one generation.
    /// A file that is gone is not made again: its disk may be away.
    pub(super) fn connect(&self) -> Result<Open, StoreError> {
        let locked = self.lock();
        let connection = match self.may_be_new.load(Ordering::Acquire) {
            true => schema::open(&self.path)?,
            false => schema::reopen(&self.path)?,
        };
        self.may_be_new.store(false, Ordering::Release);
        let generation = locked.generation;
        drop(locked);
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

    /// The name of a copy of its rows that is not finished.
    pub(super) fn name_of_copy(&self) -> PathBuf {
        salvage::with_suffix(&self.path, ".anew")
    }

    /// Removes what there is of an unfinished copy.
    pub(super) fn remove_unfinished(&self) -> Result<(), StoreError> {
        let unfinished = self.name_of_copy();
        for suffix in ["", "-wal", "-shm"] {
            let name = salvage::with_suffix(&unfinished, suffix);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io(&name)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Locks the file against transactions and replacement by other threads.
    pub(super) fn lock(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, the path is another file.
    fn begin_generation(&self, locked: &mut Locked) {
        locked.generation.0 += 1;
        self.is_in_doubt.store(false, Ordering::Release);
    }

    /// Notes that a write to the file or to its log failed. From then on, the disk may lack what it took
    /// without an error, and only another file is sure to be complete:
    /// - After a failed `fsync`, the system takes pages for written that never reached the disk.
    /// - SQLite counts pages as copied from the log before it synchronizes them, if the log grows
    ///   meanwhile. It does not copy them again when the `fsync` fails.
    /// - A file system may take a block for unused whose first write failed, though a later one worked.
    ///
    /// There is no doubt after an error of a full disk or of a lock, and a damaged file is replaced anyway.
    pub(super) fn note_failure(&self, error: &StoreError) {
        if error.is_full() || error.is_busy() || error.is_damage() {
            return;
        }
        if !self.is_in_doubt.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "a write of the store failed: its file will be replaced");
        }
    }

    /// Whether such a write failed, and the file has not been replaced since.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.load(Ordering::Acquire)
    }

    /// Notes from now on the rows that are committed. One copy is made at a time.
    pub(super) fn note_changes(&self) -> Noting<'_> {
        self.lock().changed = Some(Keys::new());
        Noting(self)
    }

    /// Whether the file of a connection has been replaced.
    pub(super) fn is_stale(&self, open: &Open) -> bool {
        open.generation != self.lock().generation
    }

    /// Replaces the file of `open`, unless another thread has already done so.
    pub(super) fn replace(&self, open: &Open) -> Result<(), StoreError> {
        let mut locked = self.lock();
        if locked.generation == open.generation {
            self.salvage()?;
            self.begin_generation(&mut locked);
        }
        Ok(())
    }

    /// Puts `copy`, which has no log and is on the disk, in the place of the file of `open`, which is
    /// all in the file and not in its log. An error if another thread has replaced that file already.
    pub(super) fn replace_by(
        &self,
        copy: &Path,
        open: &Open,
        locked: &mut Locked,
    ) -> Result<(), StoreError> {
        if locked.generation != open.generation {
            let replaced = "the damaged file was replaced meanwhile".to_owned();
            return Err(StoreError::Damaged(self.path.clone(), replaced));
        }
        fs::rename(copy, &self.path).map_err(StoreError::io(copy))?;
        // The connections to the file before know it by its inode, and leave these names alone. If a
        // crash leaves them, they are empty.
        self.begin_generation(locked);
        for suffix in ["-wal", "-shm"] {
            let _absent = fs::remove_file(salvage::with_suffix(&self.path, suffix));
        }
        let directory = self.path.parent().unwrap_or(&self.path);
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(StoreError::io(directory))
    }

    fn salvage(&self) -> Result<(), StoreError> {
        self.may_be_new.store(true, Ordering::Release);
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
