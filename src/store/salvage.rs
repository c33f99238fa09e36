//! Salvage: a damaged file is set aside, never deleted, and its readable rows are copied to a new one.
//!
//! A table is read up to a damage, and on behind it: rows on a damaged page are lost, and some beside.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};

use crate::store::clock::Noted;
use crate::store::error::StoreError;
use crate::store::schema::{self, Table};

/// Renames the file and its log, makes a new file, and copies what can be read; how many rows. No
/// connection of this process may write meanwhile.
pub(super) fn replace(file: &Path) -> Result<u64, StoreError> {
    let aside = set_aside(file)?;
    let mut connection = schema::open(file)?;
    let rows = copy(&aside, &mut connection).map_err(StoreError::of(file))?;
    tracing::error!(
        file = %file.display(),
        aside = %aside.display(),
        rows,
        "the store was damaged: the file was set aside, and its readable rows were copied to a new one"
    );
    Ok(rows)
}

/// In the name of each file that was set aside, before the time.
pub(super) const DAMAGED: &str = ".damaged-";

/// Renames a file and its log; the new name.
pub(super) fn set_aside(file: &Path) -> Result<PathBuf, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs();
    let name = |number: u64| with_suffix(file, &format!("{DAMAGED}{}", seconds + number));
    let aside = (0..).map(name).find(|aside| !aside.exists());
    let aside = aside.unwrap_or_else(|| name(0));
    for suffix in ["-wal", "-shm", ""] {
        let from = with_suffix(file, suffix);
        if from.exists() {
            fs::rename(&from, with_suffix(&aside, suffix)).map_err(StoreError::io(&from))?;
        }
    }
    Ok(aside)
}

/// A path with a text behind it.
pub(super) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies the readable rows, and returns their number. Unreadable rows are skipped.
fn copy(aside: &Path, to: &mut Connection) -> rusqlite::Result<u64> {
    let transaction = to.transaction()?;
    let mut rows = 0;
    if let Ok(from) = Connection::open(aside) {
        // Only so does SQLite read what is left of a truncated file.
        let _unreadable = from.pragma_update(None, "writable_schema", true);
        for table in Table::ALL {
            let mut put = transaction.prepare_cached(table.put())?;
            rows += copy_table(&from, table, &mut put)?;
        }
        if let Ok(Some(mut noted)) = Noted::read(&from) {
            noted.committed_at = None;
            noted.write(&transaction)?;
        }
    }
    transaction.commit()?;
    Ok(rows)
}

/// Copies a table. Behind a damage it seeks further and further, until rows can be read again or there
/// are no more keys.
fn copy_table(from: &Connection, table: Table, put: &mut Statement<'_>) -> rusqlite::Result<u64> {
    let (mut rows, mut after, mut step) = (0, i64::MIN, 1);
    loop {
        let copied = copy_rows(from, table, after, put)?;
        rows += copied.rows;
        if copied.is_end {
            return Ok(rows);
        }
        // In a damaged tree keys may go back, and scans must not.
        if let Some(last) = copied.last.filter(|last| *last > after) {
            (after, step) = (last, 1);
        }
        let Some(next) = after.checked_add(step) else {
            return Ok(rows);
        };
        // From the lowest key on, where there is none, to those that there are.
        after = if after == i64::MIN { -1 } else { next };
        step = step.saturating_mul(2);
    }
}

/// What one scan of a table copied.
#[derive(Debug, Default)]
struct Copied {
    rows: u64,
    /// The key of the last row.
    last: Option<i64>,
    /// Whether there are no more rows; otherwise there is a damage.
    is_end: bool,
}

/// Copies rows with keys above `after`, until the end or the first damage.
fn copy_rows(
    from: &Connection,
    table: Table,
    after: i64,
    put: &mut Statement<'_>,
) -> rusqlite::Result<Copied> {
    let (name, key) = (table.name(), table.key());
    let scan = format!("SELECT {key}, record FROM {name} WHERE {key} > ?1 ORDER BY {key}");
    let mut copied = Copied::default();
    let Ok(mut statement) = from.prepare(&scan) else {
        // No table can be found in it.
        copied.is_end = true;
        return Ok(copied);
    };
    let Ok(mut rows) = statement.query([after]) else {
        return Ok(copied);
    };
    // An error of `next` is the damage.
    while let Ok(row) = rows.next() {
        let Some(row) = row else {
            copied.is_end = true;
            break;
        };
        let Ok(key) = row.get(0) else { continue };
        copied.last = Some(key);
        if let Ok(ValueRef::Blob(record)) = row.get_ref(1) {
            put.execute((key, record))?;
            copied.rows += 1;
        }
    }
    Ok(copied)
}
