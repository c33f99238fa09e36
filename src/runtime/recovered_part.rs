//! The parts in which a shard gets its records from the store at the start, one for each turn.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use crate::shard::{Flow, NotedChange, RecordKey, Recovered};

/// One part.
#[derive(Debug)]
pub(crate) enum RecoveredPart {
    /// The first part: recovery begins.
    Begin {
        /// One beyond the highest place of a dialog.
        dialogs_end: u32,
        /// One beyond the highest number of a presentity.
        presentities_end: u64,
        /// When the earlier process committed last.
        committed_at: Option<Instant>,
    },
    /// The last changes that earlier processes noted.
    Changes(Arc<[NotedChange]>),
    /// Some records.
    Records(Records),
    /// There is no record of the dialog at this place, which the shard asked for.
    Absent(u32),
    /// The shard signals the reader when it comes to this part, and so has taken all parts before it.
    Reached(Sender<()>),
    /// The last part: recovery is complete.
    End,
}

impl RecoveredPart {
    /// Calls `each` with what the engine gets. `continued`: the streams of the earlier process that go
    /// on.
    pub(crate) fn read(&self, continued: &[Flow], mut each: impl FnMut(Recovered<'_>)) {
        match *self {
            Self::Begin {
                dialogs_end,
                presentities_end,
                committed_at,
            } => {
                each(Recovered::Begin {
                    dialogs_end,
                    presentities_end,
                    committed_at,
                });
                continued
                    .iter()
                    .copied()
                    .map(Recovered::Stream)
                    .for_each(each);
            }
            Self::Changes(ref changes) => each(Recovered::Changes(changes)),
            Self::Records(ref records) => {
                for (key, octets) in records.iter() {
                    each(Recovered::Record(key, octets));
                }
            }
            Self::Absent(place) => each(Recovered::Absent(place)),
            Self::Reached(_) => {}
            Self::End => each(Recovered::End),
        }
    }
}

/// Some records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    keys: Vec<(RecordKey, Range<usize>)>,
    octets: Vec<u8>,
}

/// Octets of a short record.
const RECORD_OCTETS: usize = 256;

impl Records {
    /// None yet, with room for records of that many octets and one more.
    pub(crate) fn with_room(octets: usize) -> Self {
        Self {
            keys: Vec::with_capacity(octets / RECORD_OCTETS),
            octets: Vec::with_capacity(octets + octets / 16),
        }
    }

    /// One record.
    pub(crate) fn one(key: RecordKey, record: &[u8]) -> Self {
        Self {
            keys: vec![(key, 0..record.len())],
            octets: record.to_vec(),
        }
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, key: RecordKey, record: &[u8]) {
        let start = self.octets.len();
        self.octets.extend_from_slice(record);
        self.keys.push((key, start..self.octets.len()));
    }

    /// Octets of the records.
    pub(crate) const fn octets(&self) -> usize {
        self.octets.len()
    }

    /// The records, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RecordKey, &[u8])> {
        let octets = |range: &Range<usize>| self.octets.get(range.clone()).unwrap_or_default();
        self.keys
            .iter()
            .map(move |(key, range)| (*key, octets(range)))
    }
}
