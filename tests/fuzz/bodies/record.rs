//! A record of the store: any octets are refused or decoded, and a decoded dialog is encoded to a
//! record that decodes again.

use std::sync::OnceLock;
use std::time::Instant;

use lamplighter::presence::wall_clock::WallClock;
use lamplighter::record::dialog::{DialogRecord, place_of};
use lamplighter::record::edit::EditRecord;
use lamplighter::record::presentity::{PresentityRecord, aor_of};
use lamplighter::record::waiting::WaitingRecord;
use lamplighter::record::{RecordError, VERSION, checksum};

/// The octets as they are, and as the fields of a record with the right version and checksum.
pub(crate) fn record(octets: &[u8]) {
    assert!(is_refused_by_checksum(octets, clock()) || is_sound(octets));
    is_decoded(octets);
}

/// Whether the octets are the fields of a record.
pub(crate) fn is_decoded(fields: &[u8]) -> bool {
    let clock = clock();
    let mut sealed = vec![VERSION];
    sealed.extend_from_slice(fields);
    let checksum = checksum(&sealed);
    sealed.extend_from_slice(&checksum);
    let dialog = DialogRecord::decode(&sealed, clock);
    if let Ok(record) = &dialog {
        assert_eq!(place_of(&sealed), Ok(record.place));
        let mut again = Vec::new();
        record.encode(clock, &mut again);
        assert!(DialogRecord::decode(&again, clock).is_ok());
    }
    let presentity = PresentityRecord::decode(&sealed, clock);
    if let Ok(record) = &presentity {
        assert_eq!(aor_of(&sealed), Ok(record.aor.clone()));
    }
    let others = [
        WaitingRecord::decode(&sealed, clock).is_ok(),
        EditRecord::decode(&sealed, clock).is_ok(),
    ];
    dialog.is_ok() || presentity.is_ok() || others.contains(&true)
}

fn clock() -> WallClock {
    static START: OnceLock<Instant> = OnceLock::new();
    WallClock {
        at: *START.get_or_init(Instant::now),
        unix_milliseconds: 1_795_910_400_000,
    }
}

fn is_refused_by_checksum(octets: &[u8], clock: WallClock) -> bool {
    matches!(
        DialogRecord::decode(octets, clock),
        Err(RecordError::Checksum)
    )
}

fn is_sound(octets: &[u8]) -> bool {
    let split = octets.split_last_chunk();
    split.is_some_and(|(record, written)| checksum(record) == *written)
}
