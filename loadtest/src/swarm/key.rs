//! Keys of subscriptions, users and transactions, and tables that accept only their own kind of
//! key.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A number that identifies a row of a [`Table`].
pub(super) trait Key: Copy {
    fn from_number(number: u32) -> Self;

    fn number(self) -> u32;
}

/// One BLF key of one phone: a subscription, to a user or to a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SubscriptionKey(u32);

/// A user, who is watched and owns a phone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UserKey(u32);

/// The rows of a table, numbered from 0.
#[derive(Clone, Debug)]
pub(super) struct Table<K, T> {
    rows: Vec<T>,
    key: PhantomData<K>,
}

impl<K: Key, T> Table<K, T> {
    pub(super) const fn new() -> Self {
        Self {
            rows: Vec::new(),
            key: PhantomData,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a row at the end.
    pub(super) fn push(&mut self, row: T) -> K {
        self.rows.push(row);
        K::from_number(self.rows.len() as u32 - 1)
    }

    /// The row with a number received in a message, if there is such a row.
    pub(super) fn get(&self, key: K) -> Option<&T> {
        self.rows.get(key.number() as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        let keys = (0..).map(K::from_number);
        keys.zip(&self.rows)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        let keys = (0..).map(K::from_number);
        keys.zip(&mut self.rows)
    }

    /// Removes all rows.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.rows.drain(..)
    }
}

impl<K: Key, T> FromIterator<T> for Table<K, T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self {
            rows: rows.into_iter().collect(),
            key: PhantomData,
        }
    }
}

impl<K: Key, T> Index<K> for Table<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        &self.rows[key.number() as usize]
    }
}

impl<K: Key, T> IndexMut<K> for Table<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        &mut self.rows[key.number() as usize]
    }
}

impl Key for SubscriptionKey {
    fn from_number(number: u32) -> Self {
        Self(number)
    }

    fn number(self) -> u32 {
        self.0
    }
}

impl Key for UserKey {
    fn from_number(number: u32) -> Self {
        Self(number)
    }

    fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for SubscriptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for SubscriptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
