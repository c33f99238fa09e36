//! Salvage: a damaged file is set aside, never deleted, and its readable rows are copied to a new one.
//!
//! A table is read from both ends towards the damage. Rows between two damaged pages are lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};

use crate::store::error::StoreError;
use crate::store::schema::{self, Table};

/// Renames the file and its log, creates a new file, and copies the readable rows to it. No
/// connection of this process may write meanwhile.
pub(super) fn replace(file: &Path) -> Result<(), StoreError> {
    let aside = set_aside(file)?;
    let mut connection = schema::open(file)?;
    let rows = copy(&aside, &mut connection).map_err(StoreError::of(file))?;
    tracing::error!(
        file = %file.display(),
        aside = %aside.display(),
        rows,
        "the store was damaged: the file was set aside, and its readable rows were copied to a new one"
    );
    Ok(())
}

fn set_aside(file: &Path) -> Result<PathBuf, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs();
    let name = |number: u64| with_suffix(file, &format!(".damaged-{}", seconds + number));
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

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies the readable rows, and returns their number. Unreadable rows are skipped.
fn copy(aside: &Path, to: &mut Connection) -> rusqlite::Result<u64> {
    let transaction = to.transaction()?;
    let mut rows = 0;
    if let Ok(from) = Connection::open(aside) {
        for table in Table::ALL {
            let mut put = transaction.prepare_cached(table.put())?;
            let forward = copy_rows(&from, table, "ASC", None, &mut put)?;
            let backward = copy_rows(&from, table, "DESC", forward.last, &mut put)?;
            rows += forward.rows + backward.rows;
        }
    }
    transaction.commit()?;
    Ok(rows)
}

/// The result of one scan of a table.
#[derive(Debug, Default)]
struct Copied {
    rows: u64,
    /// The key of the last row.
    last: Option<i64>,
}

/// Copies rows with keys above `after` in an order, until the end or the first damage.
fn copy_rows(
    from: &Connection,
    table: Table,
    order: &str,
    after: Option<i64>,
    put: &mut Statement<'_>,
) -> rusqlite::Result<Copied> {
    let (name, key) = (table.name(), table.key());
    let scan = format!(
        "SELECT {key}, record FROM {name} WHERE ?1 IS NULL OR {key} > ?1 ORDER BY {key} {order}"
    );
    let mut copied = Copied::default();
    let Ok(mut statement) = from.prepare(&scan) else {
        return Ok(copied);
    };
    let Ok(mut rows) = statement.query([after]) else {
        return Ok(copied);
    };
    // `next` fails at the first damaged page.
    while let Ok(Some(row)) = rows.next() {
        let (Ok(key), Ok(ValueRef::Blob(record))) = (row.get(0), row.get_ref(1)) else {
            continue;
        };
        put.execute((key, record))?;
        copied.rows += 1;
        copied.last = Some(key);
    }
    Ok(copied)
}
