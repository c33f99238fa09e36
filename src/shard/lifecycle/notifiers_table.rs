//! The table of subscriptions, as the notifier sees it. Its part of a subscription's life, from a wanted
//! NOTIFY to the response, is nearly the whole interface of the table (the head of `subscription`), so
//! it drives the table itself. All others ask [`Subscriptions`] for what they need.
//! `tests/architecture.rs` checks that no other room names this trait.

use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::table::Table;

/// See the module.
pub(crate) trait NotifiersTable {
    /// The table, to be read.
    fn table(&self) -> &Table;

    /// The table, to be driven.
    fn table_mut(&mut self) -> &mut Table;
}

impl NotifiersTable for Subscriptions {
    #[inline]
    fn table(&self) -> &Table {
        &self.table
    }

    #[inline]
    fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }
}
