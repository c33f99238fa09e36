//! Numbered places for what a table holds: O(1) to take, to find and to give back.
//!
//! Invariants: what lies in a place is never moved, so growing costs one chunk and no copy of the
//! rest, and no more than a chunk of room lies idle; the place given back last is taken next, so
//! the same calls give the same numbers. A place is not an identity: who keeps a number must know
//! by other means that it still means the same.

use std::ops::Index;
use std::ops::IndexMut;

/// Places that are made room for at once.
const CHUNK_PLACES: usize = 1024;

/// No place is vacant.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Place<T> {
    Taken(T),
    /// Given back, with the place that was given back before it.
    Vacant(u32),
}

/// See the module. At most 2^32 - 1 places.
#[derive(Debug)]
pub(crate) struct Places<T> {
    /// All but the last are full.
    chunks: Vec<Vec<Place<T>>>,
    /// The place given back last.
    vacant: u32,
    taken: usize,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: NONE,
            taken: 0,
        }
    }
}

impl<T> Places<T> {
    /// Places that are taken.
    pub(crate) fn len(&self) -> usize {
        self.taken
    }

    /// One more than the highest number that was ever given.
    pub(crate) fn end(&self) -> usize {
        match self.chunks.split_last() {
            Some((last, full)) => full.len() * CHUNK_PLACES + last.len(),
            None => 0,
        }
    }

    /// The number that [`Self::insert`] will give next.
    pub(crate) fn vacant_key(&self) -> usize {
        match self.vacant {
            NONE => self.end(),
            vacant => vacant as usize,
        }
    }

    /// Takes a place; its number.
    pub(crate) fn insert(&mut self, value: T) -> usize {
        let key = self.vacant_key();
        match self.place_mut(key) {
            Some(place) => {
                if let Place::Vacant(next) = std::mem::replace(place, Place::Taken(value)) {
                    self.vacant = next;
                }
            }
            None => self.push(Place::Taken(value)),
        }
        self.taken += 1;
        key
    }

    /// What lies there.
    #[inline]
    pub(crate) fn get(&self, key: usize) -> Option<&T> {
        match self
            .chunks
            .get(key / CHUNK_PLACES)?
            .get(key % CHUNK_PLACES)?
        {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        match self.place_mut(key)? {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    /// Gives a place back; what lay there.
    pub(crate) fn remove(&mut self, key: usize) -> Option<T> {
        let vacant = self.vacant;
        let place = self.place_mut(key)?;
        if matches!(place, Place::Vacant(_)) {
            return None;
        }
        let removed = std::mem::replace(place, Place::Vacant(vacant));
        self.vacant = key as u32;
        self.taken -= 1;
        match removed {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    /// What is there, with its number, in the order of the numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let places = self.chunks.iter().flatten().enumerate();
        places.filter_map(|(key, place)| match place {
            Place::Taken(value) => Some((key, value)),
            Place::Vacant(_) => None,
        })
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let places = self.chunks.iter_mut().flatten().enumerate();
        places.filter_map(|(key, place)| match place {
            Place::Taken(value) => Some((key, value)),
            Place::Vacant(_) => None,
        })
    }

    #[inline]
    fn place_mut(&mut self, key: usize) -> Option<&mut Place<T>> {
        self.chunks
            .get_mut(key / CHUNK_PLACES)?
            .get_mut(key % CHUNK_PLACES)
    }

    fn push(&mut self, place: Place<T>) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_PLACES => chunk.push(place),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_PLACES);
                chunk.push(place);
                self.chunks.push(chunk);
            }
        }
    }
}

/// Panics when nothing lies there: for numbers that our own invariants vouch for.
impl<T> Index<usize> for Places<T> {
    type Output = T;

    #[inline]
    fn index(&self, key: usize) -> &T {
        self.get(key).expect("a place that is taken")
    }
}

impl<T> IndexMut<usize> for Places<T> {
    #[inline]
    fn index_mut(&mut self, key: usize) -> &mut T {
        self.get_mut(key).expect("a place that is taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::random::Random;

    /// Against a slab, which gives the same numbers, over several chunks.
    #[test]
    fn keeps_what_a_slab_would() {
        let mut random = Random::new([3; 32]);
        let mut places = Places::default();
        let mut slab = slab::Slab::new();
        for round in 0..20_000_u32 {
            assert_eq!(places.vacant_key(), slab.vacant_key());
            if random.below(8) < 5 {
                assert_eq!(places.insert(round), slab.insert(round));
            } else {
                let key = random.below(places.end() as u32 + 2) as usize;
                assert_eq!(places.remove(key), slab.try_remove(key));
            }
            let key = random.below(places.end() as u32 + 2) as usize;
            assert_eq!(places.get(key), slab.get(key));
            assert_eq!(places.get_mut(key), slab.get_mut(key));
            assert_eq!(places.len(), slab.len());
        }
        assert!(places.end() > 2 * CHUNK_PLACES);
        assert!(places.iter().eq(slab.iter()));
        assert!(places.iter_mut().eq(slab.iter_mut()));
    }

    #[test]
    fn nothing_moves() {
        let mut places = Places::default();
        let first = places.insert(0_u64);
        let before: *const u64 = &raw const places[first];
        for number in 1..10_000 {
            places.insert(number);
        }
        assert_eq!(before, &raw const places[first]);
    }
}
