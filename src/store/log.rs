//! The write-ahead log: how long it is, its copies to the file, and room in it.
//!
//! The file of the log keeps its length when SQLite restarts the log at its beginning. A commit that does
//! not change the length of a file waits only until its own octets are on the disk. One that does waits
//! for the journal of the file system, and so for what other programs write. So room is made before it is
//! needed.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rusqlite::Connection;

use crate::store::salvage::with_suffix;
use crate::store::schema::PAGE_OCTETS;

/// Pages of 4 KiB in the log at which it is restarted: 64 MiB.
pub(super) const LOG_PAGES: i64 = 16 * 1024;
/// Octets of a page with its head in the log.
pub(super) const FRAME_OCTETS: u64 = PAGE_OCTETS + 24;
/// Octets by which the file of the log is made longer at once.
const ROOM_OCTETS: usize = 256 * 1024;
/// Pages that there is room for from the start: 1 MiB.
const ROOM_PAGES_MIN: i64 = 256;

/// The length of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    /// Pages in the log.
    pub(super) pages: i64,
    /// Pages that were copied to the file.
    pub(super) copied: i64,
}

/// Copies the log to the file as far as `mode` says: a mode of SQLite's checkpoints.
pub(super) fn copy(connection: &Connection, mode: &str) -> rusqlite::Result<Log> {
    let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    statement.query_row([], |row| {
        Ok(Log {
            pages: row.get(1)?,
            copied: row.get(2)?,
        })
    })
}

/// Copies all of the log and begins it anew, before the first commit after a failed one: behind a hole
/// that a failed `fsync` left in the log, all commits would be lost with the power.
pub(super) fn begin_anew(connection: &Connection) -> rusqlite::Result<()> {
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, bool>(0)
    })?;
    match is_busy {
        true => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        )),
        false => Ok(()),
    }
}

/// Makes the file of the log longer if it has room for less than twice the pages in use, but not longer
/// than a log becomes.
///
/// SQLite takes the zeros for the end of the log, like everything that has no valid checksum. They are
/// appended, so that they never replace what the writer has written meanwhile. A full disk is no error:
/// without room, commits make the log longer themselves, as far as the disk allows.
pub(super) fn make_room(file: &Path, pages: i64) -> io::Result<()> {
    let wanted = (2 * pages).clamp(ROOM_PAGES_MIN, LOG_PAGES) as u64 * FRAME_OCTETS;
    let mut log = File::options()
        .append(true)
        .open(with_suffix(file, "-wal"))?;
    while log.metadata()?.len() < wanted {
        match log.write_all(&[0; ROOM_OCTETS]) {
            Err(error) if is_full(&error) => return Ok(()),
            written => written?,
        }
        log.sync_data()?;
    }
    Ok(())
}

fn is_full(error: &io::Error) -> bool {
    use ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
