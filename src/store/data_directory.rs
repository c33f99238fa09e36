//! The data directory, used by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
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

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file with the history.
    #[must_use]
    pub fn history_file(&self) -> PathBuf {
        self.path.join("history.sqlite")
    }

    /// The key that signs nonces, so that they are good in the next process and on nodes that have the
    /// same file. If there is none yet, `fresh` becomes the key, for this user alone to read.
    pub fn nonce_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let file = self.path.join("nonce.key");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return self.write_key(&file, fresh).map(|()| fresh);
            }
            Err(error) => return Err(StoreError::io(&file)(error)),
        };
        let wrong = || {
            let what = "not 64 hexadecimal digits: remove it, and a new key is made";
            StoreError::io(&file)(io::Error::new(ErrorKind::InvalidData, what))
        };
        key_of(text.trim()).ok_or_else(wrong)
    }

    /// Writes a key as a whole, or not at all.
    fn write_key(&self, file: &Path, key: [u8; 32]) -> Result<(), StoreError> {
        let unfinished = file.with_extension("key.new");
        let digits = key.map(|octet| format!("{octet:02x}")).concat();
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let write = || {
            let mut new = options.open(&unfinished)?;
            writeln!(new, "{digits}")?;
            new.sync_all()?;
            fs::rename(&unfinished, file)
        };
        write().map_err(StoreError::io(file))
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

/// The key that 64 hexadecimal digits are.
fn key_of(digits: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if digits.len() != 2 * key.len() || !digits.is_ascii() {
        return None;
    }
    for (index, octet) in key.iter_mut().enumerate() {
        let pair = digits.get(2 * index..2 * index + 2)?;
        let is_number = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        *octet = u8::from_str_radix(pair, 16).ok().filter(|_| is_number)?;
    }
    Some(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_nonce_key_is_made_once_for_this_user_alone() {
        let folder = format!("lamplighter-nonce-key-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let directory = DataDirectory::open(&folder).unwrap();
        assert_eq!(directory.nonce_key([0xa7; 32]).unwrap(), [0xa7; 32]);
        assert_eq!(directory.nonce_key([1; 32]).unwrap(), [0xa7; 32]);
        let file = folder.join("nonce.key");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for wrong in ["", "a7", &"+1".repeat(32), &"é".repeat(32)] {
            fs::write(&file, wrong).unwrap();
            let error = directory.nonce_key([1; 32]).unwrap_err().to_string();
            assert!(error.contains("not 64 hexadecimal digits"), "{error}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
