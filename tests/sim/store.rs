//! The simulated store of a node: it takes the records of each shard in order, commits them in groups
//! after a while, and keeps the last committed state of each row.
//!
//! A crash loses what is not committed. A torn crash keeps some of it: of each shard's records a few
//! more, in order, than those that were reported as durable.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use lamplighter::shard::RecordKey;

use crate::crash_plan::{COMMITS_MAX, StoreFault};
use crate::model::Saved;
use crate::random::Rng;

/// The kind and the node in a To-tag of a dialog, before its place.
const TAG_HEAD: &str = "0000";
/// Octets of a To-tag.
const TAG_OCTETS: usize = 28;

/// The state of a presentity in the model when its record was written.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) presentity: usize,
    pub(crate) revision: u64,
    pub(crate) saved: Saved,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) octets: Vec<u8>,
    /// None for a dialog.
    pub(crate) judged: Option<Judged>,
}

/// A record of a shard that is not committed yet.
#[derive(Debug)]
struct Written {
    number: u64,
    key: RecordKey,
    /// None for a removal.
    octets: Option<Vec<u8>>,
    judged: Option<Judged>,
}

/// The records of one shard.
#[derive(Debug, Default)]
struct Lane {
    numbered: u64,
    waiting: VecDeque<Written>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Store {
    rows: BTreeMap<RecordKey, Row>,
    lanes: Vec<Lane>,
    /// Commits of a part in sequence.
    parts: u64,
    /// The revision of each presentity that is committed, also by a removal.
    revisions: HashMap<usize, u64>,
    /// Our tags of all dialogs that ever had a row.
    tags: HashSet<String>,
    /// The octets of each row when it was written first, to test the judges.
    first: HashMap<RecordKey, Vec<u8>>,
}

impl Store {
    /// A process with that many shards begins. Their records are numbered from 1.
    pub(crate) fn open(&mut self, shards: u16) {
        self.lanes = (0..shards).map(|_| Lane::default()).collect();
    }

    /// A shard writes a record, or a removal. Returns its number.
    pub(crate) fn write(
        &mut self,
        shard: u16,
        key: RecordKey,
        octets: Option<Vec<u8>>,
        judged: Option<Judged>,
    ) -> u64 {
        let lane = &mut self.lanes[usize::from(shard)];
        lane.numbered += 1;
        let number = lane.numbered;
        lane.waiting.push_back(Written {
            number,
            key,
            octets,
            judged,
        });
        number
    }

    /// Whether a record is not committed.
    pub(crate) fn has_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.waiting.is_empty())
    }

    /// Commits what waits, in some of the commits only a part of it. Returns each shard that has
    /// progressed, with the number up to which its records are durable.
    pub(crate) fn commit(&mut self, rng: &mut Rng) -> Vec<(u16, u64)> {
        let is_partial = self.parts < COMMITS_MAX - 2 && rng.chance(200);
        self.parts = if is_partial { self.parts + 1 } else { 0 };
        let mut durable = Vec::new();
        for shard in 0..self.lanes.len() {
            let waiting = self.lanes[shard].waiting.len() as u64;
            let count = match is_partial {
                true => rng.below(waiting + 1),
                false => waiting,
            };
            if let Some(number) = self.commit_of(shard, count) {
                durable.push((shard as u16, number));
            }
        }
        durable
    }

    /// Commits that many records of a shard. Returns the number of the last.
    fn commit_of(&mut self, shard: usize, count: u64) -> Option<u64> {
        let mut last = None;
        for _ in 0..count {
            let written = self.lanes[shard].waiting.pop_front()?;
            last = Some(written.number);
            self.apply(written);
        }
        last
    }

    fn apply(&mut self, written: Written) {
        if let Some(judged) = &written.judged {
            let revision = self.revisions.entry(judged.presentity).or_default();
            *revision = judged.revision.max(*revision);
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

    /// The process crashes. Returns the keys of which a newer record is lost than the one that is kept.
    pub(crate) fn crash(&mut self, rng: &mut Rng) -> HashSet<RecordKey> {
        if rng.chance(500) {
            for shard in 0..self.lanes.len() {
                let waiting = self.lanes[shard].waiting.len() as u64;
                let kept = rng.below(waiting + 1);
                self.commit_of(shard, kept);
            }
        }
        let lost = self.lanes.drain(..).flat_map(|lane| lane.waiting);
        lost.map(|written| written.key).collect()
    }

    /// All rows, in the order of their keys.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (RecordKey, &Row)> {
        self.rows.iter().map(|(key, row)| (*key, row))
    }

    /// Does in a crash what no store may do.
    pub(crate) fn fail(&mut self, fault: StoreFault, rng: &mut Rng) {
        match fault {
            StoreFault::LosesRows => {
                let lost = rng.below(self.rows.len() as u64) as usize;
                let lost = self.rows.keys().nth(lost).copied();
                lost.and_then(|key| self.rows.remove(&key));
            }
            StoreFault::KeepsTheFirst => {
                for (key, row) in &mut self.rows {
                    row.octets.clone_from(&self.first[key]);
                }
            }
            StoreFault::ReportsEarly => {}
        }
    }

    /// The committed row of the dialog to which our tag belongs.
    pub(crate) fn holds_dialog(&self, tag: &str) -> bool {
        let row = place_of(tag).and_then(|place| self.rows.get(&RecordKey::Dialog(place)));
        row.is_some_and(|row| is_within(&row.octets, tag.as_bytes()))
    }

    /// Whether a row of the dialog with our tag was ever committed.
    pub(crate) fn had_dialog(&self, tag: &str) -> bool {
        self.tags.contains(tag)
    }

    /// The revision of a presentity that is committed.
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

/// The place that a tag of the node names: its digits from the fifth to the twelfth.
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
            store.commit(&mut rng);
        }
    }

    #[test]
    fn a_row_is_there_once_it_is_committed() {
        let mut store = store();
        assert_eq!(store.write(1, KEY, Some(TAG.into()), None), 1);
        assert!(store.has_waiting() && !store.holds_dialog(TAG));
        commit_all(&mut store);
        assert!(!store.has_waiting() && store.holds_dialog(TAG));
        assert!(!store.holds_dialog("000000000012bbbbbbbbbbbbbbbb"));
        assert_eq!(store.write(1, KEY, None, None), 2);
        commit_all(&mut store);
        assert_eq!(store.rows().count(), 0);
    }

    #[test]
    fn a_crash_keeps_a_part_of_what_waits_in_order() {
        let mut kept = HashSet::new();
        for seed in 0..50 {
            let mut store = store();
            store.write(0, KEY, Some(b"first".into()), None);
            commit_all(&mut store);
            for octets in ["second", "third"] {
                store.write(0, KEY, Some(octets.into()), None);
            }
            let lost = store.crash(&mut Rng::new(seed));
            let octets = store.rows().next().unwrap().1.octets.clone();
            assert_eq!(lost.is_empty(), octets == b"third");
            kept.insert(octets);
        }
        assert_eq!(kept.len(), 3, "{kept:?}");
    }
}
