//! Restoring a backup into an empty directory, while no server uses it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::presence::wall_clock::WallClock;
use crate::store::backup;
use crate::store::clock::{Noted, RecordClock};
use crate::store::data_directory::DataDirectory;
use crate::store::error::StoreError;
use crate::store::salvage::with_suffix;
use crate::store::schema::{self, Table};

/// Rows that were restored, and rows that were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Presentities with contributions.
    pub presentities: u64,
    /// Dialogs with subscriptions.
    pub dialogs: u64,
    /// Rows of either that were dropped.
    pub dropped: u64,
}

/// Restores a backup, except the rows for which `is_kept` is false, by the clock of the records. The
/// directory must be empty. What phones were notified of after the backup is not known, so the server tells
/// all of them the state.
pub fn restore(
    backup: &Path,
    directory: &DataDirectory,
    is_kept: impl Fn(Table, i64, &[u8], WallClock) -> bool,
) -> Result<Restored, StoreError> {
    directory.check_empty()?;
    let from = open(backup)?;
    let state_file = directory.state_file();
    let partial = with_suffix(&state_file, ".partial");
    let restored = copy(&from, backup, &partial).and_then(|mut copy| {
        let restored = drop_rows(&mut copy, is_kept).map_err(StoreError::of(&partial))?;
        copy.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .map_err(StoreError::of(&partial))?;
        Ok(restored)
    });
    let restored = restored.and_then(|restored| {
        fs::rename(&partial, &state_file).map_err(StoreError::io(&state_file))?;
        Ok(restored)
    });
    if restored.is_err() {
        for suffix in ["", "-wal", "-shm"] {
            let _absent = fs::remove_file(with_suffix(&partial, suffix));
        }
    }
    restored
}

/// The file beside the store that a backup has; None if it has none.
pub fn beside(backup: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    backup::beside(&open(backup)?).map_err(StoreError::of(backup))
}

/// Opens a backup and checks it.
fn open(backup: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let sqlite = StoreError::of(backup);
    let from = Connection::open_with_flags(backup, flags).map_err(&sqlite)?;
    schema::check(&from, backup, schema::STATE)?;
    let check = from.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match check.map_err(&sqlite)? {
        text if text == "ok" => Ok(from),
        text => Err(StoreError::Damaged(backup.into(), text)),
    }
}

/// Copies a backup to a file that becomes the store's, and migrates it.
fn copy(from: &Connection, backup: &Path, to: &Path) -> Result<Connection, StoreError> {
    let _absent = fs::remove_file(to);
    schema::make_private(to).map_err(StoreError::io(to))?;
    let mut copy = Connection::open(to).map_err(StoreError::of(to))?;
    Backup::new(from, &mut copy)
        .and_then(|steps| steps.run_to_completion(1024, Duration::ZERO, None))
        .map_err(StoreError::of(backup))?;
    copy.execute_batch("DROP TABLE IF EXISTS beside")
        .map_err(StoreError::of(to))?;
    drop(copy);
    schema::open(to)
}

fn drop_rows(
    copy: &mut Connection,
    is_kept: impl Fn(Table, i64, &[u8], WallClock) -> bool,
) -> rusqlite::Result<Restored> {
    let transaction = copy.transaction()?;
    let clock = RecordClock::after(Noted::read(&transaction)?.as_ref()).clock;
    transaction.execute("UPDATE clock SET committed_at = NULL", [])?;
    let mut restored = Restored::default();
    for table in Table::ALL {
        let (name, key) = (table.name(), table.key());
        let mut kept = 0;
        let mut dropped: Vec<i64> = Vec::new();
        let mut statement = transaction.prepare(&format!("SELECT {key}, record FROM {name}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            let record = row.get_ref(1)?.as_blob().unwrap_or_default();
            match is_kept(table, key, record, clock) {
                true => kept += 1,
                false => dropped.push(key),
            }
        }
        for key in &dropped {
            transaction.prepare_cached(table.remove())?.execute([key])?;
        }
        match table {
            Table::Presentity => restored.presentities = kept,
            Table::Dialog => restored.dialogs = kept,
            Table::Waiting | Table::Edit | Table::Erasure => {}
        }
        restored.dropped += dropped.len() as u64;
    }
    transaction.commit()?;
    Ok(restored)
}
