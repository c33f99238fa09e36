//! The store of the server: the records that its shards wrote.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use lamplighter::shard::{Outbox, RecordKey};

/// How often an idle store notes that everything is here.
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// A record and its octets; None for a removal.
type Change = (RecordKey, Option<Vec<u8>>);

/// Records become durable at once, unless the store stands still.
#[derive(Default)]
pub(crate) struct Store {
    rows: BTreeMap<RecordKey, Vec<u8>>,
    /// By shard: what is not durable yet.
    unwritten: BTreeMap<usize, VecDeque<Change>>,
    /// By shard: the number of its last record.
    numbers: BTreeMap<usize, u64>,
    is_still: bool,
    /// The time of the last commit.
    committed_at: Option<Instant>,
}

impl Store {
    /// Takes what a shard wrote.
    pub(crate) fn take(&mut self, shard: usize, outbox: &Outbox) {
        if outbox.records.is_empty() {
            return;
        }
        let octets = outbox.records.iter().map(|change| {
            let octets = outbox.octets_of(change).map(<[u8]>::to_vec);
            (change.key, octets)
        });
        self.unwritten.entry(shard).or_default().extend(octets);
        self.numbers.insert(shard, outbox.recorded_through);
    }

    /// Makes the records of a shard durable. Returns the number of the last; None if there are none,
    /// or if the store stands still.
    pub(crate) fn commit(&mut self, shard: usize, now: Instant) -> Option<u64> {
        if self.is_still || self.unwritten.get(&shard)?.is_empty() {
            return None;
        }
        self.put(shard, now);
        self.numbers.get(&shard).copied()
    }

    /// Makes the records of a shard durable.
    pub(crate) fn put(&mut self, shard: usize, now: Instant) {
        self.committed_at = Some(now);
        let unwritten = self.unwritten.entry(shard).or_default();
        for (key, octets) in unwritten.drain(..) {
            match octets {
                Some(octets) => self.rows.insert(key, octets),
                None => self.rows.remove(&key),
            };
        }
    }

    /// Records are not durable any more until it goes on.
    pub(crate) fn stand_still(&mut self, is_still: bool, now: Instant) {
        self.note(now);
        self.is_still = is_still;
    }

    /// While it had nothing to commit, it noted so from time to time.
    fn note(&mut self, now: Instant) {
        if self.unwritten.values().all(VecDeque::is_empty) {
            self.committed_at = self.committed_at.max(now.checked_sub(NOTED_EVERY));
        }
    }

    /// The process is gone, and with it what was not durable.
    pub(crate) fn crash(&mut self, now: Instant) {
        self.note(now);
        self.unwritten.clear();
        self.numbers.clear();
    }

    /// Until when everything that was written is here, as the store noted it last: at the last commit,
    /// and from time to time when there is nothing to commit.
    pub(crate) fn committed_at(&self) -> Option<Instant> {
        self.committed_at
    }

    /// All records, presentities before dialogs.
    pub(crate) fn rows(&self) -> Vec<(RecordKey, Vec<u8>)> {
        let rows = self.rows.iter();
        rows.map(|(key, octets)| (*key, octets.clone())).collect()
    }

    /// One beyond the highest place of a dialog, and one beyond the highest number of a presentity.
    pub(crate) fn ends(&self) -> (u32, u64) {
        let (mut dialogs, mut presentities) = (0, 0);
        for key in self.rows.keys() {
            match key {
                RecordKey::Dialog(place) => dialogs = dialogs.max(place + 1),
                RecordKey::Waiting(_) => {}
                RecordKey::Presentity(number) => presentities = presentities.max(number + 1),
            }
        }
        (dialogs, presentities)
    }
}
