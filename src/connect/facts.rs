//! Facts of one kind that a PBX tells, each about one user, found by their key and by their user.
//!
//! Guarantee: at most as many facts as allowed, with keys of bounded length; another fact is not taken, and counted.

use std::collections::HashMap;

/// Octets of a key.
pub(super) const KEY_OCTETS_MAX: usize = 1024;

/// Facts of one kind.
#[derive(Debug)]
pub(super) struct Facts<T> {
    by_key: HashMap<Box<str>, Fact<T>>,
    /// In the order in which they came.
    keys_by_user: HashMap<Box<str>, Vec<Box<str>>>,
    facts_max: usize,
    /// Facts that found no room.
    pub(super) overflows: u64,
    reading: u32,
}

/// One fact.
#[derive(Debug)]
struct Fact<T> {
    user: Box<str>,
    what: T,
    /// The reading in which it was last told.
    reading: u32,
}

impl<T: PartialEq> Facts<T> {
    /// None yet; there may be so many.
    pub(super) fn new(facts_max: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            keys_by_user: HashMap::new(),
            facts_max,
            overflows: 0,
            reading: 0,
        }
    }

    /// Puts a fact in place of the one with its key. Returns the users whose facts changed: the former user of the
    /// fact if it has another one now, and its user now.
    pub(super) fn put(&mut self, key: &str, user: &str, what: T) -> [Option<Box<str>>; 2] {
        let (reading, count) = (self.reading, self.by_key.len());
        match self.by_key.get_mut(key) {
            Some(fact) if *fact.user == *user => {
                fact.reading = reading;
                let is_new = fact.what != what;
                fact.what = what;
                [None, is_new.then(|| user.into())]
            }
            Some(_) => {
                let before = self.remove(key);
                self.add(key, user, what);
                [before, Some(user.into())]
            }
            None if count >= self.facts_max || key.len() > KEY_OCTETS_MAX => {
                self.overflows += 1;
                [None, None]
            }
            None => {
                self.add(key, user, what);
                [None, Some(user.into())]
            }
        }
    }

    fn add(&mut self, key: &str, user: &str, what: T) {
        let fact = Fact {
            user: user.into(),
            what,
            reading: self.reading,
        };
        self.by_key.insert(key.into(), fact);
        let keys = self.keys_by_user.entry(user.into()).or_default();
        keys.push(key.into());
    }

    /// Removes a fact. Returns its user.
    pub(super) fn remove(&mut self, key: &str) -> Option<Box<str>> {
        let Fact { user, .. } = self.by_key.remove(key)?;
        if let Some(keys) = self.keys_by_user.get_mut(&user) {
            keys.retain(|known| **known != *key);
            if keys.is_empty() {
                self.keys_by_user.remove(&user);
            }
        }
        Some(user)
    }

    /// The fact with a key, and its user.
    pub(super) fn get(&self, key: &str) -> Option<(&str, &T)> {
        self.by_key.get(key).map(|fact| (&*fact.user, &fact.what))
    }

    /// The facts about a user with their keys, in the order in which they came.
    pub(super) fn of<'a>(&'a self, user: &str) -> impl Iterator<Item = (&'a str, &'a T)> {
        let keys = self.keys_by_user.get(user).into_iter().flatten();
        keys.filter_map(|key| Some((&**key, &self.by_key.get(key)?.what)))
    }

    /// The users that have a fact.
    pub(super) fn users(&self) -> impl Iterator<Item = &str> {
        self.keys_by_user.keys().map(|user| &**user)
    }

    /// Begins a reading, which tells all facts anew.
    pub(super) fn begin_reading(&mut self) {
        self.reading = self.reading.wrapping_add(1);
    }

    /// Ends a reading: drops the facts that were not told since its beginning. Returns their users.
    pub(super) fn end_reading(&mut self) -> Vec<Box<str>> {
        let is_old = |fact: &Fact<T>| fact.reading != self.reading;
        let old = self.by_key.iter().filter(|(_, fact)| is_old(fact));
        let old: Vec<Box<str>> = old.map(|(key, _)| key.clone()).collect();
        old.iter().filter_map(|key| self.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_moves_changes_two_users() {
        let mut facts = Facts::new(10);
        assert_eq!(facts.put("a", "101", 1), [None, Some("101".into())]);
        assert_eq!(facts.put("a", "101", 1), [None, None]);
        assert_eq!(facts.put("a", "101", 2), [None, Some("101".into())]);
        let moved = facts.put("a", "102", 2);
        assert_eq!(moved, [Some("101".into()), Some("102".into())]);
        assert_eq!(facts.users().collect::<Vec<_>>(), ["102"]);
        assert_eq!(facts.remove("a"), Some("102".into()));
        assert_eq!(facts.remove("a"), None);
        assert_eq!(facts.of("102").count(), 0);
    }

    #[test]
    fn a_reading_drops_what_it_did_not_tell() {
        let mut facts = Facts::new(10);
        facts.put("a", "101", 1);
        facts.put("b", "102", 1);
        facts.begin_reading();
        facts.put("b", "102", 1);
        facts.put("c", "103", 1);
        assert_eq!(facts.end_reading(), ["101".into()]);
        assert_eq!(facts.get("b"), Some(("102", &1)));
        assert_eq!(facts.get("c"), Some(("103", &1)));
    }

    #[test]
    fn there_are_no_more_and_no_longer_facts_than_allowed() {
        let mut facts = Facts::new(1);
        facts.put("a", "101", 1);
        assert_eq!(facts.put("b", "102", 1), [None, None]);
        assert_eq!((facts.overflows, facts.of("102").count()), (1, 0));
        let mut facts = Facts::new(10);
        for (octets, overflows) in [(KEY_OCTETS_MAX, 0), (KEY_OCTETS_MAX + 1, 1)] {
            facts.put(&"k".repeat(octets), "101", 1);
            assert_eq!((facts.overflows, facts.of("101").count()), (overflows, 1));
        }
    }
}
