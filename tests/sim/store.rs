//! The simulated store of a node: it takes the records of each shard in order, commits them in groups
//! after a delay, and keeps the last committed state of each row.
//!
//! A crash loses the records that are not committed: either all of them, or all but the first few of
//! each shard, which were written but not yet reported as durable.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use lamplighter::shard::{NotedChange, RecordKey};

use crate::crash_plan::{COMMITS_MAX, StoreFault};
use crate::invariants::restart::Agreed;
use crate::model::Saved;
use crate::network::{Micros, SECOND};
use crate::random::Rng;

/// The beginning of our To-tags, before the place: the kind and the node.
const TAG_HEAD: &str = "0000";
/// How often an idle store notes that everything is there.
const NOTED_EVERY: Micros = 10 * SECOND;
/// Octets of a To-tag.
const TAG_OCTETS: usize = 28;

/// What the judges knew when a record was written.
#[derive(Clone, Debug)]
pub(crate) enum Judged {
    /// The state of a presentity in the model.
    Presentity {
        presentity: usize,
        revision: u64,
        saved: Saved,
    },
    /// What was agreed with the phone of a dialog.
    Dialog(Agreed),
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) octets: Vec<u8>,
    /// None for a dialog of which no 2xx had left, and for a waiting watcher.
    pub(crate) judged: Option<Judged>,
}

/// A record of a shard that is not committed yet.
#[derive(Debug)]
struct Written {
    number: u64,
    at: Micros,
    key: RecordKey,
    /// None for a removal.
    octets: Option<Vec<u8>>,
    judged: Option<Judged>,
}

/// The records of one shard that are not committed.
#[derive(Debug, Default)]
struct Uncommitted {
    numbered: u64,
    waiting: VecDeque<Written>,
    /// The number of the last record that its recovery wrote.
    recovery: u64,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Store {
    rows: BTreeMap<RecordKey, Row>,
    shards: Vec<Uncommitted>,
    /// Partial commits in a row.
    partial_commits: u64,
    /// The last committed revision of each presentity; a removal counts too.
    revisions: HashMap<usize, u64>,
    /// Our tags of all dialogs that ever had a row.
    tags: HashSet<String>,
    /// Until when everything that was written is there, as was noted last; it stands still during a
    /// recovery.
    committed_at: Option<Micros>,
    is_recovering: bool,
    /// The changes that the node noted in memory, where they outlive it.
    changes: Vec<NotedChange>,
    /// The first octets of each row, for [`StoreFault::KeepsFirst`].
    first: HashMap<RecordKey, Vec<u8>>,
}

impl Store {
    /// Begins a process with so many shards. The records of each are numbered from 1.
    pub(crate) fn open(&mut self, shards: u16) {
        self.shards = (0..shards).map(|_| Uncommitted::default()).collect();
    }

    /// A shard writes a record, or a removal. Returns its number.
    pub(crate) fn write(
        &mut self,
        (shard, at): (u16, Micros),
        key: RecordKey,
        octets: Option<Vec<u8>>,
        judged: Option<Judged>,
    ) -> u64 {
        let shard = &mut self.shards[usize::from(shard)];
        shard.numbered += 1;
        let number = shard.numbered;
        shard.waiting.push_back(Written {
            number,
            at,
            key,
            octets,
            judged,
        });
        number
    }

    /// A shard notes changes before it notifies watchers of them.
    pub(crate) fn note_changes(&mut self, changes: &[NotedChange]) {
        self.changes.extend_from_slice(changes);
    }

    /// The changes that were noted.
    pub(crate) fn noted_changes(&self) -> &[NotedChange] {
        &self.changes
    }

    /// The notes are lost: the machine crashed.
    pub(crate) fn lose_notes(&mut self) {
        self.changes.clear();
    }

    /// Whether a record is not committed.
    pub(crate) fn has_waiting(&self) -> bool {
        self.shards.iter().any(|shard| !shard.waiting.is_empty())
    }

    /// Commits the records that wait; some commits are partial. Returns each shard of which records
    /// were committed, with the number of the last.
    pub(crate) fn commit(&mut self, now: Micros, rng: &mut Rng) -> Vec<(u16, u64)> {
        let is_partial = self.partial_commits < COMMITS_MAX - 2 && rng.chance(200);
        self.partial_commits = if is_partial {
            self.partial_commits + 1
        } else {
            0
        };
        let mut durable = Vec::new();
        for shard in 0..self.shards.len() {
            let waiting = self.shards[shard].waiting.len() as u64;
            let count = match is_partial {
                true => rng.below(waiting + 1),
                false => waiting,
            };
            if let Some(number) = self.commit_of(shard, count) {
                durable.push((shard as u16, number));
            }
        }
        self.note_committed(now);
        durable
    }

    /// All that was recovered is written.
    pub(crate) fn end_recovery(&mut self) {
        self.is_recovering = false;
        for lane in &mut self.shards {
            lane.recovery = lane.numbered;
        }
    }

    /// Until when everything that was written is there.
    pub(crate) fn committed_at(&self) -> Option<Micros> {
        self.committed_at
    }

    fn note_committed(&mut self, now: Micros) {
        let first = |lane: &Uncommitted| {
            lane.waiting
                .front()
                .map(|written| (written.number, written.at))
        };
        let waits =
            |lane: &Uncommitted| first(lane).is_some_and(|(number, _)| number <= lane.recovery);
        if self.is_recovering || self.shards.iter().any(waits) {
            return;
        }
        let waiting = self.shards.iter().filter_map(|lane| Some(first(lane)?.1));
        let until = waiting.min().unwrap_or(now);
        self.committed_at = self.committed_at.max(Some(until));
    }

    /// Commits `count` records of a shard. Returns the number of the last.
    fn commit_of(&mut self, shard: usize, count: u64) -> Option<u64> {
        let mut last = None;
        for _ in 0..count {
            let written = self.shards[shard].waiting.pop_front()?;
            last = Some(written.number);
            self.apply(written);
        }
        last
    }

    fn apply(&mut self, written: Written) {
        if let Some(Judged::Presentity {
            presentity,
            revision,
            ..
        }) = &written.judged
        {
            let last = self.revisions.entry(*presentity).or_default();
            *last = (*revision).max(*last);
        }
        match written.octets {
            Some(octets) => {
                if let RecordKey::Dialog(place) = written.key {
                    self.tags.extend(tag_in(&octets, place));
                }
                let judged = written.judged;
                self.first
                    .entry(written.key)
                    .or_insert_with(|| octets.clone());
                self.rows.insert(written.key, Row { octets, judged });
            }
            None => {
                self.rows.remove(&written.key);
            }
        }
    }

    /// Crashes. Returns the keys whose newest record is lost.
    pub(crate) fn crash(&mut self, now: Micros, rng: &mut Rng) -> HashSet<RecordKey> {
        if !self.has_waiting() {
            // It noted from time to time that there was nothing to commit.
            self.note_committed(now.saturating_sub(rng.below(NOTED_EVERY)));
        }
        self.is_recovering = true;
        if rng.chance(500) {
            for shard in 0..self.shards.len() {
                let waiting = self.shards[shard].waiting.len() as u64;
                let kept = rng.below(waiting + 1);
                self.commit_of(shard, kept);
            }
        }
        let lost = self.shards.drain(..).flat_map(|shard| shard.waiting);
        lost.map(|written| written.key).collect()
    }

    /// All rows, in the order of their keys.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (RecordKey, &Row)> {
        self.rows.iter().map(|(key, row)| (*key, row))
    }

    /// The row of a key.
    pub(crate) fn row(&self, key: RecordKey) -> Option<&Row> {
        self.rows.get(&key)
    }

    /// Injects a fault at a crash, to test the judges.
    pub(crate) fn fail(&mut self, fault: StoreFault, rng: &mut Rng) {
        match fault {
            StoreFault::LosesRows => {
                let lost = rng.below(self.rows.len() as u64) as usize;
                let lost = self.rows.keys().nth(lost).copied();
                lost.and_then(|key| self.rows.remove(&key));
            }
            StoreFault::KeepsFirst => {
                for (key, row) in &mut self.rows {
                    row.octets.clone_from(&self.first[key]);
                }
            }
            StoreFault::ReportsEarly => {}
        }
    }

    /// Whether the dialog with our tag has a committed row.
    pub(crate) fn holds_dialog(&self, tag: &str) -> bool {
        let row = place_of(tag).and_then(|place| self.rows.get(&RecordKey::Dialog(place)));
        row.is_some_and(|row| is_within(&row.octets, tag.as_bytes()))
    }

    /// What was agreed with the phone of the dialog with our tag when its committed row was written.
    pub(crate) fn agreed(&self, tag: &str) -> Option<Agreed> {
        let row = self.rows.get(&RecordKey::Dialog(place_of(tag)?))?;
        match row.judged {
            Some(Judged::Dialog(agreed)) => Some(agreed),
            _ => None,
        }
    }

    /// Whether the dialog with our tag ever had a committed row.
    pub(crate) fn had_dialog(&self, tag: &str) -> bool {
        self.tags.contains(tag)
    }

    /// The last committed revision of a presentity.
    pub(crate) fn revision_of(&self, presentity: usize) -> u64 {
        self.revisions.get(&presentity).copied().unwrap_or_default()
    }
}

/// Our tag in the record of the dialog at a place.
pub(crate) fn tag_in(octets: &[u8], place: u32) -> Option<String> {
    let head = format!("{TAG_HEAD}{place:08x}");
    let at = octets
        .windows(head.len())
        .position(|window| window == head.as_bytes())?;
    let tag = octets.get(at..at + TAG_OCTETS)?;
    Some(String::from_utf8_lossy(tag).into_owned())
}

/// The place in one of our tags: digits 5 to 12.
pub(crate) fn place_of(tag: &str) -> Option<u32> {
    u32::from_str_radix(tag.get(4..12)?, 16).ok()
}

fn is_within(octets: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && octets.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: RecordKey = RecordKey::Dialog(0x12);
    const TAG: &str = "000000000012aaaaaaaaaaaaaaaa";

    fn store() -> Store {
        let mut store = Store::default();
        store.open(2);
        store
    }

    fn commit_all(store: &mut Store) {
        let mut rng = Rng::new(1);
        while store.has_waiting() {
            store.commit(0, &mut rng);
        }
    }

    #[test]
    fn a_row_exists_once_its_record_is_committed() {
        let mut store = store();
        assert_eq!(store.write((1, 0), KEY, Some(TAG.into()), None), 1);
        assert!(store.has_waiting() && !store.holds_dialog(TAG));
        commit_all(&mut store);
        assert!(!store.has_waiting() && store.holds_dialog(TAG));
        assert!(!store.holds_dialog("000000000012bbbbbbbbbbbbbbbb"));
        assert_eq!(store.write((1, 0), KEY, None, None), 2);
        commit_all(&mut store);
        assert_eq!(store.rows().count(), 0);
    }

    #[test]
    fn a_crash_keeps_the_first_uncommitted_records_or_none() {
        let mut kept = HashSet::new();
        for seed in 0..50 {
            let mut store = store();
            store.write((0, 0), KEY, Some(b"first".into()), None);
            commit_all(&mut store);
            for octets in ["second", "third"] {
                store.write((0, 0), KEY, Some(octets.into()), None);
            }
            let lost = store.crash(0, &mut Rng::new(seed));
            let octets = store.rows().next().unwrap().1.octets.clone();
            assert_eq!(lost.is_empty(), octets == b"third");
            kept.insert(octets);
        }
        assert_eq!(kept.len(), 3, "{kept:?}");
    }
}
