//! A NOTIFY body in the outbox's arena, and its hash.

use std::ops::Range;

use crate::presence::fixed_hash::SipHash13;

/// A body that is written once per turn and shared by all watchers with the same view.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// The value of the Call-Info header, as a range of the arena; empty for no header.
    pub(crate) call_info: Range<usize>,
    /// The body, as a range of the arena.
    pub(crate) octets: Range<usize>,
    /// The hash of the body, never 0. Equal hashes mean an equal body.
    pub(crate) hash: u64,
}

/// The hash of a body, never 0. The SIP-ETag of a NOTIFY is made from it (RFC 5839), and a phone may
/// present that tag after a restart. Therefore the hash function is fixed.
pub(crate) fn hash_of(octets: &[u8]) -> u64 {
    SipHash13::of(octets) | 1
}
