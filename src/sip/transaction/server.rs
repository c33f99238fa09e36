//! Server transactions: a retransmitted request gets its final response again, or is absorbed while
//! there is none; a merged request, that is a copy that arrived by another path, is detected (RFC
//! 3261 §17.2.2, §17.2.3, §8.2.2.2).
//!
//! All transactions of a shard share one ring of octets of fixed size and one index: there is no
//! timer and no allocation per transaction. An entry lives for Timer J (32 s) or, once it has a
//! response, until the ring needs its space, oldest first; evictions before Timer J are counted.
//!
//! A response that must not be sent yet is held in its entry. Such an entry lives until the response is
//! released, and for Timer J from then on. Responses that are held take at most half of the ring.
//!
//! An entry is indexed once. A request that can be merged is found by what all its copies have in
//! common, whatever path they took: a retransmission is a copy with the same branch, a merged request
//! one with another. A request that cannot be merged is found by its own identity.
//!
//! Invariants: a response is returned only if every octet of the request's identity equals the
//! stored one, whatever the hashes are; of the requests that can be merged, no two copies of one are
//! stored, so a peer cannot give many entries one hash; an entry without a response is never evicted
//! within its 32 s, and one whose response is held is never evicted. If the ring is full of such
//! entries, a new request is not stored, and its retransmission is handled as a new request.

use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use super::index::Index;
use super::ring::{Record, Ring, State};
use super::{TIMER_F, identity};
use crate::sip::{Message, Method};

/// Timer J: how long a response is kept, and how long an entry waits for one.
const TIMER_J: Duration = TIMER_F;

/// Expired entries that one request removes: more than the one it adds, so that they do not
/// accumulate.
const PURGED_PER_REQUEST_MAX: usize = 4;

/// Entries that one request examines to make room. Only a ring nearly full of entries without a
/// response reaches this limit; the next request continues where this one stopped.
const EXAMINED_PER_REQUEST_MAX: usize = 256;

/// Methods whose transactions a CANCEL can match.
const CANCELLABLE: [Method<'static>; 12] = [
    Method::Subscribe,
    Method::Notify,
    Method::Publish,
    Method::Options,
    Method::Register,
    Method::Invite,
    Method::Bye,
    Method::Message,
    Method::Info,
    Method::Refer,
    Method::Update,
    Method::Prack,
];

/// The relation of a request to earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'r> {
    /// New: handle it, then call [`ServerTransactions::complete`] with the response.
    New,
    /// A retransmission whose final response was not sent yet (or the ACK to an INVITE that has one):
    /// absorb it.
    UnderWay,
    /// A retransmission with a final response: send these octets again.
    Answered(&'r [u8]),
    /// Same From-tag, Call-ID and CSeq, no To-tag, different branch: 482.
    Merged,
}

/// Identifies a transaction from [`ServerTransactions::begin`] until its response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionKey {
    hash: u64,
    /// 0 for a request that is not stored.
    ticket: u64,
    /// The number of its record when it began. It seldom has another later.
    number: u64,
}

impl TransactionKey {
    /// The key of a request that is not stored.
    const NONE: Self = Self {
        hash: 0,
        ticket: 0,
        number: 0,
    };
}

/// The transactions of one shard.
#[derive(Debug)]
pub struct ServerTransactions {
    ring: Ring,
    /// Numbers of the ring's records, by their hashes.
    index: Index,
    /// Contains the key; cloned for every hash.
    hasher: DefaultHasher,
    last_ticket: u64,
    entries: usize,
    evicted_early: u64,
    /// Octets of the responses that are held.
    held_octets: usize,
    held_octets_max: usize,
    /// The identities of the current request; kept for its capacity.
    scratch: Vec<u8>,
}

/// The identities of a request; their octets are concatenated in the scratch buffer.
#[derive(Clone, Copy, Debug)]
struct Identity {
    /// Of the merge identity; of the identity if the request cannot be merged.
    hash: u64,
    octets: usize,
    /// 0 if the request cannot be merged.
    merge_octets: usize,
}

impl Identity {
    /// The identities of a record, whose octets are kept by the caller.
    fn of(record: &Record) -> Self {
        Self {
            hash: record.hash,
            octets: record.identity_octets as usize,
            merge_octets: record.merge_octets as usize,
        }
    }
}

impl ServerTransactions {
    /// Creates a ring of `octets` for responses, with a key for hashing values that peers choose.
    #[must_use]
    pub fn new(octets: usize, hash_key: [u64; 2]) -> Self {
        let ring = Ring::new(octets);
        let index = Index::new(ring.records_max());
        let mut hasher = DefaultHasher::new();
        hash_key.into_iter().for_each(|half| hasher.write_u64(half));
        Self {
            ring,
            index,
            hasher,
            last_ticket: 0,
            entries: 0,
            evicted_early: 0,
            held_octets: 0,
            held_octets_max: octets / 2,
            scratch: Vec::with_capacity(1024),
        }
    }

    /// Looks a request up and, if it is new, stores it as waiting for its response. Some requests
    /// are never stored: an ACK, a merged request, and one without Via or CSeq; completing these
    /// does nothing.
    pub fn begin(&mut self, request: &Message<'_>, now: Instant) -> (TransactionKey, Arrival<'_>) {
        self.purge(now);
        let Some(identity) = self.identify(request) else {
            return (TransactionKey::NONE, Arrival::New);
        };
        if let Some((number, record)) = self.find(&identity, now) {
            let key = TransactionKey {
                hash: record.hash,
                ticket: record.ticket,
                number,
            };
            // The borrow of the record must end before the response's begins.
            let record = *record;
            return (key, self.again(&record, request.method()));
        }
        if request.method() == Method::Ack {
            return (TransactionKey::NONE, Arrival::New);
        }
        if self.is_merged(&identity, now) {
            return (TransactionKey::NONE, Arrival::Merged);
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let key = self.insert(&identity, ticket, None, now);
        let key = key.map_or(TransactionKey::NONE, |number| TransactionKey {
            hash: identity.hash,
            ticket,
            number,
        });
        (key, Arrival::New)
    }

    /// Whether a request is a copy of a stored one.
    pub fn knows(&mut self, request: &Message<'_>, now: Instant) -> bool {
        let Some(identity) = self.identify(request) else {
            return false;
        };
        self.find(&identity, now).is_some()
    }

    /// Stores the final response. Reliable transports need none (Timer J = 0): the entry is
    /// removed. A response that comes after 32 s, a second one, and one larger than the whole ring
    /// are not stored.
    pub fn complete(&mut self, key: TransactionKey, response: &[u8], reliable: bool, now: Instant) {
        if reliable {
            return self.forget(key);
        }
        if self.complete_newest(key, (response, State::Answered), now) {
            return;
        }
        let Some(record) = self.take_under_way(key) else {
            return;
        };
        if !is_past(&record, now) {
            let identity = Identity::of(&record);
            self.insert(&identity, record.ticket, Some(response), now);
        }
    }

    /// Stores a final response that is not to be sent before [`Self::release`]; until then
    /// retransmissions are absorbed. Returns false, and stores nothing, if the request is not the newest,
    /// or if too much is held already: then the caller keeps the response and calls [`Self::complete`]
    /// when it is sent.
    pub fn hold(&mut self, key: TransactionKey, response: &[u8], now: Instant) -> bool {
        let octets = self.held_octets + response.len();
        let is_held = octets <= self.held_octets_max
            && self.complete_newest(key, (response, State::Held), now);
        if is_held {
            self.held_octets = octets;
        }
        is_held
    }

    /// The response that is held, which is sent now. Afterwards the entry is as after
    /// [`Self::complete`].
    pub fn release(&mut self, key: TransactionKey, reliable: bool, now: Instant) -> Option<&[u8]> {
        let (number, record) = self.entry(key, State::Held)?;
        self.held_octets -= record.response_octets as usize;
        if reliable {
            self.remove(number, &record);
        } else {
            self.ring.answer(number, now);
        }
        Some(self.ring.response(&record))
    }

    /// Removes an entry whose response must not be repeated: a challenge, which must not use memory
    /// (W:E3.8).
    pub fn forget(&mut self, key: TransactionKey) {
        self.take_under_way(key);
    }

    /// Returns whether a CANCEL matches a stored request (RFC 3261 §9.2): 200 if so, otherwise 481
    /// (RFC 3261 §9.2, RFC 6665 §4.6). The CANCEL has its own transaction.
    pub fn knows_cancelled(&mut self, cancel: &Message<'_>, now: Instant) -> bool {
        CANCELLABLE.into_iter().any(|method| {
            let identity = self.identify_as(cancel, method);
            identity.is_some_and(|identity| self.find(&identity, now).is_some())
        })
    }

    /// The number of entries that were evicted before Timer J, or for which there was no room.
    #[must_use]
    pub fn evicted_early(&self) -> u64 {
        self.evicted_early
    }

    /// The number of stored transactions; some of them may be expired and not yet removed.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Writes the request's identities into the scratch buffer. None if it has none.
    fn identify(&mut self, request: &Message<'_>) -> Option<Identity> {
        self.identify_as(request, request.method())
    }

    /// As [`Self::identify`], as if the method of the request were `method`.
    fn identify_as(&mut self, request: &Message<'_>, method: Method<'_>) -> Option<Identity> {
        self.scratch.clear();
        if !identity::write_transaction(&mut self.scratch, request, method) {
            return None;
        }
        let octets = self.scratch.len();
        let can_merge = identity::write_merge(&mut self.scratch, request, method);
        let (own, merge) = self.scratch.split_at_checked(octets)?;
        Some(Identity {
            hash: self.hash(if can_merge { merge } else { own }),
            octets,
            merge_octets: merge.len(),
        })
    }

    fn hash(&self, octets: &[u8]) -> u64 {
        let mut hasher = self.hasher.clone();
        hasher.write(octets);
        hasher.finish()
    }

    /// The live record, with its number, of the request whose identities are in the scratch buffer.
    fn find(&self, identity: &Identity, now: Instant) -> Option<(u64, &Record)> {
        let octets = self.scratch.get(..identity.octets);
        self.indexed(identity.hash).find(|(_, record)| {
            record.hash == identity.hash
                && is_live(record, now)
                && Some(self.ring.identity(record)) == octets
        })
    }

    /// The records that may have that hash, with their numbers.
    fn indexed(&self, hash: u64) -> impl Iterator<Item = (u64, &Record)> {
        let numbers = self.index.find(hash, self.ring.first());
        numbers.filter_map(|number| Some((number, self.ring.get(number)?)))
    }

    fn is_merged(&self, identity: &Identity, now: Instant) -> bool {
        let octets = self.scratch.get(identity.octets..).unwrap_or_default();
        let is_copy = |record: &Record| {
            record.hash == identity.hash
                && is_live(record, now)
                && self.ring.merge_identity(record) == octets
        };
        let mut indexed = self.indexed(identity.hash);
        !octets.is_empty() && indexed.any(|(_, record)| is_copy(record))
    }

    /// The relation of a request to the record of its transaction.
    fn again(&self, record: &Record, method: Method<'_>) -> Arrival<'_> {
        if method == Method::Ack || record.state != State::Answered {
            return Arrival::UnderWay;
        }
        Arrival::Answered(self.ring.response(record))
    }

    /// The entry of a key with its number, if it is in that state.
    fn entry(&self, key: TransactionKey, state: State) -> Option<(u64, Record)> {
        let is_it = |record: &Record| record.ticket == key.ticket && record.state == state;
        // Not by the index if possible, which is seldom in the processor's caches.
        if let Some(record) = self.ring.get(key.number).filter(|record| is_it(record)) {
            return Some((key.number, *record));
        }
        let mut indexed = self.indexed(key.hash);
        let (number, record) = indexed.find(|(_, record)| is_it(record))?;
        Some((number, *record))
    }

    /// Removes an entry. Its octets stay unchanged until the next entry is stored.
    fn remove(&mut self, number: u64, record: &Record) {
        self.index.remove(record.hash, number);
        self.ring.mark_dead(number);
        self.entries -= 1;
    }

    /// Removes the entry of a key, if it still waits for its response. Its identities are moved to
    /// the scratch buffer.
    fn take_under_way(&mut self, key: TransactionKey) -> Option<Record> {
        let (number, record) = self.entry(key, State::UnderWay)?;
        self.scratch.clear();
        self.scratch.extend_from_slice(self.ring.identity(&record));
        self.scratch
            .extend_from_slice(self.ring.merge_identity(&record));
        self.remove(number, &record);
        Some(record)
    }

    /// Completes the newest entry in place, without removing it: nearly every request is the newest
    /// when its response is ready. Returns false if the key belongs to another entry, or if there
    /// is no room after it.
    fn complete_newest(
        &mut self,
        key: TransactionKey,
        (response, state): (&[u8], State),
        now: Instant,
    ) -> bool {
        let is_it = |newest: &&Record| newest.ticket == key.ticket && !is_past(newest, now);
        let Some(newest) = self.ring.newest().filter(is_it) else {
            return false;
        };
        if !self.ring.could_hold(newest.octets() + response.len()) {
            return false;
        }
        self.make_room(response.len(), now);
        self.ring
            .complete_newest(key.ticket, (response, state), now)
    }

    /// Stores the identities in the scratch buffer, with the response if there is one. Returns the
    /// number of the record; None if there is no room.
    fn insert(
        &mut self,
        identity: &Identity,
        ticket: u64,
        response: Option<&[u8]>,
        now: Instant,
    ) -> Option<u64> {
        let octets = response.unwrap_or_default();
        let record = Record {
            hash: identity.hash,
            ticket,
            since: now,
            state: if response.is_some() {
                State::Answered
            } else {
                State::UnderWay
            },
            identity_octets: identity.octets as u32,
            merge_octets: identity.merge_octets as u32,
            response_octets: octets.len() as u32,
            offset: 0,
        };
        self.make_room(self.scratch.len() + octets.len(), now);
        let Some(number) = self.ring.push(record, &self.scratch, octets) else {
            self.evicted_early += 1;
            return None;
        };
        self.entries += 1;
        self.index.insert(record.hash, number);
        Some(number)
    }

    /// Evicts the oldest entries until there is room for that many octets, or the limit per request
    /// is reached.
    fn make_room(&mut self, octets: usize, now: Instant) {
        if !self.ring.could_hold(octets) {
            return;
        }
        for _ in 0..self.ring.len().min(EXAMINED_PER_REQUEST_MAX) {
            if self.ring.has_room(octets) {
                return;
            }
            self.take_oldest(now);
        }
    }

    /// Removes a few expired entries.
    fn purge(&mut self, now: Instant) {
        for _ in 0..PURGED_PER_REQUEST_MAX {
            match self.ring.front() {
                Some(record) if !is_live(record, now) => self.take_oldest(now),
                _ => return,
            }
        }
    }

    /// Removes the oldest entry; one whose response was not sent yet is moved to the end of the queue
    /// instead.
    fn take_oldest(&mut self, now: Instant) {
        let Some((number, record)) = self.ring.pop_front() else {
            return;
        };
        if record.state == State::Dead {
            return;
        }
        self.index.remove(record.hash, number);
        let is_live = is_live(&record, now);
        if is_live
            && record.state != State::Answered
            && let Some(number) = self.ring.renew(record)
        {
            return self.index.insert(record.hash, number);
        }
        self.entries -= 1;
        self.evicted_early += u64::from(is_live);
    }
}

fn is_past(record: &Record, now: Instant) -> bool {
    now.saturating_duration_since(record.since) >= TIMER_J
}

fn is_live(record: &Record, now: Instant) -> bool {
    match record.state {
        State::Dead => false,
        State::Held => true,
        State::UnderWay | State::Answered => !is_past(record, now),
    }
}

#[cfg(test)]
mod tests;
