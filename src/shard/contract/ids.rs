//! Typed keys of the engine's tables: the compiler keeps them apart.

use std::num::NonZeroU32;

use crate::shard::container::slab::Key;

/// A NOTIFY's place among those that are not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InFlightId(pub(crate) NonZeroU32);

impl InFlightId {
    /// That at a place.
    pub(crate) fn at(place: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(place))
    }

    /// Its place.
    pub(crate) fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Names a phone of this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PhoneId(pub(crate) u32);

/// A presentity's place among those owned here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PresentityId(pub(crate) u32);

/// A subscription's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SubscriptionId(pub(crate) u32);

/// A dialog's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DialogId(pub(crate) u32);

/// A watched presentity's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WatchedId(pub(crate) u32);

/// A way's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathId(pub(crate) u32);

/// A watcher's place with what it watches: both find the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchSlot {
    pub(crate) watched: WatchedId,
    /// In the list of the watched presentity.
    pub(crate) index: u32,
}

/// Makes a type with one number a key of a slab.
macro_rules! slab_key {
    ($($name:ident),*) => {
        $(impl Key for $name {
            #[inline]
            fn from_index(index: u32) -> Self {
                Self(index)
            }

            #[inline]
            fn index(self) -> u32 {
                self.0
            }
        })*
    };
}

slab_key!(
    DialogId,
    PhoneId,
    PresentityId,
    SubscriptionId,
    WatchedId,
    PathId
);
