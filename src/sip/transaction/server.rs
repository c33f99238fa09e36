//! The server side: a request seen before gets the same final response again, a request under way is absorbed, the same
//! request by another path is a loop (W:A4.3, A4.5, A4.6, A1.4).
//!
//! All transactions of a shard share one ring of octets of fixed size and one index: no timer and no allocation each. An
//! entry lives for Timer J (32 s) or until the ring needs its place, oldest first; evictions before their time are counted.

use std::time::Instant;

use crate::sip::Message;

/// What a request is to us.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'r> {
    /// Never seen: handle it, then call [`ServerTransactions::complete`] with the response.
    New,
    /// Seen, not answered yet: absorb it.
    UnderWay,
    /// Seen and answered: send these octets again.
    Answered(&'r [u8]),
    /// Same From-tag, Call-ID and CSeq without To-tag, other branch: 482.
    Merged,
}

/// Names a transaction from [`ServerTransactions::begin`] to [`ServerTransactions::complete`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionKey(u64);

/// The transactions of one shard.
#[derive(Debug)]
pub struct ServerTransactions { /* private */ }

impl ServerTransactions {
    /// A ring of `octets` for responses, and a key for hashing what peers choose.
    #[must_use]
    pub fn new(octets: usize, hash_key: [u64; 2]) -> Self {
        todo!()
    }

    /// Looks a request up and, when it is new, remembers it as under way.
    pub fn begin(&mut self, request: &Message<'_>, now: Instant) -> (TransactionKey, Arrival<'_>) {
        todo!()
    }

    /// Remembers the final response. Reliable transports need none (Timer J = 0): the entry is dropped.
    pub fn complete(&mut self, key: TransactionKey, response: &[u8], reliable: bool, now: Instant) {
        todo!()
    }

    /// Entries that had to make place before their time.
    #[must_use]
    pub fn evicted_early(&self) -> u64 {
        todo!()
    }
}
