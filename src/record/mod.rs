//! Durable records: what the engine hands to a store, and gets back after a restart.
//!
//! - [`dialog`]: a dialog with its subscriptions.
//! - [`presentity`]: a presentity with all contributions to it.
//! - [`waiting`]: a watcher that waits to be decided about.
//!
//! A record holds the full state of one dialog or presentity, never a change of it: the newest record
//! of a dialog or presentity replaces the older ones. Times are in milliseconds since 1970 UTC.
//!
//! # Encoding
//! One version octet, the fields as encoded by postcard (<https://postcard.jamesmunns.com>), and a
//! checksum of four octets over both. A change of the fields requires a new version. Enumerations are
//! encoded by index, so new variants are added at the end.
//!
//! `shard` decides which records are written and when; `store` keeps them.

pub mod dialog;
pub mod presentity;
pub mod waiting;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use serde::{Deserialize, Serialize};

use crate::presence::fixed_hash::SipHash13;
use crate::presence::wall_clock::WallClock;

/// The version of all records that this program writes, and the only one that it reads.
pub const VERSION: u8 = 3;
/// Octets of the checksum.
const CHECKSUM_OCTETS: usize = 4;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is of a version that this program does not know.
    #[error("a record of version {0}; this program reads version {VERSION}")]
    Version(u8),
    /// Its checksum does not match its octets.
    #[error("a record with a wrong checksum")]
    Checksum,
    /// Its fields cannot be decoded.
    #[error("a record whose fields cannot be decoded")]
    Fields,
}

/// Appends a record.
fn encode(record: &impl Serialize, clock: WallClock, out: &mut Vec<u8>) {
    let start = out.len();
    let mut octets = std::mem::take(out);
    octets.push(VERSION);
    let written = clock.scope(|| postcard::to_extend(record, octets));
    debug_assert!(written.is_ok(), "every record can be written: {written:?}");
    *out = written.unwrap_or_default();
    let checksum = checksum(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum);
}

/// Reads a record.
fn decode<'o, T: Deserialize<'o>>(octets: &'o [u8], clock: WallClock) -> Result<T, RecordError> {
    let fields = fields_of(octets)?;
    match clock.scope(|| postcard::take_from_bytes(fields)) {
        Ok((record, [])) => Ok(record),
        Ok(_) | Err(_) => Err(RecordError::Fields),
    }
}

/// Reads the first field of a record, which holds no time.
fn decode_first<'o, T: Deserialize<'o>>(octets: &'o [u8]) -> Result<T, RecordError> {
    let first = postcard::take_from_bytes(fields_of(octets)?);
    first
        .map(|(first, _)| first)
        .map_err(|_| RecordError::Fields)
}

/// The fields of a record with a right checksum and version.
fn fields_of(octets: &[u8]) -> Result<&[u8], RecordError> {
    let (record, written) = octets
        .split_last_chunk::<CHECKSUM_OCTETS>()
        .ok_or(RecordError::Checksum)?;
    if checksum(record) != *written {
        return Err(RecordError::Checksum);
    }
    let (&version, fields) = record.split_first().ok_or(RecordError::Fields)?;
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    Ok(fields)
}

fn checksum(octets: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    (SipHash13::of(octets) as u32).to_be_bytes()
}
