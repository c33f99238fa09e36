//! Items due at later moments, in order of time.

use std::collections::BTreeMap;
use std::time::Instant;

/// Items with the moment each is due.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    /// The number distinguishes items due at the same moment, in the order in which they were
    /// added.
    items: BTreeMap<(Instant, u64), T>,
    added: u64,
}

impl<T> Agenda<T> {
    pub(super) const fn new() -> Self {
        Self {
            items: BTreeMap::new(),
            added: 0,
        }
    }

    pub(super) fn add(&mut self, due: Instant, item: T) {
        self.added += 1;
        self.items.insert((due, self.added), item);
    }

    /// When the first item is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.items.keys().next().map(|(due, _)| *due)
    }

    /// Removes the first item if it is due, and returns it with the moment at which it was due.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Instant, T)> {
        let entry = self.items.first_entry()?;
        let due = entry.key().0;
        (due <= now).then(|| (due, entry.remove()))
    }

    /// Drops the items for which `keep` returns false.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.items.retain(|_, item| keep(item));
    }

    /// Removes all items, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.items).into_values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn items_come_when_due_and_in_order() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut agenda = Agenda::new();
        for (due, item) in [(later, 3), (now, 1), (now, 2), (later, 4)] {
            agenda.add(due, item);
        }
        assert_eq!(agenda.next(), Some(now));
        assert_eq!(agenda.take(now), Some((now, 1)));
        assert_eq!(agenda.take(now), Some((now, 2)));
        assert_eq!(agenda.take(now), None);
        agenda.retain(|item| *item != 3);
        assert_eq!(agenda.drain().collect::<Vec<_>>(), [4]);
        assert!(agenda.is_empty());
    }
}
