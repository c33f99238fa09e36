//! Backup of a running store: SQLite's online backup, in small steps, on a connection of its own.
//!
//! A backup also has a file of the configuration, in a table of its own (`beside`): the domains whose accounts
//! are in the store.
//!
//! The connection keeps a read transaction open. Otherwise each commit of the writer would make
//! SQLite begin the copy again. Meanwhile the log grows, because it cannot begin anew.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::store::error::StoreError;
use crate::store::salvage::with_suffix;
use crate::store::schema;
use crate::store::state_file::StateFile;

/// Pages of a step: some tens of microseconds.
const STEP_PAGES: i32 = 32;
/// Time between two steps: at most 64 MiB are copied in a second.
const PAUSE: Duration = Duration::from_millis(2);
/// Steps after which the copy is synchronized, so that the disk never has much to do at once.
const STEPS_PER_SYNC: u32 = 64;

/// The table of the file beside the store, and how it is filled.
const BESIDE: &str = "CREATE TABLE beside (octets BLOB NOT NULL) STRICT";
const PUT_BESIDE: &str = "INSERT INTO beside VALUES (?1)";

/// Writes a backup, with the file `beside` if there is one. Returns its number of octets.
pub(super) fn back_up(
    file: &StateFile,
    to: &Path,
    beside: &Path,
    stop: &AtomicBool,
) -> Result<u64, StoreError> {
    if to.exists() {
        return Err(StoreError::Exists(to.into()));
    }
    let partial = with_suffix(to, ".partial");
    let _absent = fs::remove_file(&partial);
    let written = copy(file, &partial, beside, stop).and_then(|octets| {
        fs::rename(&partial, to).map_err(StoreError::io(to))?;
        Ok(octets)
    });
    if written.is_err() {
        let _absent = fs::remove_file(&partial);
    }
    written
}

fn copy(
    file: &StateFile,
    partial: &Path,
    beside: &Path,
    stop: &AtomicBool,
) -> Result<u64, StoreError> {
    let (ours, theirs) = (StoreError::of(file.path()), StoreError::of(partial));
    let open = file.connect()?;
    let snapshot = "BEGIN; SELECT count(*) FROM sqlite_schema;";
    open.connection.execute_batch(snapshot).map_err(ours)?;
    schema::make_private(partial).map_err(StoreError::io(partial))?;
    let disk = File::options().write(true).open(partial);
    let disk = disk.map_err(StoreError::io(partial))?;
    let mut copy = Connection::open(partial).map_err(&theirs)?;
    // An interrupted backup is deleted, so it needs no journal.
    let settings = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;";
    copy.execute_batch(settings).map_err(&theirs)?;
    let backup = Backup::new(&open.connection, &mut copy).map_err(&theirs)?;
    let mut steps = 0;
    while backup.step(STEP_PAGES).map_err(&theirs)? != StepResult::Done {
        if stop.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        steps += 1;
        if steps % STEPS_PER_SYNC == 0 {
            disk.sync_data().map_err(StoreError::io(partial))?;
        }
        thread::sleep(PAUSE);
    }
    drop(backup);
    drop(copy);
    // The copy has no log, and needs no other file beside it.
    let copy = Connection::open(partial).map_err(&theirs)?;
    let leave_log = "PRAGMA journal_mode = DELETE";
    copy.query_row(leave_log, [], |_| Ok(())).map_err(&theirs)?;
    // After the copy of the store, so that no account in it is of a domain that the file does not have yet.
    if let Some(octets) = read(beside)? {
        copy.execute_batch(BESIDE).map_err(&theirs)?;
        copy.execute(PUT_BESIDE, [octets]).map_err(&theirs)?;
    }
    drop(copy);
    disk.sync_all().map_err(StoreError::io(partial))?;
    let octets = disk.metadata().map_err(StoreError::io(partial))?.len();
    Ok(octets)
}

/// What a file holds; None if there is none.
fn read(file: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(file) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(file)(error)),
    }
}

/// The file beside the store that a backup has; None if it has none.
pub(super) fn beside(backup: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    let has_it = backup.table_exists(None, "beside")?;
    let select = "SELECT octets FROM beside";
    let found = has_it.then(|| backup.query_row(select, [], |row| row.get(0)));
    found.transpose()
}
