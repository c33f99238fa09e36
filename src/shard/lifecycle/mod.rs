//! The subscriptions of this shard: how they begin, are renewed, decided about again, and end.
//!
//! Other rooms use [`Subscriptions`] by these functions:
//! - a SUBSCRIBE: `asked::read_subscribe`, `check_capacity`, `add_dialog`, `begin`, `add_usage`,
//!   `renew`, `replace_list`, `end_subscription`, `remove`;
//! - a NOTIFY: `before_notify`, `source_of`, `after_notify`, `take_token`, `next_paced`,
//!   `fetch_queued`;
//! - a change of rules or of a path: `reevaluate_subscription`, `decide_moved`, `reevaluate_waiting`;
//! - timers and mail: the functions `handle_...`, and `report_watchers` at the end of a turn;
//! - a restart: `begin_recovery`, `recover`, `end_recovery`;
//! - the operator: `watchers`, `drain`;
//! - `table` and `table_mut`: the table of subscriptions, with an interface of its own.

pub(crate) mod asked;
mod begin;
mod drain;
pub(crate) mod due;
mod end;
mod members;
mod recover;
mod reevaluate;
mod rosters;
pub(crate) mod subject;
mod watchers;

use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::options::Options;
use crate::shard::list::roster::Rosters;
use crate::shard::package::winfo::WatcherInfos;
use crate::shard::subscription::pacing::Phones;
use crate::shard::subscription::table::Table;

/// Dialogs and subscriptions, and what is known of what they watch.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    table: Table,
    phones: Phones,
    rosters: Rosters,
    winfo: WatcherInfos,
    /// No new subscriptions are accepted: the process is about to end.
    is_draining: bool,
    /// The last subscription deactivated by the drain.
    drained: SubscriptionId,
}

impl Subscriptions {
    /// No subscriptions yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            table: Table::new(options.durability),
            phones: Phones::new(
                options.notify_rate_per_phone,
                options.notify_burst_per_phone,
            ),
            rosters: Rosters::default(),
            winfo: WatcherInfos::default(),
            is_draining: false,
            drained: SubscriptionId(0),
        }
    }

    #[inline]
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    #[inline]
    pub(crate) fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Whether all work on subscriptions waits for a timer or a message.
    pub(crate) fn is_settled(&self) -> bool {
        self.table.queued() == 0 && self.winfo.is_settled()
    }
}
