//! A watcher in state `waiting`: its subscription ended before it was decided about (RFC 3857 §4.7.1).

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::wall_clock::{self, WallClock};
use crate::record::{RecordError, decode, decode_first, encode};

/// A waiting watcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRecord<'a> {
    /// Identifies it in documents, and names its record.
    pub id: u64,
    /// The presentity.
    pub aor: Aor,
    /// The package that was subscribed to.
    pub package: Package,
    /// Its URI.
    #[serde(borrow)]
    pub uri: Cow<'a, str>,
    /// Its display name; empty if unknown.
    #[serde(borrow)]
    pub display: Cow<'a, str>,
    /// The address that its SUBSCRIBE came from.
    pub peer: IpAddr,
    /// When it gives up.
    #[serde(with = "wall_clock::instant")]
    pub until: Instant,
    /// The name in the certificate of its peer for which the domain trusted that peer.
    #[serde(borrow)]
    pub voucher: Option<Cow<'a, str>>,
}

impl<'o> WaitingRecord<'o> {
    /// Appends the record.
    pub fn encode(&self, clock: WallClock, out: &mut Vec<u8>) {
        encode(self, clock, out);
    }

    /// Reads a record.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(octets: &'o [u8], clock: WallClock) -> Result<Self, RecordError> {
        decode(octets, clock)
    }
}

/// The number of the record of the watcher with that id: below 2^62, as all keys of the store.
#[must_use]
pub const fn number_of(id: u64) -> u64 {
    id >> 2
}

/// The number that a record is of. Its other fields are not read.
///
/// # Errors
/// See [`RecordError`].
pub fn number_in(octets: &[u8]) -> Result<u64, RecordError> {
    decode_first(octets).map(number_of)
}
