//! Recovery: reads all rows back at the start, on a connection of its own, while the writer commits.
//!
//! If the file turns out to be damaged, it is replaced, and reading continues in the new one.

use std::path::PathBuf;

use rusqlite::Row;

use crate::store::clock::Noted;
use crate::store::error::StoreError;
use crate::store::schema::Table;
use crate::store::state_file::{Open, StateFile};

/// One beyond the highest key of a table whose row is sound; 0 if there is none.
pub(super) fn end(
    file: &StateFile,
    table: Table,
    mut is_sound: impl FnMut(i64, &[u8]) -> bool,
) -> Result<i64, StoreError> {
    let (name, key) = (table.name(), table.key());
    let text = format!("SELECT {key}, record FROM {name} ORDER BY {key} DESC");
    let mut last = None;
    on_readable_file(file, |open| {
        let mut run = || {
            let mut statement = open.connection.prepare(&text)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let key = row.get(0)?;
                if is_sound(key, blob(row)?) {
                    last = Some(key);
                    break;
                }
            }
            Ok(())
        };
        run().map_err(StoreError::of(file.path()))
    })?;
    Ok(last.map_or(0, |last: i64| last.saturating_add(1)))
}

/// Calls `each` with every row of a table, in the order of the keys. Returns the number of rows.
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

/// Finds single rows of a table, while all are being read.
#[derive(Debug)]
pub struct Finder {
    open: Open,
    path: PathBuf,
    text: String,
}

impl Finder {
    pub(super) fn new(file: &StateFile, table: Table) -> Result<Self, StoreError> {
        let (name, key) = (table.name(), table.key());
        Ok(Self {
            open: file.connect()?,
            path: file.path().into(),
            text: format!("SELECT {key}, record FROM {name} WHERE {key} = ?1"),
        })
    }

    /// Calls `found` with the record in the row with this key. False if there is no such row.
    pub fn find(&self, key: i64, found: impl FnOnce(&[u8])) -> Result<bool, StoreError> {
        let run = || {
            let mut statement = self.open.connection.prepare_cached(&self.text)?;
            let mut rows = statement.query([key])?;
            let row = rows.next()?;
            let is_there = row.is_some();
            if let Some(row) = row {
                found(blob(row)?);
            }
            Ok(is_there)
        };
        run().map_err(StoreError::of(&self.path))
    }
}

/// Where the clocks stood at the last commit; None if that is not known.
pub(super) fn noted(file: &StateFile) -> Result<Option<Noted>, StoreError> {
    let mut noted = None;
    on_readable_file(file, |open| {
        noted = Noted::read(&open.connection).map_err(StoreError::of(file.path()))?;
        Ok(())
    })?;
    Ok(noted)
}

/// Runs `work` on a connection. If the file is damaged, replaces it and runs `work` once more.
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

/// Reads the rows of a table with keys above `last`, and updates `last`.
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
            each(key, blob(row)?);
            *last = Some(key);
        }
        Ok(())
    };
    run().map_err(StoreError::of(file.path()))
}

/// The record of a row; none if a damage made another type of it.
fn blob<'r>(row: &'r Row<'_>) -> rusqlite::Result<&'r [u8]> {
    Ok(row.get_ref(1)?.as_blob().unwrap_or_default())
}
