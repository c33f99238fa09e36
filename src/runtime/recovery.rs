//! The start from a store: its rows go to the shards that are to hold them, part by part.
//!
//! The order is that of [`Recovered`](crate::shard::Recovered): all shards have all presentities
//! before the first dialog comes. A part is small enough for one turn, and few wait at a time, so that
//! a large store takes no memory of its own.

use std::mem;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::runtime::error::BootError;
use crate::runtime::mesh::Mesh;
use crate::runtime::records::key_of;
use crate::runtime::recovered_part::{Records, RecoveredPart};
use crate::shard::{ShardId, recovering_shard};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::schema::Table;

/// Octets of records at which a part is handed over: a turn of a millisecond or two.
const PART_OCTETS: usize = 64 * 1024;
/// How long the reader waits for a shard that is behind.
const PAUSE: Duration = Duration::from_micros(200);

/// What came back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recovery {
    /// Presentities.
    pub(crate) presentities: u64,
    /// Dialogs.
    pub(crate) dialogs: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Reads the store back into the shards. Returns when they have all of it.
pub(crate) fn recover(store: &Store, mesh: &Arc<Mesh>) -> Result<Recovery, BootError> {
    let start = Instant::now();
    let mut dealer = Dealer::new(Arc::clone(mesh));
    let dialogs_end = u32::try_from(store.end(Table::Dialog)?).unwrap_or(u32::MAX);
    let presentities_end = u64::try_from(store.end(Table::Presentity)?).unwrap_or_default();
    dealer.send_all(|| RecoveredPart::Begin {
        dialogs_end,
        presentities_end,
    });
    let presentities = dealer.deal(store, Table::Presentity)?;
    dealer.wait()?;
    let dialogs = dealer.deal(store, Table::Dialog)?;
    dealer.wait()?;
    dealer.send_all(|| RecoveredPart::End);
    Ok(Recovery {
        presentities,
        dialogs,
        took: start.elapsed(),
    })
}

/// Deals records out to the shards.
struct Dealer {
    mesh: Arc<Mesh>,
    /// By shard: records that are not handed over yet.
    parts: Vec<Records>,
}

impl Dealer {
    fn new(mesh: Arc<Mesh>) -> Self {
        let parts = (0..mesh.shards()).map(|_| Records::default()).collect();
        Self { mesh, parts }
    }

    /// Deals a table out; how many rows it has.
    fn deal(&mut self, store: &Store, table: Table) -> Result<u64, StoreError> {
        let rows = store.recover(table, |key, record| self.push(table, key, record))?;
        for shard in 0..self.mesh.shards() {
            self.flush(ShardId(shard));
        }
        Ok(rows)
    }

    fn push(&mut self, table: Table, key: i64, record: &[u8]) {
        let Some(key) = key_of(table, key) else {
            tracing::warn!(key, "the store has a row that no server wrote: ignored");
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

    /// Waits until there is room. A shard that has ended takes nothing, which [`Self::wait`] finds.
    fn send(&self, shard: ShardId, part: RecoveredPart) {
        let mut refused = self.mesh.recover(shard, part);
        while let Err(part) = refused {
            thread::sleep(PAUSE);
            refused = self.mesh.recover(shard, part);
        }
    }

    /// Waits until all shards have taken what was sent.
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
