//! A record of the store: any octets are refused or decoded, and a decoded dialog is encoded to a
//! record that decodes again.

use std::hash::Hasher;
use std::sync::OnceLock;
use std::time::Instant;

use lamplighter::presence::wall_clock::WallClock;
use lamplighter::record::dialog::{DialogRecord, place_of};
use lamplighter::record::presentity::{PresentityRecord, aor_of};
use lamplighter::record::{RecordError, VERSION};

const CHECKSUM_OCTETS: usize = 4;

/// The octets as they are, and as the fields of a record with the right version and checksum.
pub(crate) fn record(octets: &[u8]) {
    static START: OnceLock<Instant> = OnceLock::new();
    let clock = WallClock {
        at: *START.get_or_init(Instant::now),
        unix_milliseconds: 1_795_910_400_000,
    };
    assert!(is_refused_by_checksum(octets, clock) || is_sound(octets));
    let mut sealed = vec![VERSION];
    sealed.extend_from_slice(octets);
    let checksum = checksum(&sealed);
    sealed.extend_from_slice(&checksum);
    if let Ok(record) = DialogRecord::decode(&sealed, clock) {
        assert_eq!(place_of(&sealed), Ok(record.place));
        let mut again = Vec::new();
        record.encode(clock, &mut again);
        assert!(DialogRecord::decode(&again, clock).is_ok());
    }
    if let Ok(record) = PresentityRecord::decode(&sealed, clock) {
        assert_eq!(aor_of(&sealed), Ok(record.aor));
    }
}

fn is_refused_by_checksum(octets: &[u8], clock: WallClock) -> bool {
    matches!(
        DialogRecord::decode(octets, clock),
        Err(RecordError::Checksum)
    )
}

fn is_sound(octets: &[u8]) -> bool {
    let split = octets.split_last_chunk::<CHECKSUM_OCTETS>();
    split.is_some_and(|(record, written)| checksum(record) == *written)
}

/// The checksum of a record: SipHash-1-3 of its length and its octets.
fn checksum(octets: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    let mut hash = siphasher::sip::SipHasher13::new();
    hash.write_u64((octets.len() as u64).to_le());
    hash.write(octets);
    (hash.finish() as u32).to_be_bytes()
}
