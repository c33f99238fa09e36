//! Watcher information (RFC 3857): hands the subscription table of this shard to `package::winfo`; and what
//! the operator asks of watchers.

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Address;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::WatchersHere;
use crate::shard::contract::report::WatcherReport;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::package::watcher_report;
use crate::shard::subscription::Wants;

impl Subscriptions {
    /// The watchers of a presentity, for the operator.
    pub(crate) fn watchers(&self, aor: &Aor, turn: &Turn<'_>) -> Vec<WatcherReport> {
        self.winfo.watchers(aor, &self.table, turn)
    }

    /// The subscriptions at some places of the table, for the operator.
    pub(crate) fn reports(
        &self,
        places: impl Iterator<Item = SubscriptionId>,
        turn: &Turn<'_>,
    ) -> Vec<WatcherReport> {
        places
            .filter_map(|id| watcher_report::of_subscription(&self.table, id, turn))
            .collect()
    }

    /// Each watcher of a presentity, and each subscription to a list with it, is due a NOTIFY with the
    /// full state. Returns how many.
    pub(crate) fn notify_anew(&mut self, aor: &Aor) -> usize {
        let watchers = self.table.watchers_of(aor);
        let mut ids: Vec<SubscriptionId> = watchers.map(|watcher| watcher.subscription).collect();
        ids.sort_unstable_by_key(|id| id.0);
        ids.dedup();
        for id in &ids {
            let subscription = self.table.subscription_mut(*id);
            if let Some(subscription) = subscription.expected("a watcher is a subscription") {
                subscription.forget_shown();
            }
            self.table.want(*id, Wants::Notify);
        }
        ids.len()
    }

    /// Reports the watchers that changed in this turn to the shards that follow them.
    pub(crate) fn report_watchers(&mut self, turn: &mut Turn<'_>) {
        if !self.winfo.is_settled() {
            self.winfo.report_watchers(&self.table, turn);
        }
    }

    /// Another shard begins to follow the watchers of a presentity.
    pub(crate) fn handle_follow_watchers(
        &mut self,
        aor: Aor,
        package: Package,
        follower: Address,
        turn: &mut Turn<'_>,
    ) {
        let table = &self.table;
        self.winfo
            .handle_follow_watchers((aor, package), follower, table, turn);
    }

    /// That shard no longer follows the watchers of a presentity.
    pub(crate) fn handle_unfollow_watchers(
        &mut self,
        aor: &Aor,
        package: Package,
        follower: Address,
    ) {
        self.winfo.handle_unfollow_watchers(aor, package, follower);
    }

    /// Another shard reports its watchers of a presentity that this shard follows.
    pub(crate) fn handle_watchers_here(&mut self, report: WatchersHere) {
        self.winfo.handle_watchers_here(report, &mut self.table);
    }

    /// The rules changed, and may now decide about pending watchers.
    pub(crate) fn reevaluate_waiting(&mut self, turn: &Turn<'_>) {
        self.winfo.reevaluate_waiting(turn);
    }
}
