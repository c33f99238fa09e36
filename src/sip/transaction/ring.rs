//! The store of the server transactions: a ring of octets of fixed size, and a queue of records
//! that refer to each transaction's octets. The oldest is removed first; nothing is allocated after
//! [`Ring::new`].
//!
//! Invariants: records lie in the ring in the order of the queue, each in one piece; no two records
//! overlap. It knows nothing about SIP, and about time only what a record contains.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::time::Instant;

/// Octets of the ring per record. A response to a SUBSCRIBE with its identity is about 700 octets;
/// a ring full of smaller responses runs out of records before it runs out of octets.
const OCTETS_PER_RECORD: usize = 384;

/// The state of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No response yet.
    UnderWay,
    /// The final response is stored, and is not to be sent yet.
    Held,
    /// The final response is stored.
    Answered,
    /// Removed; its octets are freed when it becomes the oldest.
    Dead,
}

/// One transaction: its identities, followed by its response, in one piece of the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// The hash by which it is indexed.
    pub(super) hash: u64,
    /// Distinguishes this transaction from all others of this process.
    pub(super) ticket: u64,
    /// When it began; once the final response is stored, the time of that.
    pub(super) since: Instant,
    pub(super) state: State,
    pub(super) identity_octets: u32,
    pub(super) merge_octets: u32,
    pub(super) response_octets: u32,
    /// The start of its octets; set by the ring.
    pub(super) offset: u32,
}

const _: () = assert!(size_of::<Record>() <= 56);

impl Record {
    /// Its length in the ring.
    pub(super) fn octets(&self) -> usize {
        self.identity_octets as usize + self.merge_octets as usize + self.response_octets as usize
    }

    fn span(&self) -> Range<usize> {
        self.offset as usize..self.offset as usize + self.octets()
    }
}

/// See the module documentation.
pub(super) struct Ring {
    octets: Box<[u8]>,
    records: VecDeque<Record>,
    records_max: usize,
    /// The number of the oldest record. Numbers increase by one and are never reused, except that
    /// of a newest record that was removed.
    first: u64,
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ring")
            .field("octets", &self.octets.len())
            .field("records", &self.records.len())
            .field("records_max", &self.records_max)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Creates a ring of that many octets (at most 4 GiB).
    pub(super) fn new(octets: usize) -> Self {
        let octets = octets.min(u32::MAX as usize);
        let records_max = (octets / OCTETS_PER_RECORD).max(1);
        Self {
            octets: vec![0; octets].into_boxed_slice(),
            records: VecDeque::with_capacity(records_max),
            records_max,
            first: 0,
        }
    }

    /// Maximum number of records.
    pub(super) fn records_max(&self) -> usize {
        self.records_max
    }

    /// The number of records, including dead ones.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether a record of that length can fit into the ring at all.
    pub(super) fn could_hold(&self, octets: usize) -> bool {
        octets <= self.octets.len()
    }

    /// Returns whether there is room for one more record of that length.
    pub(super) fn has_room(&self, octets: usize) -> bool {
        self.records.len() < self.records_max && self.place(octets).is_some()
    }

    /// The record with that number.
    pub(super) fn get(&self, number: u64) -> Option<&Record> {
        self.records
            .get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Record> {
        self.records
            .get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The number of the oldest record, or of the next one if there is none.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The oldest record.
    pub(super) fn front(&self) -> Option<&Record> {
        self.records.front()
    }

    /// The newest record.
    pub(super) fn newest(&self) -> Option<&Record> {
        self.records.back()
    }

    /// The identity of a record.
    pub(super) fn identity(&self, record: &Record) -> &[u8] {
        let start = record.offset as usize;
        self.slice(start..start + record.identity_octets as usize)
    }

    /// The merge identity of a record; empty if it has none.
    pub(super) fn merge_identity(&self, record: &Record) -> &[u8] {
        let start = record.offset as usize + record.identity_octets as usize;
        self.slice(start..start + record.merge_octets as usize)
    }

    /// The response of a record; empty while there is none.
    pub(super) fn response(&self, record: &Record) -> &[u8] {
        let end = record.span().end;
        self.slice(end - record.response_octets as usize..end)
    }

    /// Appends a record whose octets are `identities` (both), then `response`. Returns its number;
    /// None if there is no room.
    pub(super) fn push(
        &mut self,
        mut record: Record,
        identities: &[u8],
        response: &[u8],
    ) -> Option<u64> {
        debug_assert_eq!(
            record.octets(),
            identities.len() + response.len(),
            "a record says what it spans"
        );
        if self.records.len() >= self.records_max {
            return None;
        }
        let offset = self.place(record.octets())?;
        let place = self.octets.get_mut(offset..offset + record.octets())?;
        let (front, back) = place.split_at_mut_checked(identities.len())?;
        front.copy_from_slice(identities);
        back.copy_from_slice(response);
        record.offset = offset as u32;
        Some(self.append(record))
    }

    /// Appends a response to the newest record in place, which gets that state. Returns false, and
    /// changes nothing, if the record has another ticket or a response, or if there is no room after it.
    pub(super) fn complete_newest(
        &mut self,
        ticket: u64,
        (response, state): (&[u8], State),
        now: Instant,
    ) -> bool {
        let room = self.place(response.len());
        let Some(newest) = self.records.back_mut() else {
            return false;
        };
        let end = newest.span().end;
        if newest.ticket != ticket || newest.state != State::UnderWay || room != Some(end) {
            return false;
        }
        let Some(place) = self.octets.get_mut(end..end + response.len()) else {
            debug_assert!(false, "free space must lie within the ring");
            return false;
        };
        place.copy_from_slice(response);
        newest.response_octets = response.len() as u32;
        newest.state = state;
        newest.since = now;
        true
    }

    /// The response of a record, which was held, is sent now.
    pub(super) fn answer(&mut self, number: u64, now: Instant) {
        if let Some(record) = self.get_mut(number) {
            record.state = State::Answered;
            record.since = now;
        }
    }

    /// Removes the oldest record and returns it with its number. Its octets stay unchanged until
    /// the next `push` or `renew`.
    pub(super) fn pop_front(&mut self) -> Option<(u64, Record)> {
        let record = self.records.pop_front()?;
        self.first += 1;
        Some((self.first - 1, record))
    }

    /// Puts back, as the newest, a record that [`Self::pop_front`] has just removed. There is
    /// always room: its old octets are free, and the move may overlap them.
    pub(super) fn renew(&mut self, mut record: Record) -> Option<u64> {
        let offset = self.place(record.octets())?;
        self.octets.copy_within(record.span(), offset);
        record.offset = offset as u32;
        Some(self.append(record))
    }

    /// Marks a record as dead. The space of the newest is freed at once.
    pub(super) fn mark_dead(&mut self, number: u64) {
        if number + 1 == self.first + self.records.len() as u64 {
            self.records.pop_back();
        } else if let Some(record) = self.get_mut(number) {
            record.state = State::Dead;
        }
    }

    fn append(&mut self, record: Record) -> u64 {
        self.records.push_back(record);
        self.first + self.records.len() as u64 - 1
    }

    fn slice(&self, span: Range<usize>) -> &[u8] {
        debug_assert!(
            span.end <= self.octets.len(),
            "a record's octets lie in the ring"
        );
        self.octets.get(span).unwrap_or_default()
    }

    /// The offset of contiguous free space of that length: after the newest record, or at the start
    /// if the end of the ring is too near.
    fn place(&self, octets: usize) -> Option<usize> {
        let (Some(oldest), Some(newest)) = (self.records.front(), self.records.back()) else {
            return (octets <= self.octets.len()).then_some(0);
        };
        let (read, write) = (oldest.offset as usize, newest.span().end);
        // No record is empty: if both positions are equal, the ring is full.
        if write <= read {
            return (octets <= read - write).then_some(write);
        }
        if octets <= self.octets.len() - write {
            return Some(write);
        }
        (octets <= read).then_some(0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sip::random::{Random, rounds};

    /// A record with that ticket, from which all its octets are derived.
    fn record(ticket: u64, sizes: [u32; 3], since: Instant) -> (Record, Vec<u8>, Vec<u8>) {
        let [identity_octets, merge_octets, response_octets] = sizes;
        let state = State::Answered;
        let (hash, offset) = (ticket, 0);
        let record = Record {
            hash,
            ticket,
            since,
            state,
            identity_octets,
            merge_octets,
            response_octets,
            offset,
        };
        let identities = vec![ticket as u8; (identity_octets + merge_octets) as usize];
        (
            record,
            identities,
            vec![!ticket as u8; response_octets as usize],
        )
    }

    /// Every record still has its own octets, and no two overlap.
    fn check(ring: &Ring) {
        let mut spans: Vec<_> = ring.records.iter().map(Record::span).collect();
        spans.sort_by_key(|span| span.start);
        assert!(
            spans.windows(2).all(|pair| pair[0].end <= pair[1].start),
            "{spans:?}"
        );
        for record in &ring.records {
            let (ticket, response) = (record.ticket as u8, !record.ticket as u8);
            assert!(ring.identity(record).iter().all(|octet| *octet == ticket));
            assert!(
                ring.merge_identity(record)
                    .iter()
                    .all(|octet| *octet == ticket)
            );
            assert!(ring.response(record).iter().all(|octet| *octet == response));
            assert_eq!(ring.response(record).len(), record.response_octets as usize);
        }
    }

    #[test]
    fn random_use_keeps_every_record_whole() {
        let mut random = Random::new([9; 32]);
        let now = Instant::now();
        let mut ring = Ring::new(10_000);
        let (mut pushed, mut answered, mut renewed, mut wrapped) = (0, 0, 0, 0);
        for ticket in 0..rounds(15_000) as u64 {
            match random.below(10) {
                0..5 => {
                    let sizes = [1 + random.below(200), random.below(100), random.below(900)];
                    let (record, identities, response) = record(ticket, sizes, now);
                    let room = ring.has_room(record.octets());
                    let number = ring.push(record, &identities, &response);
                    assert_eq!(number.is_some(), room);
                    pushed += usize::from(room);
                    wrapped += usize::from(
                        number.is_some_and(|number| ring.get(number).unwrap().offset == 0),
                    );
                }
                5..7 => {
                    ring.pop_front();
                }
                7 => {
                    let sizes = [1 + random.below(200), random.below(100), 0];
                    let (mut record, identities, _) = record(ticket, sizes, now);
                    record.state = State::UnderWay;
                    let response = vec![!ticket as u8; random.below(900) as usize];
                    if let Some(number) = ring.push(record, &identities, &[]) {
                        let answer = (&response[..], State::Answered);
                        assert!(!ring.complete_newest(ticket + 1, answer, now));
                        let is_answered = ring.complete_newest(ticket, answer, now);
                        let record = *ring.get(number).unwrap();
                        assert_eq!(record.state == State::Answered, is_answered);
                        let again = (&[][..], State::Answered);
                        assert!(!ring.complete_newest(ticket, again, now) || !is_answered);
                        answered += usize::from(is_answered);
                    }
                }
                8 => {
                    if let Some((_, record)) = ring.pop_front() {
                        let number = ring.renew(record).expect("its own space is free");
                        assert_eq!(ring.get(number).unwrap().ticket, record.ticket);
                        renewed += 1;
                    }
                }
                _ => {
                    let number = ring.first + u64::from(random.below(1 + ring.len() as u32));
                    ring.mark_dead(number);
                    assert!(
                        ring.get(number)
                            .is_none_or(|record| record.state == State::Dead)
                    );
                }
            }
            check(&ring);
        }
        assert!(
            pushed > rounds(2000)
                && answered > rounds(300)
                && renewed > rounds(500)
                && wrapped > rounds(100),
            "{pushed} {answered} {renewed} {wrapped}"
        );
    }

    #[test]
    fn a_ring_is_filled_to_its_last_octet() {
        let now = Instant::now();
        let mut ring = Ring::new(1152);
        for ticket in 0..3 {
            let (record, identities, response) = record(ticket, [1, 0, 383], now);
            assert!(ring.push(record, &identities, &response).is_some());
        }
        assert!(!ring.has_room(1));
        ring.pop_front();
        assert!(ring.has_room(384) && !ring.has_room(385));
        let (record, identities, response) = record(7, [1, 0, 383], now);
        assert!(ring.push(record, &identities, &response).is_some());
        assert!(!ring.has_room(1));
        check(&ring);
    }

    #[test]
    fn unknown_record_numbers_are_ignored() {
        let now = Instant::now();
        let mut ring = Ring::new(4096);
        let (record, identities, response) = record(1, [10, 10, 10], now);
        let number = ring.push(record, &identities, &response).unwrap();
        assert!(ring.get(number + 1).is_none());
        ring.mark_dead(number + 1);
        assert!(ring.get(number).is_some());
        ring.pop_front();
        assert!(ring.get(number).is_none());
        ring.mark_dead(number);
        assert_eq!(ring.len(), 0);
    }
}
