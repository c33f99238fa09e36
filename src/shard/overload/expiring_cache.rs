//! A cache of fixed size with an expiry per entry: a set-associative table with four slots per set,
//! indexed by a keyed hash.
//!
//! Guarantees: no allocation after [`ExpiringCache::new`]; a lookup reads one set, that is one or
//! two cache lines. Overflow: a new key replaces the slot of its set that expires first. So an
//! entry may be forgotten, but one key is not taken for another: keys have 64 bits, and a peer
//! does not know the secret of the hash.

/// Slots per set.
const SLOTS_PER_SET: usize = 4;

/// The entry of one key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot<V> {
    key: u64,
    /// Expiry in nanoseconds since the epoch; 0 for an empty slot.
    pub(super) until: u64,
    pub(super) value: V,
}

/// The cache.
#[derive(Debug)]
pub(super) struct ExpiringCache<V> {
    /// A power of two of sets.
    sets: Box<[[Slot<V>; SLOTS_PER_SET]]>,
}

impl<V: Copy + Default> ExpiringCache<V> {
    /// Room for at least `slots` keys.
    pub(super) fn new(slots: usize) -> Self {
        let sets = slots.div_ceil(SLOTS_PER_SET).max(1).next_power_of_two();
        Self {
            sets: vec![[Slot::default(); SLOTS_PER_SET]; sets].into_boxed_slice(),
        }
    }

    /// The slot of a key, if it has one. The caller checks its expiry.
    pub(super) fn find(&self, key: u64) -> Option<&Slot<V>> {
        let set = &self.sets[self.place(key)];
        set.iter().find(|slot| slot.key == key)
    }

    /// The slot of a key. If the key has none, an empty slot that replaces another key's.
    pub(super) fn claim(&mut self, key: u64) -> &mut Slot<V> {
        let set = &mut self.sets[self.place(key)];
        let mut oldest = 0;
        for (at, slot) in set.iter().enumerate() {
            if slot.key == key {
                return &mut set[at];
            }
            if slot.until < set[oldest].until {
                oldest = at;
            }
        }
        set[oldest] = Slot {
            key,
            ..Slot::default()
        };
        &mut set[oldest]
    }

    /// Forgets all entries.
    pub(super) fn clear(&mut self) {
        self.sets.fill([Slot::default(); SLOTS_PER_SET]);
    }

    fn place(&self, key: u64) -> usize {
        key as usize & (self.sets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_again() {
        let mut cache = ExpiringCache::new(8);
        assert!(cache.find(5).is_none());
        let slot = cache.claim(5);
        (slot.until, slot.value) = (9, 'x');
        let known = cache.find(5).map(|slot| (slot.until, slot.value));
        assert_eq!(known, Some((9, 'x')));
        assert_eq!(cache.claim(5).value, 'x');
    }

    /// Overflow: the slot that expires first is replaced, whatever key asks.
    #[test]
    fn the_entry_that_expires_first_is_replaced() {
        let mut cache: ExpiringCache<()> = ExpiringCache::new(SLOTS_PER_SET);
        for (key, until) in [(1, 40), (2, 10), (3, 30), (4, 20)] {
            cache.claim(key).until = until;
        }
        for key in 100..1_000 {
            cache.claim(key).until = 15;
        }
        assert!([1, 3, 4].into_iter().all(|key| cache.find(key).is_some()));
        assert!(cache.find(2).is_none());
    }
}
