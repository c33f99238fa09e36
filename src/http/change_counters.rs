//! What is counted of changes of the configuration and edits of the directory.

use std::cell::Cell;

/// The counters. Names in the metrics are those of the fields.
#[derive(Debug, Default)]
pub(crate) struct ChangeCounters {
    /// Changes that are on the disk and in force.
    pub(crate) domain_changes: Cell<u64>,
    /// Changes that were refused: they are not valid, or do not go with the rest of the configuration.
    pub(crate) domain_changes_refused: Cell<u64>,
    /// Changes that failed: too many waited, the file could not be written, a shard did not respond.
    pub(crate) domain_changes_failed: Cell<u64>,
    /// Edits of accounts, lists and rules that were refused because their domain has as many as it may.
    pub(crate) edits_over_limit: Cell<u64>,
}

impl ChangeCounters {
    /// Counts an edit that was refused because its domain has as many as it may.
    pub(crate) fn count_edit_over_limit(&self) {
        self.edits_over_limit.set(self.edits_over_limit.get() + 1);
    }

    /// Names and values for `/metrics`.
    pub(crate) fn values(&self) -> [(&'static str, u64); 4] {
        [
            ("domain_changes", self.domain_changes.get()),
            ("domain_changes_refused", self.domain_changes_refused.get()),
            ("domain_changes_failed", self.domain_changes_failed.get()),
            ("edits_over_limit", self.edits_over_limit.get()),
        ]
    }
}
