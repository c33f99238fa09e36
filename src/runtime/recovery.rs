//! Recovery at the start: reads the rows of the store, and hands each to the shard that will hold it.
//!
//! The order is that of [`Recovered`](crate::shard::Recovered): all shards have all presentities
//! before the first dialog. Rows are handed over in parts small enough for one turn, and only a few
//! parts wait at a time, so that a large store needs no memory of its own.

use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::runtime::error::BootError;
use crate::runtime::mesh::Mesh;
use crate::runtime::records::key_of;
use crate::runtime::recovered_part::{Records, RecoveredPart};
use crate::shard::{ShardId, is_record_of, recovering_shard};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::schema::Table;

/// Octets of records at which a part is handed over: a turn of a millisecond or two.
const PART_OCTETS: usize = 64 * 1024;
/// How long the reader waits before it tries again to hand a part to a shard that is behind.
const PAUSE: Duration = Duration::from_micros(200);

/// The result of a recovery.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recovery {
    /// Presentities.
    pub(crate) presentities: u64,
    /// Dialogs.
    pub(crate) dialogs: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Reads the store back into the shards. Returns when they have taken all of it.
pub(crate) fn recover(store: &Store, mesh: &Arc<Mesh>) -> Result<Recovery, BootError> {
    let start = Instant::now();
    let mut distributor = Distributor::new(Arc::clone(mesh));
    let (dialogs_end, removed_dialogs) = end(store, Table::Dialog)?;
    let dialogs_end = u32::try_from(dialogs_end).unwrap_or(u32::MAX);
    let (presentities_end, removed_presentities) = end(store, Table::Presentity)?;
    let presentities_end = u64::try_from(presentities_end).unwrap_or_default();
    distributor.send_all(|| RecoveredPart::Begin {
        dialogs_end,
        presentities_end,
        committed_at: store.committed_at(),
    });
    let presentities = distributor.distribute(store, Table::Presentity, removed_presentities)?;
    distributor.distribute(store, Table::Waiting, HashSet::new())?;
    distributor.wait()?;
    let dialogs = distributor.distribute(store, Table::Dialog, removed_dialogs)?;
    distributor.wait()?;
    distributor.send_all(|| RecoveredPart::End);
    Ok(Recovery {
        presentities,
        dialogs,
        took: start.elapsed(),
    })
}

/// One beyond the highest key of a table, and the keys above that are not: their rows are removed, as
/// the shards would set room aside for all keys up to them.
fn end(store: &Store, table: Table) -> Result<(i64, HashSet<i64>), StoreError> {
    let mut impossible = HashSet::new();
    let end = store.end(table, |key, octets| {
        let is_sound = key_of(table, key).is_some_and(|key| is_record_of(key, octets));
        if !is_sound {
            impossible.insert(key);
        }
        is_sound
    })?;
    remove(store, table, &impossible);
    Ok((end, impossible))
}

fn remove(store: &Store, table: Table, impossible: &HashSet<i64>) {
    if !impossible.is_empty() {
        let rows = impossible.len();
        tracing::warn!(rows, "the store has rows that no server wrote: removed");
        store.remove(table, impossible);
    }
}

/// Distributes records to the shards.
struct Distributor {
    mesh: Arc<Mesh>,
    /// Keys of the table whose rows are removed already.
    removed: HashSet<i64>,
    /// Other keys of the table that no server wrote.
    impossible: HashSet<i64>,
    /// By shard: records that are not handed over yet.
    parts: Vec<Records>,
}

impl Distributor {
    fn new(mesh: Arc<Mesh>) -> Self {
        let parts = (0..mesh.shards()).map(|_| Records::default()).collect();
        Self {
            mesh,
            removed: HashSet::new(),
            impossible: HashSet::new(),
            parts,
        }
    }

    /// Distributes the rows of a table, except those of some keys. Returns their number.
    fn distribute(
        &mut self,
        store: &Store,
        table: Table,
        removed: HashSet<i64>,
    ) -> Result<u64, StoreError> {
        self.removed = removed;
        let rows = store.recover(table, |key, record| self.push(table, key, record))?;
        for shard in 0..self.mesh.shards() {
            self.flush(ShardId(shard));
        }
        remove(store, table, &mem::take(&mut self.impossible));
        Ok(rows)
    }

    fn push(&mut self, table: Table, key: i64, record: &[u8]) {
        if self.removed.contains(&key) {
            return;
        }
        let Some(key) = key_of(table, key) else {
            self.impossible.insert(key);
            return;
        };
        // A record that cannot be read goes to any shard, which counts and removes it.
        let shard = recovering_shard(key, record, self.mesh.shards()).unwrap_or_default();
        let Some(part) = self.parts.get_mut(usize::from(shard.0)) else {
            debug_assert!(false, "a record goes to a shard of this node");
            return;
        };
        part.push(key, record);
        if part.octets() >= PART_OCTETS {
            self.flush(shard);
        }
    }

    fn flush(&mut self, shard: ShardId) {
        let part = self.parts.get_mut(usize::from(shard.0));
        let records = part.map(mem::take).unwrap_or_default();
        self.send(shard, RecoveredPart::Records(records));
    }

    fn send_all(&self, part: impl Fn() -> RecoveredPart) {
        for shard in 0..self.mesh.shards() {
            self.send(ShardId(shard), part());
        }
    }

    /// Hands a part over, as soon as the shard has room for it. A shard that has ended takes none, which
    /// [`Self::wait`] detects.
    fn send(&self, shard: ShardId, part: RecoveredPart) {
        let mut refused = self.mesh.recover(shard, part);
        while let Err(part) = refused {
            thread::sleep(PAUSE);
            refused = self.mesh.recover(shard, part);
        }
    }

    /// Waits until all shards have taken the parts that were sent.
    fn wait(&self) -> Result<(), BootError> {
        let (reached, all) = mpsc::channel();
        self.send_all(|| RecoveredPart::Reached(reached.clone()));
        drop(reached);
        let shards = usize::from(self.mesh.shards());
        match all.iter().take(shards).count() == shards {
            true => Ok(()),
            false => Err(BootError::Recovery),
        }
    }
}
