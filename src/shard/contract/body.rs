//! A body that is written in the outbox's arena, and the hash of what it says.

use std::ops::Range;

use crate::presence::fixed_hash::SipHash13;

/// The part of a body that all watchers with the same view share.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Where the value of its Call-Info header lies in the arena; empty for none.
    pub(crate) call_info: Range<usize>,
    /// Where it lies in the arena.
    pub(crate) octets: Range<usize>,
    /// A hash of it, never 0: the same hash, the same lamp.
    pub(crate) hash: u64,
}

/// A hash of a body, never 0. It is also the body's entity tag, which a phone may hold for longer
/// than this process lives: a fixed hash.
pub(crate) fn hash_of(octets: &[u8]) -> u64 {
    SipHash13::of(octets) | 1
}
