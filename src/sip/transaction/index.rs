//! Numbers by hash, in a table of fixed size: the index of the server transactions.
//!
//! Each look-up is a cache miss when thousands of transactions begin every second, so an entry has
//! only eight octets, half of the hash and half of the number, and a look-up nearly always reads one
//! cache line. Therefore a number may be found by another hash: the caller compares the transactions.
//! One hash may have several numbers.
//!
//! Invariants: open addressing with linear probing; no free place lies between the place of an
//! entry's hash and the entry; at least half of the places are free.

/// An entry: the lower half of a hash, then [`TAKEN`] and the lower bits of a number. 0 if it is free.
type Entry = u64;

const FREE: Entry = 0;
/// Set in every entry that is not free.
const TAKEN: u32 = 1 << 31;
/// The bits of a number that an entry holds.
const NUMBER: u32 = TAKEN - 1;

/// The table.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two of places.
    entries: Box<[Entry]>,
    taken: usize,
}

impl Index {
    /// Room for that many numbers. Those that are in it at one time differ by less than 2^31.
    pub(super) fn new(numbers: usize) -> Self {
        let places = (2 * numbers).max(2).next_power_of_two();
        Self {
            entries: vec![FREE; places].into(),
            taken: 0,
        }
    }

    /// The numbers that may have that hash. None is below `oldest`.
    pub(super) fn find(&self, hash: u64, oldest: u64) -> impl Iterator<Item = u64> {
        let tag = hash as u32;
        self.run(tag)
            .map(|place| self.entries[place])
            .filter(move |entry| tag_of(*entry) == tag)
            .map(move |entry| {
                let above_oldest = (entry as u32).wrapping_sub(oldest as u32) & NUMBER;
                oldest + u64::from(above_oldest)
            })
    }

    /// Adds a number.
    pub(super) fn insert(&mut self, hash: u64, number: u64) {
        let has_room = 2 * self.taken < self.entries.len();
        debug_assert!(has_room, "the index has room for every transaction");
        if has_room {
            let place = self.home(hash as u32) + self.run(hash as u32).count();
            let place = place & self.mask();
            self.entries[place] = entry(hash, number);
            self.taken += 1;
        }
    }

    /// Removes a number; without effect if it is not there.
    pub(super) fn remove(&mut self, hash: u64, number: u64) {
        let entry = entry(hash, number);
        let place = self
            .run(hash as u32)
            .find(|place| self.entries[*place] == entry);
        if let Some(place) = place {
            self.free(place);
            self.taken -= 1;
        }
    }

    /// The taken places from the place of a hash to the next free one.
    fn run(&self, tag: u32) -> impl Iterator<Item = usize> {
        let (home, mask) = (self.home(tag), self.mask());
        let places = (home..).map(move |place| place & mask);
        places.take_while(|place| self.entries[*place] != FREE)
    }

    /// Frees a place, and moves later entries of the run to where they will be found.
    fn free(&mut self, mut free: usize) {
        let mask = self.mask();
        let mut place = free;
        loop {
            place = (place + 1) & mask;
            let entry = self.entries[place];
            if entry == FREE {
                self.entries[free] = FREE;
                return;
            }
            let from_home = place.wrapping_sub(self.home(tag_of(entry))) & mask;
            let from_free = place.wrapping_sub(free) & mask;
            if from_home >= from_free {
                self.entries[free] = entry;
                free = place;
            }
        }
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & self.mask()
    }

    fn mask(&self) -> usize {
        self.entries.len() - 1
    }
}

fn entry(hash: u64, number: u64) -> Entry {
    (hash << 32) | u64::from(number as u32 | TAKEN)
}

fn tag_of(entry: Entry) -> u32 {
    (entry >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::random::{Random, rounds};

    /// Against a list, with hashes that collide often, in a table that is as full as it may be.
    #[test]
    fn every_number_is_found_by_its_hash() {
        let mut random = Random::new([4; 32]);
        let mut index = Index::new(64);
        let mut known: Vec<(u64, u64)> = Vec::new();
        // The halves of the numbers wrap meanwhile.
        let mut next = (1 << 31) - rounds(5_000) as u64;
        for _ in 0..rounds(20_000) {
            if known.len() < 64 && random.below(3) > 0 {
                let hash = u64::from(random.below(90)) << random.below(40);
                index.insert(hash, next);
                known.push((hash, next));
                next += 1 + u64::from(random.below(3));
            } else if !known.is_empty() {
                let (hash, number) = known.remove(random.below(known.len() as u32) as usize);
                index.remove(hash, number);
                index.remove(hash, number);
            }
            let oldest = known.iter().map(|(_, number)| *number).min();
            let oldest = oldest.unwrap_or(next);
            for (hash, number) in &known {
                assert!(index.find(*hash, oldest).any(|found| found == *number));
            }
            assert_eq!(index.taken, known.len());
            let entries = index.entries.iter().filter(|entry| **entry != FREE);
            assert_eq!(entries.count(), known.len());
        }
        assert!(next > 1 << 31);
        let absent = index.find(0xffff_0000, next).count();
        assert_eq!(absent, 0);
    }
}
