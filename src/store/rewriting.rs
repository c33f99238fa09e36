//! Writing the file anew, after a person was erased: SQLite leaves copies of removed rows in free pages,
//! in the free part of others, and in the log.
//!
//! Afterwards, file and log hold the rows that there are, and no other octet of a record.
//!
//! Meanwhile no commit begins: what waits for one, waits as long as this takes, about 5 s of a processor
//! for a million rows (560 MiB). NOTIFYs of changes do not wait. It needs as much memory as the file has octets, and room on the disk for a second copy. Files that
//! were set aside as damaged are not looked at.

use std::fs;
use std::path::Path;

use crate::store::error::StoreError;
use crate::store::log;
use crate::store::salvage::DAMAGED;
use crate::store::state_file::StateFile;
use crate::store::writer::StoreHandle;

/// Writes it anew. Returns the files that were set aside as damaged, or why it was not written.
pub(super) fn write_anew(file: &StateFile, store: &StoreHandle) -> Result<Vec<String>, String> {
    if let Some(failure) = store.health().failure {
        return Err(failure);
    }
    let rewritten = rewrite(file).and_then(|()| set_aside(file.path()));
    rewritten.map_err(|error| error.to_string())
}

fn rewrite(file: &StateFile) -> Result<(), StoreError> {
    let open = file.connect()?;
    let _others_wait = file.lock_for_long();
    let rewrite = || {
        open.connection.execute_batch("VACUUM")?;
        log::begin_anew(&open.connection)
    };
    rewrite().map_err(StoreError::of(file.path()))
}

/// The files beside this one that were set aside as damaged, in order.
fn set_aside(file: &Path) -> Result<Vec<String>, StoreError> {
    let directory = file.parent().unwrap_or(file);
    let entries = fs::read_dir(directory).map_err(StoreError::io(directory))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let damaged = paths.filter(|path| path.to_string_lossy().contains(DAMAGED));
    let mut damaged: Vec<String> = damaged.map(|path| path.display().to_string()).collect();
    damaged.sort_unstable();
    Ok(damaged)
}
