//! How much history a domain keeps.

use std::collections::HashMap;
use std::time::Duration;

/// The limits of one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainLimits {
    /// Older changes are removed.
    pub age_max: Duration,
    /// Octets of its changes; beyond, the oldest are removed. None for no limit.
    pub octets_max: Option<u64>,
}

/// The limits of all domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Those of a domain without any of its own, or that is no longer served.
    pub default: DomainLimits,
    /// Those of the others, by name.
    pub domains: HashMap<String, DomainLimits>,
}

impl HistoryLimits {
    /// The limits of a domain.
    #[must_use]
    pub fn of(&self, domain: &str) -> DomainLimits {
        self.domains.get(domain).copied().unwrap_or(self.default)
    }
}
