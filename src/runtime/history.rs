//! The operator's end of the history: questions and erasures. Changes on their way in: `changes.rs`.
//!
//! Guarantee: the HTTP core does not wait for the disk.

use std::collections::HashMap;

use crate::directory::Directory;
use crate::http::engine::HistoryFault;
use crate::presence::history::{HistoryErased, HistoryPage, HistoryQuery};
use crate::presence::{Aor, DataSubject};
use crate::runtime::plan::HistoryPlan;
use crate::runtime::replier::Replier;
use crate::store::error::StoreError;
use crate::store::history::limits::{DomainLimits, HistoryLimits};
use crate::store::history::{History, HistoryHandle, QueryHandle};

/// The operator's end of the history. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Historian {
    history: HistoryHandle,
    queries: QueryHandle,
    plan: HistoryPlan,
}

impl Historian {
    /// That of a history which was opened by that plan.
    pub(crate) fn new(history: &History, plan: HistoryPlan) -> Self {
        Self {
            history: history.handle(),
            queries: history.queries(),
            plan,
        }
    }

    /// Asks for a page.
    pub(crate) fn ask(
        &self,
        query: HistoryQuery,
    ) -> impl Future<Output = Result<HistoryPage, HistoryFault>> + use<> {
        let (replier, page) = Replier::to_task();
        self.queries.ask(query, move |page| replier.reply(page));
        async { outcome(page.await.ok()) }
    }

    /// Erases an address.
    pub(crate) fn erase(
        &self,
        aor: &Aor,
    ) -> impl Future<Output = Result<HistoryErased, HistoryFault>> + use<> {
        let (replier, erased) = Replier::to_task();
        let subject = DataSubject::Person(aor.clone());
        self.history
            .erase(subject, move |erased| replier.reply(erased));
        async { outcome(erased.await.ok()) }
    }

    /// Erases the people of a domain, and blocks the thread meanwhile.
    pub(crate) fn erase_domain(&self, domain: &str) -> Result<HistoryErased, HistoryFault> {
        let (replier, erased) = Replier::to_thread();
        let subject = DataSubject::Domain(domain.into());
        self.history
            .erase(subject, move |erased| replier.reply(erased));
        outcome(erased.recv().ok())
    }

    /// Whether it cannot be written.
    pub(crate) fn is_failing(&self) -> bool {
        self.history.is_failing()
    }

    /// What it counts.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 6] {
        self.history.counters()
    }

    /// Puts the limits of a directory's domains into force.
    pub(crate) fn take_limits(&self, directory: &Directory) {
        self.history.set_limits(limits(self.plan, directory));
    }
}

/// The limits of all domains.
pub(crate) fn limits(plan: HistoryPlan, directory: &Directory) -> HistoryLimits {
    let domains: HashMap<String, DomainLimits> = directory
        .domains()
        .iter()
        .map(|domain| {
            let limits = DomainLimits {
                age_max: domain.history_age_max.unwrap_or(plan.age_max),
                octets_max: domain.history_octets_max.or(plan.octets_max),
            };
            (domain.name.clone(), limits)
        })
        .collect();
    let default = DomainLimits {
        age_max: plan.age_max,
        octets_max: plan.octets_max,
    };
    HistoryLimits { default, domains }
}

/// What came of a question; None if nothing took it.
fn outcome<T>(replied: Option<Result<T, StoreError>>) -> Result<T, HistoryFault> {
    let replied = replied.ok_or(HistoryFault::Busy)?;
    replied.map_err(|error| HistoryFault::Failed(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::directory::Domain;

    #[test]
    fn a_domain_has_limits_of_its_own_or_those_of_all() {
        let plan = HistoryPlan {
            age_max: Duration::from_secs(30),
            octets_max: Some(1 << 20),
        };
        let mut directory = Directory::default();
        directory.add_domain(Domain::new("a.test"), &[]).unwrap();
        let other = Domain {
            history_age_max: Some(Duration::from_secs(90)),
            ..Domain::new("b.test")
        };
        directory.add_domain(other, &[]).unwrap();
        let limits = limits(plan, &directory);
        let all = DomainLimits {
            age_max: Duration::from_secs(30),
            octets_max: Some(1 << 20),
        };
        let of_b = DomainLimits {
            age_max: Duration::from_secs(90),
            ..all
        };
        assert_eq!(limits.of("a.test"), all);
        assert_eq!(limits.of("b.test"), of_b);
        assert_eq!(limits.of("gone.test"), all);
    }
}
