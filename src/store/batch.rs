//! Batches: the rows that a shard writes and removes, as it hands them to the store.

use std::ops::Range;

use crate::store::schema::Table;

/// Rows to write and to remove, in order, and the sequence number that is durable with them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The shard that the rows are from.
    pub shard: u16,
    /// The sequence number of the last row.
    pub through: u64,
    /// It has the last of what the recovery of its shard wrote.
    pub ends_recovery: bool,
    rows: Vec<Row>,
    octets: Vec<u8>,
}

/// One row of a batch.
#[derive(Clone, Debug)]
struct Row {
    table: Table,
    key: i64,
    /// The record within the octets of the batch; None to remove the row.
    record: Option<Range<usize>>,
}

/// One change of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Writes the row with this key, whether it exists or not.
    Put(Table, i64, &'a [u8]),
    /// Removes the row with this key, if it exists.
    Remove(Table, i64),
}

impl Change<'_> {
    /// The table and the key of the row.
    pub(super) const fn row(self) -> (Table, i64) {
        match self {
            Self::Put(table, key, _) | Self::Remove(table, key) => (table, key),
        }
    }
}

impl Batch {
    /// Writes a row.
    pub fn put(&mut self, table: Table, key: i64, record: &[u8]) {
        let start = self.octets.len();
        self.octets.extend_from_slice(record);
        let record = Some(start..self.octets.len());
        self.rows.push(Row { table, key, record });
    }

    /// Removes a row.
    pub fn remove(&mut self, table: Table, key: i64) {
        let record = None;
        self.rows.push(Row { table, key, record });
    }

    /// The changes, in order.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.rows.iter().map(|row| match &row.record {
            Some(range) => Change::Put(
                row.table,
                row.key,
                self.octets.get(range.clone()).unwrap_or_default(),
            ),
            None => Change::Remove(row.table, row.key),
        })
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Octets of all records.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets.len()
    }

    /// Removes all changes and keeps the buffers.
    pub fn clear(&mut self) {
        self.ends_recovery = false;
        self.rows.clear();
        self.octets.clear();
    }
}
