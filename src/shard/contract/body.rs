//! A body that is written in the outbox's arena, and the hash of what it says.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::ops::Range;

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

/// A hash of a body, never 0, the same in every process: it is also its entity tag.
pub(crate) fn hash_of(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    hasher.finish() | 1
}
