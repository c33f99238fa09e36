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
        // An edit does not run out.
        table == Table::Edit || key_of(table, key).is_some_and(|key| is_live(key, octets, clock))
    })
}
