//! A shard's records on their way to the store, and how far they are durable.
//!
//! Guarantees: no record is lost, and none overtakes another. A shard never waits: records that find
//! the store's queue full are kept here, all in one batch, and are handed over later.

use crate::shard::{NotedChange, Outbox, RecordKey, ShardId};
use crate::store::batch::Batch;
use crate::store::schema::Table;
use crate::store::writer::StoreHandle;
use crate::telemetry::CoreCounters;

/// Octets of waiting records at which the shard stops reading its sockets: the disk has hung for
/// minutes.
const WAITING_CONGESTED: usize = 64 << 20;

/// Hands the records of a shard to the store.
#[derive(Debug)]
pub(crate) struct RecordSender {
    shard: ShardId,
    store: Option<StoreHandle>,
    /// Records that found the queue full.
    waiting: Option<Batch>,
    /// The number of the last record.
    through: u64,
    /// The number up to which the shard knows its records to be durable.
    durable: u64,
}

impl RecordSender {
    /// Creates the sender of a shard; `store` is None for a server without a store.
    pub(crate) const fn new(shard: ShardId, store: Option<StoreHandle>) -> Self {
        Self {
            shard,
            store,
            waiting: None,
            through: 0,
            durable: 0,
        }
    }

    /// Notes the changes of an outbox, and hands over its records, or keeps them until the queue has
    /// room. Before anything else of the outbox leaves.
    pub(crate) fn send(&mut self, outbox: &Outbox, counters: &CoreCounters) {
        if outbox.records.is_empty() && outbox.changes.is_empty() {
            return;
        }
        let Some(store) = &self.store else {
            debug_assert!(false, "a server without a store writes no records");
            return;
        };
        let changes = outbox.changes.iter();
        let changes = changes.map(|change| (change.presentity, change.at));
        store.note_changes(self.shard.0, changes);
        if outbox.records.is_empty() {
            return;
        }
        counters.records.add(outbox.records.len() as u64);
        let mut batch = self
            .waiting
            .take()
            .unwrap_or_else(|| store.batch(self.shard.0));
        for change in &outbox.records {
            let (table, key) = row_of(change.key);
            match outbox.octets_of(change) {
                Some(record) => batch.put(table, key, record),
                None => batch.remove(table, key),
            }
        }
        batch.through = outbox.recorded_through;
        self.through = outbox.recorded_through;
        self.submit(batch, counters);
    }

    /// The shard has recovered: tells the store, behind all that the recovery wrote.
    pub(crate) fn end_recovery(&mut self, counters: &CoreCounters) {
        let Some(store) = &self.store else { return };
        let waiting = self.waiting.take();
        let mut batch = waiting.unwrap_or_else(|| store.batch(self.shard.0));
        batch.through = self.through;
        batch.ends_recovery = true;
        self.submit(batch, counters);
    }

    /// Hands over the waiting records, if the queue has room now.
    pub(crate) fn retry(&mut self, counters: &CoreCounters) {
        if let Some(batch) = self.waiting.take() {
            self.submit(batch, counters);
        }
    }

    fn submit(&mut self, batch: Batch, counters: &CoreCounters) {
        let Some(store) = &self.store else { return };
        self.waiting = store.submit(batch).err();
        let waiting = self.waiting.as_ref().map_or(0, Batch::len);
        counters.records_waiting.set(waiting as u64);
    }

    /// The number up to which records are durable, if it rose since the last call.
    pub(crate) fn newly_durable(&mut self) -> Option<u64> {
        let durable = self.store.as_ref()?.durable(self.shard.0);
        let is_news = durable > self.durable;
        self.durable = durable;
        is_news.then_some(durable)
    }

    /// Whether what needs the store is to be refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.store.as_ref().is_some_and(StoreHandle::is_refusing)
    }

    /// Whether records wait for another try.
    pub(crate) const fn has_backlog(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether so many records wait that the shard should accept no new work.
    pub(crate) fn is_congested(&self) -> bool {
        let octets = self.waiting.as_ref().map_or(0, Batch::octets);
        octets >= WAITING_CONGESTED
    }

    /// Whether all records are durable, and the shard knows it.
    pub(crate) const fn is_settled(&self) -> bool {
        self.durable >= self.through
    }
}

/// A change as it was noted.
pub(crate) const fn change_of((presentity, at): (u64, i64)) -> NotedChange {
    NotedChange { presentity, at }
}

/// The table and the key of a record's row.
const fn row_of(key: RecordKey) -> (Table, i64) {
    match key {
        RecordKey::Presentity(number) => (Table::Presentity, number as i64),
        RecordKey::Waiting(number) => (Table::Waiting, number as i64),
        RecordKey::Dialog(place) => (Table::Dialog, place as i64),
    }
}

/// Numbers of presentities and of waiting watchers are below: a server that makes a million a second
/// takes 146,000 years.
const NUMBERS_END: u64 = 1 << 62;

/// The key of the record in a row; None for a key that no server wrote.
pub(crate) fn key_of(table: Table, key: i64) -> Option<RecordKey> {
    let number = u64::try_from(key).ok();
    let number = number.filter(|number| *number < NUMBERS_END);
    match table {
        Table::Presentity => number.map(RecordKey::Presentity),
        Table::Waiting => number.map(RecordKey::Waiting),
        Table::Dialog => u32::try_from(key).ok().map(RecordKey::Dialog),
        // No shard writes them.
        Table::Edit | Table::Erasure => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::shard::RecordChange;
    use crate::store::data_directory::DataDirectory;
    use crate::store::writer::OnFailure;
    use crate::store::{Store, StoreOptions};

    /// Many more batches than the queue of the store takes, as fast as they can be made.
    #[test]
    fn a_full_queue_loses_nothing_and_keeps_the_order() {
        let name = format!("lamplighter-records-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let options = StoreOptions {
            shards: 1,
            on_failure: OnFailure::Refuse,
            octets_max: None,
            memory: path.clone(),
        };
        let directory = DataDirectory::open(&path).unwrap();
        let store = Store::open(directory, options, |_| ()).unwrap();
        let counters = CoreCounters::default();
        let mut records = RecordSender::new(ShardId(0), Some(store.handle()));
        let mut outbox = Outbox::default();
        let (mut had_backlog, mut durable) = (false, 0);
        for turn in 1..=20_000u64 {
            outbox.arena.extend_from_slice(&turn.to_be_bytes());
            outbox.records.push(RecordChange {
                key: RecordKey::Dialog(turn as u32 % 100),
                octets: Some(0..8),
            });
            outbox.recorded_through = turn;
            records.send(&outbox, &counters);
            outbox.clear();
            had_backlog |= records.has_backlog();
            durable = records.newly_durable().unwrap_or(durable);
            assert!(durable <= turn);
        }
        assert!(had_backlog, "the queue was never full");
        let start = std::time::Instant::now();
        while !records.is_settled() {
            assert!(start.elapsed().as_secs() < 20, "{records:?}");
            records.retry(&counters);
            records.newly_durable();
        }
        assert_eq!((records.durable, records.has_backlog()), (20_000, false));
        let counted = (counters.records.value(), counters.records_waiting.value());
        assert_eq!(counted, (20_000, 0));
        let mut found = 0;
        let each = |key: i64, record: &[u8]| {
            let newest = u64::from_be_bytes(record.try_into().unwrap());
            assert_eq!((newest % 100, newest > 19_900), (key as u64, true));
            found += 1;
        };
        assert_eq!(store.recover(Table::Dialog, each).unwrap(), 100);
        assert_eq!(found, 100);
        drop(store.close());
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_key_comes_back_from_its_row() {
        let keys = [
            RecordKey::Presentity(0),
            RecordKey::Presentity(NUMBERS_END - 1),
            RecordKey::Waiting(0),
            RecordKey::Waiting(NUMBERS_END - 1),
            RecordKey::Dialog(0),
            RecordKey::Dialog(u32::MAX),
        ];
        for key in keys {
            let (table, row) = row_of(key);
            assert_eq!(key_of(table, row), Some(key));
        }
        assert_eq!(key_of(Table::Dialog, 1 << 32), None);
        assert_eq!(key_of(Table::Presentity, -1), None);
        assert_eq!(key_of(Table::Presentity, 1 << 62), None);
    }
}
