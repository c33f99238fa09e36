//! Durable records: what the engine hands to a store, and gets back after a restart.
//!
//! - [`dialog`]: a dialog with its subscriptions.
//! - [`presentity`]: a presentity with all contributions to it.
//! - [`waiting`]: a watcher that waits to be decided about.
//! - [`edit`]: accounts, lists and rules that the operator edited.
//! - [`erasure`]: a domain whose people are being erased.
//!
//! A record holds the full state of one dialog or presentity, never a change of it: the newest record
//! of a dialog or presentity replaces the older ones. Times are in milliseconds since 1970 UTC.
//!
//! # Encoding
//! One version octet, the fields as encoded by postcard (<https://postcard.jamesmunns.com>), and a
//! checksum of four octets over both. Enumerations are encoded by index, so new variants are added at
//! the end.
//!
//! A change of the fields requires a new version. New fields are added at the end of a record, such that
//! an octet 0 stands for "not known"; a record of an older version is read as if zeros followed. So an
//! upgrade loses nothing.
//!
//! | version | new fields | checksum |
//! |---|---|---|
//! | 3 | | half of a SipHash; read, no longer written |
//! | 4 | a dialog: `instance`; a presentity: its removed publications | CRC-32, which costs a fifth |
//! | 5 | a dialog and a waiting watcher: `voucher` | |
//! | 6 | an edit: `account` | |
//! | 7 | a dialog: `began` | |
//! | 8 | a presentity: its upstreams | |
//! | 9 | a presentity: the origins of its contributions | |
//! | 10 | a presentity: its publications at other servers | |
//!
//! `shard` decides which records are written and when; `store` keeps them.

pub mod dialog;
pub mod edit;
pub mod erasure;
pub mod presentity;
pub mod waiting;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use postcard::{Deserializer, de_flavors, ser_flavors};
use serde::{Deserialize, Serialize};

use crate::presence::fixed_hash::SipHash13;
use crate::presence::wall_clock::WallClock;

/// The version of all records that this program writes.
pub const VERSION: u8 = 10;
/// The oldest version that this program reads.
const OLDEST: u8 = 3;
/// Octets of the fields that one newer version has added to a record at most.
const ADDED_OCTETS_MAX: u8 = 1;
/// Octets of the longest number that postcard writes.
const NUMBER_OCTETS_MAX: usize = 10;
/// Octets of the checksum.
const CHECKSUM_OCTETS: usize = 4;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is of a version that this program does not know.
    #[error("a record of version {0}; this program reads the versions {OLDEST} to {VERSION}")]
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
    out.push(VERSION);
    let written = clock.scope(|| postcard::serialize_with_flavor(record, Appended(out)));
    debug_assert!(written.is_ok(), "every record can be written: {written:?}");
    let checksum = checksum(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum);
}

/// Reads a record.
fn decode<'o, T: Deserialize<'o>>(octets: &'o [u8], clock: WallClock) -> Result<T, RecordError> {
    let mut fields = Deserializer::from_flavor(Fields::of(octets)?);
    let record = clock.scope(|| T::deserialize(&mut fields));
    match (record, fields.finalize()) {
        (Ok(record), Ok([])) => Ok(record),
        _ => Err(RecordError::Fields),
    }
}

/// Reads the first field of a record, which holds no time.
fn decode_first<'o, T: Deserialize<'o>>(octets: &'o [u8]) -> Result<T, RecordError> {
    let mut fields = Deserializer::from_flavor(Fields::of(octets)?);
    T::deserialize(&mut fields).map_err(|_| RecordError::Fields)
}

/// The octets of the fields of a record, and zeros for the fields that it has not, being of an older
/// version.
#[derive(Debug)]
struct Fields<'o> {
    octets: &'o [u8],
    added: u8,
}

impl<'o> Fields<'o> {
    /// Those of a record with a right checksum and a version that can be read.
    fn of(octets: &'o [u8]) -> Result<Self, RecordError> {
        let (record, written) = octets
            .split_last_chunk::<CHECKSUM_OCTETS>()
            .ok_or(RecordError::Checksum)?;
        if checksum(record) != *written {
            return Err(RecordError::Checksum);
        }
        let (&version, octets) = record.split_first().ok_or(RecordError::Fields)?;
        let added = match version {
            OLDEST..=VERSION => (VERSION - version) * ADDED_OCTETS_MAX,
            _ => return Err(RecordError::Version(version)),
        };
        Ok(Self { octets, added })
    }
}

impl<'o> de_flavors::Flavor<'o> for Fields<'o> {
    type Remainder = &'o [u8];
    type Source = &'o [u8];

    #[inline]
    fn pop(&mut self) -> postcard::Result<u8> {
        if let Some((first, rest)) = self.octets.split_first() {
            self.octets = rest;
            return Ok(*first);
        }
        let left = self.added.checked_sub(1);
        self.added = left.ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        Ok(0)
    }

    #[inline]
    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'o [u8]> {
        let taken = self.octets.split_at_checked(count);
        let (taken, rest) = taken.ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.octets = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<&'o [u8]> {
        Ok(self.octets)
    }
}

/// The checksum of a record, which begins with its version; it stands behind the record.
#[must_use]
pub fn checksum(record: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    let checksum = match record.first() {
        Some(&OLDEST) => SipHash13::of(record) as u32,
        _ => crc32fast::hash(record),
    };
    checksum.to_be_bytes()
}

/// Octets that postcard appends to others.
struct Appended<'o>(&'o mut Vec<u8>);

impl ser_flavors::Flavor for Appended<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.0.push(octet);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        // Numbers, which are short: a call that copies them would cost several times as much.
        if octets.len() <= NUMBER_OCTETS_MAX {
            octets.iter().for_each(|octet| self.0.push(*octet));
        } else {
            self.0.extend_from_slice(octets);
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
