//! The data directory, used by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::store::error::StoreError;

/// A locked data directory; the lock ends with the value or the process.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// How long a process that ended may still hold its lock: io_uring closes its files a moment later.
const LINGERS: Duration = Duration::from_secs(1);
/// How often the lock is tried meanwhile.
const RETRY: Duration = Duration::from_millis(20);

/// Takes a lock that is free, or becomes free in a moment.
fn lock_soon(lock: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + LINGERS;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
            outcome => return outcome,
        }
        sleep(RETRY);
    }
}

impl DataDirectory {
    /// Creates the directory if it is missing, for this user alone, and locks it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(StoreError::io(path))?;
        let lock_file = path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        options.mode(0o600);
        let mut lock = options
            .open(&lock_file)
            .map_err(StoreError::io(&lock_file))?;
        match lock_soon(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _unknown = lock.read_to_string(&mut holder);
                return Err(StoreError::InUse {
                    directory: path.into(),
                    holder: format!("process {}", holder.trim()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io(&lock_file)(error)),
        }
        let process = std::process::id();
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{process}"))
            .map_err(StoreError::io(&lock_file))?;
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }

    /// The file with the history.
    #[must_use]
    pub fn history_file(&self) -> PathBuf {
        self.path.join("history.sqlite")
    }

    /// Whether there is nothing in it but the lock; otherwise refuses it.
    pub(super) fn check_empty(&self) -> Result<(), StoreError> {
        let entries = fs::read_dir(&self.path).map_err(StoreError::io(&self.path))?;
        let mut names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        match names.any(|name| name.map_or(true, |name| name != "lock")) {
            true => Err(StoreError::NotEmpty(self.path.clone())),
            false => Ok(()),
        }
    }

    /// The file with the state.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.path.join("state.sqlite")
    }
}
