//! A presentity with all contributions to it.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::presence::presentity::{Contributions, RecoveredContributions};
use crate::presence::wall_clock::{self, WallClock};
use crate::presence::{Aor, Presentity};
use crate::record::{RecordError, decode, decode_first, encode};

/// A presentity, to be written.
#[derive(Debug, Serialize)]
struct Written<'a> {
    aor: &'a Aor,
    #[serde(with = "wall_clock::instant")]
    changed_at: Instant,
    contributions: Contributions<'a>,
}

/// A presentity, as it was read back.
#[derive(Debug, Deserialize)]
pub struct PresentityRecord {
    /// Its address of record.
    pub aor: Aor,
    /// When its composed state changed last: watchers may not have been told of a change shortly
    /// before the end of the process.
    #[serde(with = "wall_clock::instant")]
    pub changed_at: Instant,
    /// All contributions to it.
    pub contributions: RecoveredContributions,
}

impl PresentityRecord {
    /// Appends the record of a presentity whose composed state changed last at `changed_at`.
    pub fn encode(
        aor: &Aor,
        presentity: &Presentity,
        changed_at: Instant,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        let contributions = presentity.contributions();
        let written = Written {
            aor,
            changed_at,
            contributions,
        };
        encode(&written, clock, out);
    }

    /// Reads a record.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(octets: &[u8], clock: WallClock) -> Result<Self, RecordError> {
        decode(octets, clock)
    }
}

/// The address of record that a record is of. Its other fields are not read.
///
/// # Errors
/// See [`RecordError`].
pub fn aor_of(octets: &[u8]) -> Result<Aor, RecordError> {
    decode_first(octets)
}
