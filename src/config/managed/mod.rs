//! `domains.toml` in the data directory: the domains, groups and policies that the HTTP API keeps.
//!
//! The file has the tables `[[domain]]`, `[[group]]` and `[[policy]]` with their keys, and is read behind the
//! operator's file, as one configuration: `tables`. A change (`change`) replaces tables in it; the new text is
//! checked with the whole configuration before it is written.
//!
//! Guarantees: the file is replaced as a whole, and is on the disk when a write has succeeded. Changes of
//! several processes follow each other: the directory is locked from the reading of the file to its writing. A
//! file that was changed otherwise is not built upon until a reload has taken it.

mod change;
mod tables;

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::config::complaint::{Complaints, Source};
use crate::config::managed::change::{Operators, check_length};
use crate::config::managed::tables::Tables;
use crate::config::schema::Config;
use crate::directory::managed::{ChangeFault, ChangeRefusal, FaultPlace, ManagedChange};

/// The name of the file in the data directory.
const FILE_NAME: &str = "domains.toml";
/// The file while it is written.
const UNFINISHED: &str = "domains.toml.new";
/// How long another process may hold the lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the lock is tried meanwhile.
const RETRY: Duration = Duration::from_millis(10);

/// The file of a data directory.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE_NAME)
}

/// Puts the file of a backup into a data directory, which is created if it is missing.
///
/// # Errors
/// There is one already, or it cannot be written.
pub fn restore(data_dir: &Path, octets: &[u8]) -> io::Result<PathBuf> {
    let path = file(data_dir);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)?;
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(octets)?;
    file.sync_all()?;
    Ok(path)
}

/// Reads the file of a data directory; None if there is none.
pub(super) fn read(data_dir: &Path) -> Result<Option<Source>, Complaints> {
    let path = file(data_dir);
    let absent = [ErrorKind::NotFound, ErrorKind::NotADirectory];
    if fs::metadata(&path).is_err_and(|error| absent.contains(&error.kind())) {
        return Ok(None);
    }
    let remedy = "it has the domains of the HTTP API: run this as the server's user";
    Source::read_or(&path, remedy).map(Some)
}

/// The file of a data directory, if this user may not read it.
pub(super) fn forbidden(data_dir: &Path) -> Option<PathBuf> {
    let path = file(data_dir);
    let opened = File::open(&path);
    let is_forbidden = opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    is_forbidden.then_some(path)
}

/// The refusal of a change because of faults elsewhere in the configuration.
pub(super) fn refusal_for(complaints: &Complaints) -> ChangeRefusal {
    ChangeRefusal::Configuration(format!(
        "the configuration has faults, and nothing was changed:\n{complaints}"
    ))
}

/// The refusal to go on from a file that another hand has changed: what that took out would be gone for good.
fn changed_beside(data_dir: &Path) -> ChangeRefusal {
    let file = file(data_dir);
    ChangeRefusal::Configuration(format!(
        "{} is not as the server read or wrote it, and nothing was changed: put it right, and run `lamplighter reload`",
        file.display()
    ))
}

/// The file with a change that is not written yet. The lock ends with it.
pub(super) struct Draft {
    folder: PathBuf,
    lock: File,
    text: String,
    /// Where each line of the change stands in it.
    places: HashMap<usize, FaultPlace>,
    /// The own name of the domain that is changed.
    pub(super) domain: String,
    /// Whether the domain or group is new.
    pub(super) is_new: bool,
    /// Aliases that other domains have.
    taken: Vec<ChangeFault>,
    /// Whether the file before was as the server read or wrote it.
    is_known: bool,
}

impl Draft {
    /// Applies a change to the file of a data directory, of which the operator's file, `config`, was read.
    /// `known`: the hashes of the file that the server has read or written.
    pub(super) fn new(
        data_dir: &Path,
        change: &ManagedChange,
        known: &[Option<u64>],
        (config, source): (&Config, &Source),
    ) -> Result<Self, ChangeRefusal> {
        let lock = lock(data_dir)?;
        let current = read(data_dir).map_err(|complaints| refusal_for(&complaints))?;
        let is_known = known.contains(&current.as_ref().map(Source::hash));
        let current = current.unwrap_or_default();
        let Some(mut tables) = Tables::read(&current.text) else {
            let file = file(data_dir);
            let why = format!("{} has faults: run `lamplighter check`", file.display());
            return Err(ChangeRefusal::Configuration(why));
        };
        let applied = tables.apply(change, &Operators::of(config, source));
        let applied = applied.map_err(|refusal| match is_known {
            true => refusal,
            false => changed_beside(data_dir),
        })?;
        let (text, places) = tables.write();
        check_length(&text)?;
        Ok(Self {
            folder: data_dir.to_owned(),
            lock,
            text,
            places,
            domain: applied.domain,
            is_new: applied.is_new,
            taken: applied.taken,
            is_known,
        })
    }

    /// Refuses to replace a file that another hand has changed.
    pub(super) fn check_known(&self) -> Result<(), ChangeRefusal> {
        match self.is_known {
            true => Ok(()),
            false => Err(changed_beside(&self.folder)),
        }
    }

    /// The file as it will be.
    pub(super) fn source(&self) -> Source {
        Source {
            name: file(&self.folder).display().to_string(),
            text: self.text.clone(),
        }
    }

    /// The refusal of a draft with which the configuration has these faults.
    pub(super) fn refusal(&self, complaints: &Complaints) -> ChangeRefusal {
        let own = Some(self.source().name);
        let faults = complaints.complaints.iter().filter_map(|complaint| {
            let line = complaint.line.filter(|_| complaint.file == own)?;
            Some(ChangeFault {
                place: self.places.get(&line)?.clone(),
                detail: format!("{}; {}", complaint.what, complaint.remedy),
            })
        });
        let mut faults: Vec<ChangeFault> = faults.collect();
        for taken in &self.taken {
            if faults.iter().all(|fault| fault.place != taken.place) {
                faults.push(taken.clone());
            }
        }
        match faults.is_empty() {
            true => refusal_for(complaints),
            false => ChangeRefusal::Faults(faults),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It is not written, or perhaps not on the disk.
    pub(super) fn write(&self) -> io::Result<()> {
        let unfinished = self.folder.join(UNFINISHED);
        let written = self.replace(&unfinished);
        if written.is_err() {
            let _absent = fs::remove_file(&unfinished);
        }
        written
    }

    fn replace(&self, unfinished: &Path) -> io::Result<()> {
        match fs::remove_file(unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // It may hold tokens.
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(unfinished)?;
        file.write_all(self.text.as_bytes())?;
        file.sync_all()?;
        fs::rename(unfinished, self::file(&self.folder))?;
        self.lock.sync_all()
    }
}

/// Locks a data directory for a change.
fn lock(data_dir: &Path) -> Result<File, ChangeRefusal> {
    let fault = |why: String| ChangeRefusal::NotWritten(format!("{}: {why}", data_dir.display()));
    let folder = File::open(data_dir).map_err(|error| fault(error.to_string()))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(RETRY),
            Err(TryLockError::WouldBlock) => {
                return Err(fault("another process holds its lock".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(fault(error.to_string())),
        }
    }
}
