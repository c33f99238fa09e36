//! What is behind the end of the write-ahead log that an earlier process left.
//!
//! SQLite reads the log up to the first page whose checksum is wrong, and says nothing of what is behind.
//! After a loss of power that is at most one commit, which was being written and was acknowledged to
//! no phone: a commit begins only when the one before is on the disk. More than one was lost by damage of
//! the disk.
//!
//! The last commit that SQLite does read may not be on the disk yet either: the earlier process was killed
//! while it waited for that. What is read here is acknowledged, so the log is synchronized first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::log::{self, FRAME_OCTETS};
use crate::store::salvage::with_suffix;

/// Octets before the first page in the log.
const HEAD_OCTETS: u64 = 32;

/// Synchronizes the log of an earlier process, counts the acknowledged commits that it has lost, and begins the log anew if
/// there is a commit behind its end, so that it is not counted again. Nothing may have been written
/// since the log was opened.
pub(super) fn take_lost(connection: &Connection, file: &Path) -> Result<u64, StoreError> {
    let name = with_suffix(file, "-wal");
    let file_of_log = match File::open(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened.map_err(StoreError::io(&name))?,
    };
    file_of_log.sync_data().map_err(StoreError::io(&name))?;
    let end = log::copy(connection, "NOOP").map_err(StoreError::of(file))?;
    let pages = u64::try_from(end.pages).unwrap_or(0);
    let behind = commits_behind(&file_of_log, pages).map_err(StoreError::io(&name))?;
    if behind > 0 {
        log::begin_anew(connection).map_err(StoreError::of(file))?;
    }
    let lost = behind.saturating_sub(1);
    if lost > 0 {
        tracing::error!(
            file = %name.display(),
            commits = lost,
            "the log of the store was damaged: the last commits before this start are lost"
        );
    }
    Ok(lost)
}

/// The commits of this log behind its first `pages` pages. Pages of earlier logs, which it has not
/// replaced yet, have another salt.
fn commits_behind(log: &File, pages: u64) -> io::Result<u64> {
    let octets = log.metadata()?.len();
    let mut salt = [0; 8];
    if octets >= HEAD_OCTETS {
        log.read_exact_at(&mut salt, 16)?;
    }
    let mut commits = 0;
    let mut place = HEAD_OCTETS + pages * FRAME_OCTETS;
    while place + FRAME_OCTETS <= octets {
        // Page number, pages of the file if this is the last page of a commit, salt.
        let mut head = [0; 16];
        log.read_exact_at(&mut head, place)?;
        commits += u64::from(head[4..8] != [0; 4] && head[8..] == salt);
        place += FRAME_OCTETS;
    }
    Ok(commits)
}
