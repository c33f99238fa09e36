//! The subscriptions of this shard: how they begin, are renewed, decided about again, and end.
//!
//! Other rooms use [`Subscriptions`] by these functions:
//! - a SUBSCRIBE: `asked::read_subscribe`, `accept_dialog`, `begin_dialog`, `add_usage`,
//!   `renew`, `replace_list`, `end_subscription`, `remove`;
//! - a NOTIFY: `before_notify`, `source_of`, `after_notify`;
//! - a change of rules or of a path: `reevaluate_subscription`, `decide_moved`, `reevaluate_waiting`;
//! - timers and mail: the functions `handle_...`, and `report_watchers` at the end of a turn;
//! - a restart: `begin_recovery`, `recover`, `end_recovery`;
//! - the operator: `watchers`, `drain`;
//! - `table` and `table_mut`: the table of subscriptions, with an interface of its own.

pub(crate) mod asked;
mod begin;
mod drain;
mod end;
mod members;
mod recover;
mod reevaluate;
mod rosters;
pub(crate) mod subject;
mod timer;
mod watchers;

use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::options::Options;
use crate::shard::contract::turn::Turn;
use crate::shard::list::roster::Rosters;
use crate::shard::package::winfo::WatcherInfos;
use crate::shard::subscription::table::Table;

/// Dialogs and subscriptions, and what is known of what they watch.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    table: Table,
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
            table: Table::new(options),
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

    /// Whether so many NOTIFYs are owed that PUBLISHes wait for them.
    pub(crate) fn is_telling(&self, turn: &Turn<'_>) -> bool {
        self.table.queued() >= turn.options.overload.postpone_at && !self.is_draining
    }
}
