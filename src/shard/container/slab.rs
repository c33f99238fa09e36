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
    /// Free, for a stored value only.
    Withheld,
}

/// See the module. At most 2^32 - 1 values.
#[derive(Debug)]
pub(crate) struct Slab<K, T> {
    /// All but the last are full, or empty if all of their slots are withheld: these take no memory.
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

    /// Withholds the slots from the present end up to `end`: [`Self::insert`] does not use them, so
    /// that [`Self::insert_at`] can.
    pub(crate) fn withhold(&mut self, end: u32) {
        let whole = (end as usize).saturating_sub(1) / CHUNK_SLOTS;
        while self.end() < end {
            if self.chunks.len() < whole && self.end() as usize == self.chunks.len() * CHUNK_SLOTS {
                self.chunks.resize_with(whole, Vec::new);
            }
            self.push(Slot::Withheld);
        }
    }

    /// Inserts a stored value at the key it had, and withholds the slots that this passes over. False
    /// if the slot is in use, or was before.
    pub(crate) fn insert_at(&mut self, key: K, value: T) -> bool {
        self.withhold(key.index().saturating_add(1));
        self.fill(key.index() as usize / CHUNK_SLOTS);
        match self.slot_mut(key) {
            Some(slot @ Slot::Withheld) => *slot = Slot::Taken(value),
            _ => return false,
        }
        self.taken += 1;
        true
    }

    /// Whether the slot of a key is free for a stored value only.
    pub(crate) fn is_withheld(&self, key: K) -> bool {
        let index = key.index() as usize;
        self.chunks.get(index / CHUNK_SLOTS).is_some_and(|chunk| {
            chunk.is_empty() || matches!(chunk.get(index % CHUNK_SLOTS), Some(Slot::Withheld))
        })
    }

    /// Writes the slots of a chunk that has none yet because all are withheld.
    fn fill(&mut self, chunk: usize) {
        if let Some(chunk) = self.chunks.get_mut(chunk).filter(|chunk| chunk.is_empty()) {
            chunk.resize_with(CHUNK_SLOTS, || Slot::Withheld);
        }
    }

    /// Ends the withholding of one slot: if it is withheld, it becomes vacant.
    pub(crate) fn release_one(&mut self, key: K) {
        let vacant = self.vacant;
        self.fill(key.index() as usize / CHUNK_SLOTS);
        if let Some(slot @ Slot::Withheld) = self.slot_mut(key) {
            *slot = Slot::Vacant(vacant);
            self.vacant = key.index();
        }
    }

    /// Ends the withholding: the slots without a value become vacant, the lowest to be used first.
    pub(crate) fn release(&mut self) {
        (0..self.chunks.len()).for_each(|chunk| self.fill(chunk));
        for (chunk, slots) in self.chunks.iter_mut().enumerate().rev() {
            for (at, slot) in slots.iter_mut().enumerate().rev() {
                if matches!(slot, Slot::Withheld) {
                    *slot = Slot::Vacant(self.vacant);
                    self.vacant = (chunk * CHUNK_SLOTS + at) as u32;
                }
            }
        }
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
            Slot::Vacant(_) | Slot::Withheld => None,
        }
    }

    /// The value of a key, to be changed; None if there is none.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        match self.slot_mut(key)? {
            Slot::Taken(value) => Some(value),
            Slot::Vacant(_) | Slot::Withheld => None,
        }
    }

    /// Removes a value; None if there is none.
    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        let vacant = self.vacant;
        let slot = self.slot_mut(key)?;
        if !matches!(slot, Slot::Taken(_)) {
            return None;
        }
        let removed = std::mem::replace(slot, Slot::Vacant(vacant));
        self.vacant = key.index();
        self.taken -= 1;
        match removed {
            Slot::Taken(value) => Some(value),
            Slot::Vacant(_) | Slot::Withheld => None,
        }
    }

    /// All values with their keys, in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        let chunks = self.chunks.iter().enumerate();
        let slots = chunks.flat_map(|(chunk, slots)| (chunk * CHUNK_SLOTS..).zip(slots));
        slots.filter_map(|(index, slot)| match slot {
            Slot::Taken(value) => Some((K::from_index(index as u32), value)),
            Slot::Vacant(_) | Slot::Withheld => None,
        })
    }

    /// All values with their keys, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        let chunks = self.chunks.iter_mut().enumerate();
        let slots = chunks.flat_map(|(chunk, slots)| (chunk * CHUNK_SLOTS..).zip(slots));
        slots.filter_map(|(index, slot)| match slot {
            Slot::Taken(value) => Some((K::from_index(index as u32), value)),
            Slot::Vacant(_) | Slot::Withheld => None,
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
            Some(chunk) if (1..CHUNK_SLOTS).contains(&chunk.len()) => chunk.push(slot),
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

    #[test]
    fn a_stored_value_comes_back_to_its_key() {
        let mut slots = Slab::<u32, _>::default();
        slots.withhold(4);
        assert!(slots.is_withheld(3) && !slots.is_withheld(4));
        assert_eq!(slots.insert("new"), 4, "beyond what is withheld");
        assert!(slots.insert_at(2, "stored") && !slots.is_withheld(2));
        assert!(!slots.insert_at(2, "again") && !slots.insert_at(4, "taken"));
        assert!(slots.insert_at(3000, "far"));
        assert_eq!(slots.insert("newer"), 3001);
        assert_eq!(slots.remove(2), Some("stored"));
        assert!(!slots.insert_at(2, "freed since"));
        assert_eq!(slots.insert("reused"), 2, "a slot freed since is vacant");
        assert_eq!((slots.remove(1), slots.len()), (None, 4));

        slots.release();
        let keys: Vec<u32> = (0..2996).map(|_| slots.insert("next")).collect();
        let vacant = (0..3000).filter(|key| ![2, 4].contains(key));
        assert!(keys.into_iter().eq(vacant.take(2996)));
        assert_eq!(slots.len(), 3000);
        assert!(slots.iter().map(|(key, _)| key).is_sorted());
    }

    /// What is withheld takes no memory before a value comes back to it.
    #[test]
    fn chunks_that_are_withheld_are_empty_until_a_value_comes_back() {
        let mut slots = Slab::<u32, u32>::default();
        assert_eq!(slots.insert(7), 0);
        let end = 10 * CHUNK_SLOTS as u32;
        slots.withhold(end);
        assert_eq!(slots.end(), end);
        let filled =
            |slots: &Slab<u32, u32>| slots.chunks.iter().filter(|it| !it.is_empty()).count();
        assert_eq!(
            filled(&slots),
            2,
            "the first, which has a value, and the last"
        );
        assert_eq!(slots.insert(8), end);
        let far = 5 * CHUNK_SLOTS as u32 + 3;
        assert!(slots.is_withheld(far) && slots.is_withheld(1) && !slots.is_withheld(end));
        assert_eq!(slots.get(far), None);
        assert_eq!(slots.get_mut(far), None);
        assert_eq!(slots.remove(far), None);
        assert!(slots.insert_at(far, 9));
        slots.release_one(far + 1);
        slots.release_one(end - 5 * CHUNK_SLOTS as u32 - 1);
        assert_eq!(filled(&slots), 5);
        assert!(
            slots.is_withheld(far + 2) && !slots.is_withheld(far) && !slots.is_withheld(far + 1)
        );
        let all = [(0, 7), (far, 9), (end, 8)];
        assert!(slots.iter().map(|(key, value)| (key, *value)).eq(all));
        assert!(slots.iter_mut().map(|(key, value)| (key, *value)).eq(all));
        slots.release();
        let keys: Vec<u32> = (0..end - 2).map(|_| slots.insert(0)).collect();
        let vacant = (1..end).filter(|key| *key != far);
        let keys: std::collections::BTreeSet<u32> = keys.into_iter().collect();
        assert!(keys.into_iter().eq(vacant));
        assert_eq!(slots.insert(0), end + 1);
    }

    /// Recovery in any order, with values that come and go in between, ends as if all had always been
    /// there.
    #[test]
    fn recovery_meets_no_new_value() {
        let mut random = Random::new([5; 32]);
        let mut slots = Slab::<u32, u32>::default();
        let end = 3 * CHUNK_SLOTS as u32;
        slots.withhold(end);
        let mut stored: Vec<u32> = (0..end).filter(|key| key % 3 > 0).collect();
        let mut new = Vec::new();
        while !stored.is_empty() {
            let key = stored.swap_remove(random.below(stored.len() as u32) as usize);
            assert!(slots.insert_at(key, key));
            match random.below(3) {
                0 => new.push(slots.insert(u32::MAX)),
                1 => assert!(new.pop().is_none_or(|key| slots.remove(key).is_some())),
                _ => {}
            }
        }
        assert!(new.iter().all(|key| *key >= end));
        slots.release();
        let all = slots.end() as usize;
        let vacant = all - slots.len();
        let keys: std::collections::HashSet<u32> = (0..vacant).map(|_| slots.insert(0)).collect();
        assert_eq!(keys.len(), vacant);
        assert_eq!((slots.len(), slots.end() as usize), (all, all));
        let recovered = |key: &u32| slots[*key] == *key;
        assert!(
            (0..end)
                .filter(|key| key % 3 > 0)
                .all(|key| recovered(&key))
        );
    }
}
