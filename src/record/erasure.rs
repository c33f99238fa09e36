//! A domain that is removed, until its people are erased.

use serde::{Deserialize, Serialize};

use crate::presence::fixed_hash::SipHash13;
use crate::presence::wall_clock::WallClock;
use crate::record::{RecordError, decode, encode};

/// A domain whose people are being erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// Its own name.
    pub domain: Box<str>,
}

impl ErasureRecord {
    /// Names the record.
    #[must_use]
    pub fn number(&self) -> i64 {
        (SipHash13::of(self.domain.as_bytes()) >> 1).cast_signed()
    }

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
