//! The state of the store, for the operator's pages and for monitoring.

use crate::http::StoreReport;
use crate::runtime::history::Historian;
use crate::runtime::plan::StorePlan;
use crate::store::writer::StoreHandle;

/// A view of the store from any thread.
#[derive(Clone, Debug)]
pub(crate) struct StoreMonitor {
    store: StoreHandle,
    refuses_on_failure: bool,
    /// None if no history is kept.
    pub(crate) historian: Option<Historian>,
}

impl StoreMonitor {
    /// A view of a store that was opened according to `plan`.
    pub(crate) const fn new(
        store: StoreHandle,
        historian: Option<Historian>,
        plan: &StorePlan,
    ) -> Self {
        Self {
            store,
            historian,
            refuses_on_failure: plan.refuses_on_failure,
        }
    }

    /// The state of the store now.
    pub(crate) fn report(&self) -> StoreReport {
        let health = self.store.health();
        StoreReport {
            counters: [
                ("store_commits", self.store.commits()),
                ("store_rows", self.store.rows()),
                ("store_failing", self.store.is_failing().into()),
                ("store_rows_unwritten", health.rows_unwritten as u64),
                ("store_rows_impossible", self.store.rows_impossible()),
                ("store_files_damaged", self.store.files_damaged()),
                ("store_rows_salvaged", self.store.rows_salvaged()),
            ],
            history: self
                .historian
                .iter()
                .flat_map(Historian::counters)
                .collect(),
            failure: health.failure,
            is_refusing: self.refuses_on_failure,
        }
    }
}
