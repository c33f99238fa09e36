//! Restoring a backup: what has expired meanwhile is dropped.

use std::path::Path;

use crate::runtime::records::key_of;
use crate::shard::is_live;
use crate::store::data_directory::DataDirectory;
use crate::store::error::StoreError;
use crate::store::restore::{self, Restored};
use crate::store::schema::Table;

/// Restores a backup into an empty directory, which is created if it is missing.
pub fn restore(backup: &Path, directory: &Path) -> Result<Restored, StoreError> {
    let directory = DataDirectory::open(directory)?;
    restore::restore(backup, &directory, |table, key, octets, clock| {
        // An edit does not run out, nor does an erasure.
        matches!(table, Table::Edit | Table::Erasure)
            || key_of(table, key).is_some_and(|key| is_live(key, octets, clock))
    })
}

/// The configuration's file of the HTTP API that a backup has; None if it has none.
pub fn restored_beside(backup: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    restore::beside(backup)
}
