//! What the operator edited of one address while the server ran.

use serde::{Deserialize, Serialize};

use crate::presence::Aor;
use crate::presence::event::list::StoredList;
use crate::presence::policy::ImportedRule;
use crate::presence::wall_clock::WallClock;
use crate::record::{RecordError, decode, encode};

/// The edits of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditRecord {
    /// The address.
    pub aor: Aor,
    /// Its rules; empty if it has none of its own.
    pub rules: Vec<ImportedRule>,
    /// The list with that address, if it was edited: the hash of the list in the configuration, 0 if it
    /// is not there, and what it is now, None if it was deleted.
    pub list: Option<(u64, Option<StoredList>)>,
}

impl EditRecord {
    /// Appends the record.
    pub fn encode(&self, clock: WallClock, out: &mut Vec<u8>) {
        encode(self, clock, out);
    }

    /// Reads a record.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(octets: &[u8], clock: WallClock) -> Result<Self, RecordError> {
        decode(octets, clock)
    }
}
