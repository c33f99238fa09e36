//! A presentity with all contributions to it.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::presence::elsewhere::Elsewhere;
use crate::presence::presentity::{Contributions, RecoveredContributions};
use crate::presence::wall_clock::{self, WallClock};
use crate::presence::{Aor, Presentity};
use crate::record::{RecordError, decode, decode_first, encode};

/// A record, to be encoded.
#[derive(Debug, Serialize)]
struct Written<'a> {
    aor: &'a Aor,
    #[serde(with = "wall_clock::instant")]
    changed_at: Instant,
    contributions: Contributions<'a>,
    elsewhere: &'a Elsewhere,
}

/// A record, decoded.
#[derive(Debug, Deserialize)]
pub struct PresentityRecord {
    /// Its address of record.
    pub aor: Aor,
    /// When its composed state last changed. NOTIFYs of a change shortly before the process ended
    /// may not have been sent.
    #[serde(with = "wall_clock::instant")]
    pub changed_at: Instant,
    /// All contributions to it.
    pub contributions: RecoveredContributions,
    /// Its publications at other servers.
    pub elsewhere: Elsewhere,
}

impl PresentityRecord {
    /// Appends the record of a presentity whose composed state changed last at `changed_at`.
    pub fn encode(
        aor: &Aor,
        (presentity, elsewhere): (&Presentity, &Elsewhere),
        changed_at: Instant,
        clock: WallClock,
        out: &mut Vec<u8>,
    ) {
        let contributions = presentity.contributions();
        let written = Written {
            aor,
            changed_at,
            contributions,
            elsewhere,
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
