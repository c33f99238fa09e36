//! How many subscriptions there are to users of each domain.

use std::sync::Arc;

use crate::shard::container::incremental_map::GrowingMap;

/// The domains that have subscriptions.
#[derive(Debug, Default)]
pub(crate) struct DomainCounts(GrowingMap<Arc<str>, u64>);

impl DomainCounts {
    /// One more.
    pub(super) fn add(&mut self, domain: &str) {
        match self.0.get_mut(domain) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(domain.into(), 1);
            }
        }
    }

    /// One less.
    pub(super) fn remove(&mut self, domain: &str) {
        let Some(count) = self.0.get_mut(domain) else {
            debug_assert!(false, "what is removed was added");
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.0.remove(domain);
        }
    }

    /// All of them, in no order.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, u64)> {
        let counts = self.0.iter();
        counts
            .map(|(domain, count)| (Arc::clone(domain), *count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_forgotten_with_its_last_subscription() {
        let mut counts = DomainCounts::default();
        counts.add("a.example");
        counts.add("b.example");
        counts.add("a.example");
        counts.remove("b.example");
        assert_eq!(counts.all(), [("a.example".into(), 2)]);
        counts.remove("a.example");
        counts.remove("a.example");
        assert!(counts.all().is_empty());
    }
}
