//! A memory of fixed size for what is good for a while: slots in sets of four, found by a keyed
//! hash.
//!
//! Guarantees: no allocation after [`ExpiringCache::new`]; one set, which is one or two cache lines, is
//! looked at for each question. Overflow: a key without a slot takes that of its set whose time is
//! over first, so what has longest to go is what stays. The price of the bound is that something
//! is forgotten, never that one key is taken for another's: 64 bits tell them apart, and nobody
//! outside knows the hash's key.

/// Slots of a set.
const SLOTS_PER_SET: usize = 4;

/// What is known about one key until some time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot<V> {
    key: u64,
    /// Nanoseconds since the start of time; 0 for never used.
    pub(super) until: u64,
    pub(super) value: V,
}

/// All slots.
#[derive(Debug)]
pub(super) struct ExpiringCache<V> {
    /// A power of two of them.
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

    /// The key's slot, if it has one; its time may be over.
    pub(super) fn find(&self, key: u64) -> Option<&Slot<V>> {
        let set = &self.sets[self.place(key)];
        set.iter().find(|slot| slot.key == key)
    }

    /// The key's slot; a blank one, at the cost of another key, when it has none.
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

    /// The written overflow: the one whose time is over first makes place, whoever asks.
    #[test]
    fn what_has_longest_to_go_stays() {
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
