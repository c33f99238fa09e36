//! Changes that the writer keeps while the disk fails: the newest change of each row.
//!
//! Limit: one entry for each row, so at most as many as the shards' tables have places, at about 300
//! octets each.

use std::collections::HashMap;

use crate::store::batch::{Batch, Change};
use crate::store::schema::Table;

/// Changes that could not be written, the newest of each row.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    rows: HashMap<(Table, i64), Option<Box<[u8]>>>,
}

impl Unwritten {
    /// Keeps the changes of a batch.
    pub(super) fn keep(&mut self, batch: &Batch) {
        for change in batch.changes() {
            match change {
                Change::Put(table, key, record) => {
                    self.rows.insert((table, key), Some(record.into()))
                }
                Change::Remove(table, key) => self.rows.insert((table, key), None),
            };
        }
    }

    /// Takes over older changes, except to rows that have a newer one.
    pub(super) fn keep_older(&mut self, older: Self) {
        let newer = std::mem::replace(&mut self.rows, older.rows);
        self.rows.extend(newer);
    }

    /// The changes, in no order: each is to another row.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.rows
            .iter()
            .map(|(&(table, key), record)| match record {
                Some(record) => Change::Put(table, key, record),
                None => Change::Remove(table, key),
            })
    }

    /// Number of rows that are not written.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether all is written.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
