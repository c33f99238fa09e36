//! The state of the store, for the operator's pages and for monitoring.

use std::path::PathBuf;

use crate::http::StoreReport;
use crate::runtime::edit_keeper::EditKeeper;
use crate::runtime::history::Historian;
use crate::runtime::plan::StorePlan;
use crate::runtime::replier::Replier;
use crate::store::Store;
use crate::store::maintenance::{MaintenanceSender, Order};
use crate::store::writer::StoreHandle;

/// A view of the store from any thread.
#[derive(Clone, Debug)]
pub(crate) struct StoreMonitor {
    store: StoreHandle,
    maintenance: MaintenanceSender,
    refuses_on_failure: bool,
    /// A file that a backup has, too.
    beside: PathBuf,
    pub(crate) edit_keeper: EditKeeper,
    /// None if no history is kept.
    pub(crate) historian: Option<Historian>,
}

impl StoreMonitor {
    /// A view of a store that was opened according to `plan`.
    pub(crate) fn new(
        store: &Store,
        edit_keeper: EditKeeper,
        historian: Option<Historian>,
        plan: &StorePlan,
    ) -> Self {
        Self {
            edit_keeper,
            store: store.handle(),
            maintenance: store.maintenance(),
            historian,
            refuses_on_failure: plan.refuses_on_failure,
            beside: plan.beside.clone(),
        }
    }

    /// Requests a backup. The reply is the number of octets, or the reason that there is no backup.
    pub(crate) fn back_up(&self, file: PathBuf, replier: Replier<Result<u64, String>>) {
        let done = Box::new(move |outcome| replier.reply(outcome));
        let beside = self.beside.clone();
        self.maintenance.send(Order::BackUp { file, beside, done });
    }

    /// Has the file written anew. The reply is the files that were set aside as damaged, or the reason
    /// that it was not written.
    pub(crate) fn write_anew(&self, replier: Replier<Result<Vec<String>, String>>) {
        let done = Box::new(move |outcome| replier.reply(outcome));
        self.maintenance.send(Order::WriteAnew { done });
    }

    /// The state of the store now.
    pub(crate) fn report(&self) -> StoreReport {
        let health = self.store.health();
        StoreReport {
            counters: [
                ("store_commits", self.store.commits()),
                ("store_rows", self.store.rows()),
                ("store_batches_waiting", self.store.batches_waiting() as u64),
                ("store_failing", self.store.is_failing().into()),
                ("store_rows_unwritten", health.rows_unwritten as u64),
                ("store_rows_impossible", self.store.rows_impossible()),
                ("store_files_damaged", self.store.files_damaged()),
                ("store_commits_lost", self.store.commits_lost()),
                ("store_rows_salvaged", self.store.rows_salvaged()),
            ],
            history: self
                .historian
                .iter()
                .flat_map(Historian::counters)
                .collect(),
            is_history_failing: self.historian.as_ref().is_some_and(Historian::is_failing),
            failure: health.failure,
            is_refusing: self.refuses_on_failure,
        }
    }
}
