//! A slab with typed keys: insert, look up and remove in O(1).
//!
//! Invariants: a value never moves, so growing allocates one chunk and copies nothing, and at most
//! one chunk is spare; the slot freed last is reused first, so the same calls give the same keys. A
//! key does not identify a value for good: after a removal it may name another value, and the holder
//! of a key must know by other means that it is still valid.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// Slots allocated at once.
const CHUNK_SLOTS: usize = 1024;

/// No slot is vacant.
const NONE: u32 = u32::MAX;

/// A key of a [`Slab`]: a number with a type of its own.
pub(crate) trait Key: Copy {
    /// The key of a slot.
    fn from_index(index: u32) -> Self;

    /// The slot of a key.
    fn index(self) -> u32;
}

impl Key for u32 {
    #[inline]
    fn from_index(index: u32) -> Self {
        index
    }

    #[inline]
    fn index(self) -> u32 {
        self
    }
}

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    /// Free, with the slot that was freed before it.
    Vacant(u32),
}

/// See the module. At most 2^32 - 1 values.
#[derive(Debug)]
pub(crate) struct Slab<K, T> {
    /// All but the last are full.
    chunks: Vec<Vec<Slot<T>>>,
    /// The slot freed last.
    vacant: u32,
    taken: usize,
    key: PhantomData<fn(K) -> K>,
}

impl<K, T> Default for Slab<K, T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: NONE,
            taken: 0,
            key: PhantomData,
        }
    }
}

impl<K: Key, T> Slab<K, T> {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.taken
    }

    /// One more than the highest slot ever used.
    pub(crate) fn end(&self) -> u32 {
        match self.chunks.split_last() {
            Some((last, full)) => (full.len() * CHUNK_SLOTS + last.len()) as u32,
            None => 0,
        }
    }

    /// The key that [`Self::insert`] will return next.
    pub(crate) fn vacant_key(&self) -> K {
        K::from_index(match self.vacant {
            NONE => self.end(),
            vacant => vacant,
        })
    }

    /// Inserts a value, and returns its key.
    pub(crate) fn insert(&mut self, value: T) -> K {
        let key = self.vacant_key();
        match self.slot_mut(key) {
            Some(slot) => {
                if let Slot::Vacant(next) = std::mem::replace(slot, Slot::Taken(value)) {
                    self.vacant = next;
                }
            }
            None => self.push(Slot::Taken(value)),
        }
        self.taken += 1;
        key
    }

    /// The value of a key; None if there is none.
    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let index = key.index() as usize;
        match self
            .chunks
            .get(index / CHUNK_SLOTS)?
            .get(index % CHUNK_SLOTS)?
        {
            Slot::Taken(value) => Some(value),
            Slot::Vacant(_) => None,
        }
    }

    /// The value of a key, to be changed; None if there is none.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        match self.slot_mut(key)? {
            Slot::Taken(value) => Some(value),
            Slot::Vacant(_) => None,
        }
    }

    /// Removes a value; None if there is none.
    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        let vacant = self.vacant;
        let slot = self.slot_mut(key)?;
        if matches!(slot, Slot::Vacant(_)) {
            return None;
        }
        let removed = std::mem::replace(slot, Slot::Vacant(vacant));
        self.vacant = key.index();
        self.taken -= 1;
        match removed {
            Slot::Taken(value) => Some(value),
            Slot::Vacant(_) => None,
        }
    }

    /// All values with their keys, in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        let slots = self.chunks.iter().flatten().enumerate();
        slots.filter_map(|(index, slot)| match slot {
            Slot::Taken(value) => Some((K::from_index(index as u32), value)),
            Slot::Vacant(_) => None,
        })
    }

    /// All values with their keys, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        let slots = self.chunks.iter_mut().flatten().enumerate();
        slots.filter_map(|(index, slot)| match slot {
            Slot::Taken(value) => Some((K::from_index(index as u32), value)),
            Slot::Vacant(_) => None,
        })
    }

    #[inline]
    fn slot_mut(&mut self, key: K) -> Option<&mut Slot<T>> {
        let index = key.index() as usize;
        self.chunks
            .get_mut(index / CHUNK_SLOTS)?
            .get_mut(index % CHUNK_SLOTS)
    }

    fn push(&mut self, slot: Slot<T>) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_SLOTS => chunk.push(slot),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_SLOTS);
                chunk.push(slot);
                self.chunks.push(chunk);
            }
        }
    }
}

/// Panics if there is no such value: for keys that our own invariants vouch for.
impl<K: Key, T> Index<K> for Slab<K, T> {
    type Output = T;

    #[inline]
    fn index(&self, key: K) -> &T {
        self.get(key).expect("a key of a value that is there")
    }
}

impl<K: Key, T> IndexMut<K> for Slab<K, T> {
    #[inline]
    fn index_mut(&mut self, key: K) -> &mut T {
        self.get_mut(key).expect("a key of a value that is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::random::Random;

    /// Against a slab, which gives the same numbers, over several chunks.
    #[test]
    fn behaves_like_the_slab_crate() {
        let mut random = Random::new([3; 32]);
        let mut places = Slab::<u32, _>::default();
        let mut slab = slab::Slab::new();
        for round in 0..20_000_u32 {
            assert_eq!(places.vacant_key() as usize, slab.vacant_key());
            if random.below(8) < 5 {
                assert_eq!(places.insert(round) as usize, slab.insert(round));
            } else {
                let key = random.below(places.end() + 2);
                assert_eq!(places.remove(key), slab.try_remove(key as usize));
            }
            let key = random.below(places.end() + 2);
            assert_eq!(places.get(key), slab.get(key as usize));
            assert_eq!(places.get_mut(key), slab.get_mut(key as usize));
            assert_eq!(places.len(), slab.len());
        }
        assert!(places.end() as usize > 2 * CHUNK_SLOTS);
        assert!(
            places
                .iter()
                .map(|(key, value)| (key as usize, value))
                .eq(slab.iter())
        );
        assert!(
            places
                .iter_mut()
                .map(|(key, value)| (key as usize, value))
                .eq(slab.iter_mut())
        );
    }

    #[test]
    fn values_never_move() {
        let mut places = Slab::<u32, _>::default();
        let first = places.insert(0_u64);
        let before: *const u64 = &raw const places[first];
        for number in 1..10_000 {
            places.insert(number);
        }
        assert_eq!(before, &raw const places[first]);
    }
}
