//! Maps that grow a little at a time: those that have an entry for each phone or presentity.
//!
//! Growing an ordinary one moves all entries within one insertion, some 25 ms where a hundred
//! thousand phones subscribe for the first time. These move some with each insertion.

use std::hash::RandomState;

/// A map that never holds a turn for long.
pub(crate) type GrowingMap<K, V> = griddle::HashMap<K, V, RandomState>;
