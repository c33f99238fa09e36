//! Reading back at the start, on a connection of its own: meanwhile the writer commits.
//!
//! If the file turns out to be damaged, it is replaced, and reading goes on in the new one.

use crate::store::error::StoreError;
use crate::store::schema::Table;
use crate::store::state_file::{Open, StateFile};

/// One beyond the highest key of a table; 0 if it is empty.
pub(super) fn end(file: &StateFile, table: Table) -> Result<i64, StoreError> {
    let (name, key) = (table.name(), table.key());
    let text = format!("SELECT max({key}) FROM {name}");
    let mut last = None;
    on_readable_file(file, |open| {
        let highest = open.connection.query_row(&text, [], |row| row.get(0));
        last = highest.map_err(StoreError::of(file.path()))?;
        Ok(())
    })?;
    Ok(last.map_or(0, |last: i64| last.saturating_add(1)))
}

/// Calls `each` with every row of a table, in the order of the keys; how many they were.
pub(super) fn read(
    file: &StateFile,
    table: Table,
    mut each: impl FnMut(i64, &[u8]),
) -> Result<u64, StoreError> {
    let (mut rows, mut last) = (0, None);
    on_readable_file(file, |open| {
        scan(file, open, table, &mut last, &mut |key, record| {
            rows += 1;
            each(key, record);
        })
    })?;
    Ok(rows)
}

/// Does `work` on a connection, and once more on a new file if it found a damage.
fn on_readable_file(
    file: &StateFile,
    mut work: impl FnMut(&Open) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let open = file.connect()?;
    match work(&open) {
        Err(error) if error.is_damage() => {
            file.replace(&open)?;
            work(&file.connect()?)
        }
        outcome => outcome,
    }
}

/// Reads the rows of a table behind `last`, and moves it along.
fn scan(
    file: &StateFile,
    open: &Open,
    table: Table,
    last: &mut Option<i64>,
    each: &mut impl FnMut(i64, &[u8]),
) -> Result<(), StoreError> {
    let (name, key) = (table.name(), table.key());
    let text =
        format!("SELECT {key}, record FROM {name} WHERE ?1 IS NULL OR {key} > ?1 ORDER BY {key}");
    let mut run = || {
        let mut statement = open.connection.prepare(&text)?;
        let mut rows = statement.query([*last])?;
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            each(key, row.get_ref(1)?.as_blob()?);
            *last = Some(key);
        }
        Ok(())
    };
    run().map_err(StoreError::of(file.path()))
}
