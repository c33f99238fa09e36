//! Recovery at the start: reads the rows of the store, and hands each to the shard that will hold it.
//!
//! The order is that of [`Recovered`](crate::shard::Recovered): all shards have all presentities
//! before the first dialog. Rows are handed over in parts small enough for one turn, and only a few
//! parts wait at a time, so that a large store needs no memory of its own.
//!
//! Dialogs that a shard asks for, because a request waits for them, are looked up meanwhile and overtake
//! the others. So all dialogs can be used long before all are recovered.

use std::collections::HashSet;
use std::mem;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::runtime::error::BootError;
use crate::runtime::mesh::Mesh;
use crate::runtime::records::{change_of, key_of};
use crate::runtime::recovered_part::{Records, RecoveredPart};
use crate::shard::{RecordKey, ShardId, is_record_of, recovering_shard};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::recovery::Finder;
use crate::store::schema::Table;

/// Octets of records at which a part is handed over: a turn of a millisecond or two.
const PART_OCTETS: usize = 64 * 1024;
/// How long the reader waits at most before it tries again to hand a part to a shard that is behind. It is
/// woken when the shard has room.
const PAUSE: Duration = Duration::from_millis(2);
/// How often the reader looks for dialogs that shards ask for while it waits for the last parts.
const LOOK: Duration = Duration::from_micros(200);

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
    mesh.become_reader();
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
    let changes: Arc<[_]> = store.noted_changes().map(change_of).collect();
    distributor.send_all(|| RecoveredPart::Changes(Arc::clone(&changes)));
    let presentities = distributor.distribute(store, Table::Presentity, removed_presentities)?;
    distributor.distribute(store, Table::Waiting, HashSet::new())?;
    distributor.wait()?;
    distributor.finder = Some(store.finder(Table::Dialog)?);
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

/// The part with the dialog at a place.
fn find(finder: &Finder, place: u32) -> Result<RecoveredPart, StoreError> {
    let mut part = RecoveredPart::Absent(place);
    finder.find(place.into(), |record| {
        let record = Records::one(RecordKey::Dialog(place), record);
        part = RecoveredPart::Records(record);
    })?;
    Ok(part)
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
    /// Looks up the dialogs that shards ask for; None until all presentities are recovered.
    finder: Option<Finder>,
}

impl Distributor {
    fn new(mesh: Arc<Mesh>) -> Self {
        let part = |_| Records::with_room(PART_OCTETS);
        let parts = (0..mesh.shards()).map(part).collect();
        Self {
            mesh,
            removed: HashSet::new(),
            impossible: HashSet::new(),
            parts,
            finder: None,
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
            self.bring_wanted();
            self.flush(shard);
        }
    }

    /// Looks up the dialogs that shards ask for, and hands them over ahead of all others.
    fn bring_wanted(&self) {
        let Some(finder) = &self.finder else { return };
        while let Some(place) = self.mesh.next_want() {
            let key = RecordKey::Dialog(place);
            let shard = recovering_shard(key, &[], self.mesh.shards()).unwrap_or_default();
            match find(finder, place) {
                Ok(part) => self.insist(part, |part| self.mesh.bring(shard, part)),
                // It comes with the others.
                Err(error) => tracing::warn!(%error, "cannot look up a dialog"),
            }
        }
    }

    fn flush(&mut self, shard: ShardId) {
        let part = self.parts.get_mut(usize::from(shard.0));
        let next = Records::with_room(PART_OCTETS);
        let records = part.map(|part| mem::replace(part, next));
        self.send(shard, RecoveredPart::Records(records.unwrap_or_default()));
    }

    fn send_all(&self, part: impl Fn() -> RecoveredPart) {
        for shard in 0..self.mesh.shards() {
            self.send(ShardId(shard), part());
        }
    }

    /// Hands a part over, as soon as the shard has room for it. A shard that has ended takes none, which
    /// [`Self::wait`] detects.
    fn send(&self, shard: ShardId, part: RecoveredPart) {
        self.insist(part, |part| {
            self.bring_wanted();
            self.mesh.recover(shard, part)
        });
    }

    /// Hands a part over again and again, until it is taken.
    fn insist(
        &self,
        part: RecoveredPart,
        hand_over: impl Fn(RecoveredPart) -> Result<(), RecoveredPart>,
    ) {
        let mut refused = hand_over(part);
        while let Err(part) = refused {
            thread::park_timeout(PAUSE);
            refused = hand_over(part);
        }
    }

    /// Waits until all shards have taken the parts that were sent.
    fn wait(&self) -> Result<(), BootError> {
        let (reached, all) = mpsc::channel();
        self.send_all(|| RecoveredPart::Reached(reached.clone()));
        drop(reached);
        for _ in 0..self.mesh.shards() {
            let mut next = Err(RecvTimeoutError::Timeout);
            while next == Err(RecvTimeoutError::Timeout) {
                self.bring_wanted();
                next = all.recv_timeout(LOOK);
            }
            next.map_err(|_| BootError::Recovery)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::shard::Recovered;
    use crate::store::StoreOptions;
    use crate::store::data_directory::DataDirectory;
    use crate::store::writer::OnFailure;

    /// Rows that take many more parts than may wait.
    const ROWS: u32 = 4000;
    const PATIENCE: Duration = Duration::from_secs(20);

    fn store_with_rows(path: &Path) -> Store {
        let options = StoreOptions {
            shards: 1,
            on_failure: OnFailure::Refuse,
            octets_max: None,
            memory: path.to_path_buf(),
        };
        let directory = DataDirectory::open(path).unwrap();
        let store = Store::open(directory, options, |_| ()).unwrap();
        let handle = store.handle();
        let mut batch = handle.batch(0);
        for place in 0..ROWS {
            batch.put(Table::Dialog, place.into(), &[7; 300]);
        }
        batch.through = 1;
        handle.submit(batch).unwrap();
        wait(|| (handle.durable(0) == 1).then_some(()));
        store
    }

    fn wait<T>(mut next: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(next) = next() {
                return next;
            }
            assert!(start.elapsed() < PATIENCE);
            thread::yield_now();
        }
    }

    /// The places of its dialogs, and whether they have records.
    fn places(part: &RecoveredPart) -> Vec<(u32, bool)> {
        let mut places = Vec::new();
        part.read(&[], |recovered| match recovered {
            Recovered::Record(RecordKey::Dialog(place), _) => places.push((place, true)),
            Recovered::Absent(place) => places.push((place, false)),
            other => panic!("{other:?}"),
        });
        places
    }

    /// A shard that takes nothing else gets what it asks for.
    #[test]
    fn a_dialog_that_is_asked_for_overtakes_the_others() {
        let name = format!("lamplighter-recovery-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let store = store_with_rows(&path);
        let mesh = Mesh::new(1);
        let shard = ShardId(0);
        let mut distributor = Distributor::new(Arc::clone(&mesh));
        mesh.want(ROWS - 1);
        distributor.bring_wanted();
        assert!(mesh.next_wanted(shard).is_none(), "presentities come first");
        distributor.finder = Some(store.finder(Table::Dialog).unwrap());
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                mesh.become_reader();
                let rows = distributor.distribute(&store, Table::Dialog, HashSet::new());
                distributor.wait().unwrap();
                rows.unwrap()
            });
            let wanted = wait(|| mesh.next_wanted(shard));
            assert_eq!(places(&wanted), [(ROWS - 1, true)]);
            mesh.want(ROWS + 7);
            let wanted = wait(|| mesh.next_wanted(shard));
            assert_eq!(places(&wanted), [(ROWS + 7, false)]);
            let mut others = Vec::new();
            let reached = loop {
                match wait(|| mesh.next_recovered(shard)) {
                    RecoveredPart::Reached(reached) => break reached,
                    part => others.extend(places(&part)),
                }
            };
            mesh.want(0);
            let wanted = wait(|| mesh.next_wanted(shard));
            assert_eq!(places(&wanted), [(0, true)], "while it waits");
            reached.send(()).unwrap();
            assert!(others.into_iter().eq((0..ROWS).map(|place| (place, true))));
            assert_eq!(reader.join().unwrap(), u64::from(ROWS));
        });
        drop(store.close());
        std::fs::remove_dir_all(path).unwrap();
    }
}
