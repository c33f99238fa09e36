//! Places: the numbers of dialogs and transactions, one sequence for all shards of a node.
//!
//! Shard `s` of `n` hands out the places `index * n + s`, where `index` is the entry's index in its
//! table. After a restart with another number of shards every place still has exactly one shard and
//! index, so tokens on the wire and rows in a store stay valid and nothing is renamed.

use crate::shard::contract::flow::ShardId;
use crate::shard::contract::options::Options;

/// The number of a dialog or transaction within its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u32);

impl Place {
    /// The place of the entry at `index` of a table of this shard. The check of the configuration
    /// keeps `index` low enough: see [`Options::subscriptions_max_with`].
    #[inline]
    pub(crate) fn of(index: u32, options: &Options) -> Self {
        let place = u64::from(index) * u64::from(options.shards.max(1)) + u64::from(options.id.0);
        debug_assert!(
            place <= u64::from(u32::MAX),
            "the limits of the tables leave room for all shards"
        );
        Self(place as u32)
    }

    /// The shard that holds this place in a node with that many shards.
    #[inline]
    pub(crate) fn shard(self, shards: u16) -> ShardId {
        ShardId((self.0 % u32::from(shards.max(1))) as u16)
    }

    /// The index of this place in the table of its shard.
    #[inline]
    pub(crate) fn index(self, shards: u16) -> u32 {
        self.0 / u32::from(shards.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_highest_limit_leaves_a_place_for_every_dialog_and_twice_as_many_notifys() {
        for shards in [1, 2, 3, 64, u16::MAX] {
            let subscriptions_max = Options::subscriptions_max_with(shards.into());
            let last = (2 * subscriptions_max - 1) as u32;
            let options = Options::new(ShardId(shards - 1), shards, Instant::now(), [0; 32]);
            let place = Place::of(last, &options);
            assert_eq!(
                (place.shard(shards), place.index(shards)),
                (options.id, last)
            );
            assert!(subscriptions_max >= 32_768);
        }
    }

    #[test]
    fn a_place_has_one_holder_with_any_number_of_shards() {
        let epoch = Instant::now();
        let places: Vec<Place> = (0..4)
            .map(|shard| Options::new(ShardId(shard), 4, epoch, [0; 32]))
            .flat_map(|options| (0..100).map(move |index| Place::of(index, &options)))
            .collect();
        for shards in [1, 2, 3, 4, 7, 64] {
            let holder = |place: &Place| (place.shard(shards), place.index(shards));
            let holders: HashSet<_> = places.iter().map(holder).collect();
            assert_eq!(holders.len(), 400);
            for place in &places {
                let (shard, index) = holder(place);
                assert!(shard.0 < shards && index <= 400 / u32::from(shards));
                let options = Options::new(shard, shards, epoch, [0; 32]);
                assert_eq!(Place::of(index, &options), *place);
            }
        }
    }
}
