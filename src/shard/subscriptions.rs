//! The subscriptions of this shard, by whatever they are to.

use crate::shard::lists::roster::Rosters;
use crate::shard::options::Options;
use crate::shard::pace::Phones;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Table;
use crate::shard::winfo::WatcherInfos;

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
