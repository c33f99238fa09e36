//! Watcher information (RFC 3857) of the subscriptions here: what `package::winfo` does with them.

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::shard::contract::flow::Address;
use crate::shard::contract::mail::WatchersHere;
use crate::shard::contract::report::WatcherReport;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;

impl Subscriptions {
    /// The watchers of a presentity, for the operator.
    pub(crate) fn watchers(&self, aor: &Aor, turn: &Turn<'_>) -> Vec<WatcherReport> {
        self.winfo.watchers(aor, &self.table, turn)
    }

    /// Reports the watchers that changed in this turn to the shards that follow them.
    pub(crate) fn report_watchers(&mut self, turn: &mut Turn<'_>) {
        if !self.winfo.is_settled() {
            self.winfo.report_watchers(&self.table, turn);
        }
    }

    /// A shard follows the watchers of a presentity.
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

    /// A shard follows them no longer.
    pub(crate) fn handle_unfollow_watchers(
        &mut self,
        aor: &Aor,
        package: Package,
        follower: Address,
    ) {
        self.winfo.handle_unfollow_watchers(aor, package, follower);
    }

    /// A shard reports the watchers it has.
    pub(crate) fn handle_watchers_here(&mut self, told: WatchersHere) {
        self.winfo.handle_watchers_here(told, &mut self.table);
    }

    /// The rules changed: they may have decided about waiting watchers.
    pub(crate) fn reevaluate_waiting(&mut self, turn: &Turn<'_>) {
        self.winfo.reevaluate_waiting(turn);
    }
}
