//! Reading all rows back at the start, on a connection of its own: meanwhile the writer commits.

use crate::store::error::StoreError;
use crate::store::schema::Table;
use crate::store::state_file::{Open, StateFile};

/// Calls `each` with every row, table by table and in the order of the keys; how many they were. If
/// the file turns out to be damaged, it is replaced, and the scan goes on in the new one.
pub(super) fn read(
    file: &StateFile,
    mut each: impl FnMut(Table, i64, &[u8]),
) -> Result<u64, StoreError> {
    let mut rows = 0;
    let mut open = file.connect()?;
    let mut is_replaced = false;
    for table in Table::ALL {
        let mut last = None;
        let mut each = |key: i64, record: &[u8]| {
            rows += 1;
            each(table, key, record);
        };
        while let Err(error) = scan(file, &open, table, &mut last, &mut each) {
            if is_replaced || !error.is_damage() {
                return Err(error);
            }
            file.replace(&open)?;
            open = file.connect()?;
            is_replaced = true;
        }
    }
    Ok(rows)
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
