//! The subscriptions of this shard, by whatever they are to.

pub(crate) mod asked;
pub(crate) mod begin;
pub(crate) mod body;
pub(crate) mod dialogs;
pub(crate) mod drain;
pub(crate) mod due;
pub(crate) mod end;
pub(crate) mod members;
pub(crate) mod reevaluate;
pub(crate) mod rosters;
pub(crate) mod subject;

use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::options::Options;
use crate::shard::list::roster::Rosters;
use crate::shard::package::winfo::WatcherInfos;
use crate::shard::subscription::pacing::Phones;
use crate::shard::subscription::table::Table;

/// Dialogs and subscriptions, and what is known of what they watch.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    pub(super) table: Table,
    pub(super) phones: Phones,
    pub(super) rosters: Rosters,
    pub(super) winfo: WatcherInfos,
    /// No new subscriptions are accepted: the process is about to end.
    pub(super) is_draining: bool,
    /// The last subscription that was ended because of that.
    pub(super) drained: SubscriptionId,
}

impl Subscriptions {
    /// None yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            table: Table::default(),
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
}
