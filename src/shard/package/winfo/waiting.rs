//! Watchers whose subscription ended before it was approved or rejected (RFC 3857 §4.7.1: `waiting`).

use std::collections::VecDeque;

use crate::presence::event::{WatcherEvent, WatcherInfo, WatcherStatus};
use crate::presence::policy::Handling;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::package::winfo::notifier::watcher;
use crate::shard::package::winfo::{WAITING_MAX, WAITING_TIME, WaitingWatcher, WatcherInfos};
use crate::shard::subscription::table::Table;
use crate::shard::subscription::watcher::decide;

// Watchers in the state `waiting`.
impl WatcherInfos {
    /// A pending subscription expired: its watcher enters state `waiting`.
    pub(crate) fn remember_waiting(&mut self, id: SubscriptionId, table: &Table, turn: &Turn<'_>) {
        let subscription = table.subscription(id);
        let Some(subscription) = subscription.expected("a subscription ends once") else {
            return;
        };
        if subscription.decision().handling != Handling::Confirm {
            return;
        }
        let Some(slot) = subscription.subject().slot() else {
            // Subscriptions to lists and to watcher information have no waiting state.
            return;
        };
        let watched = table.watched(slot.watched);
        let Some(watched) = watched.expected("a subscription watches its presentity") else {
            return;
        };
        let (aor, package) = (watched.aor().clone(), subscription.package());
        // None if the subscription had ended before, for another reason.
        let Some(info) = watcher(table, (id, 0), package, turn) else {
            return;
        };
        let watcher = table.watcher_of(id, turn);
        let Some(watcher) = watcher.expected("a subscription has a watcher") else {
            return;
        };
        let info = WatcherInfo {
            status: WatcherStatus::Waiting,
            event: WatcherEvent::Timeout,
            ..info
        };
        self.forget_waiting(id, table);
        let now = turn.now;
        let is_over = |waiting: &WaitingWatcher| waiting.until <= now;
        let is_full = |waiting: &VecDeque<WaitingWatcher>| waiting.len() >= WAITING_MAX;
        while is_full(&self.waiting) || self.waiting.front().is_some_and(is_over) {
            if let Some(forgotten) = self.waiting.pop_front() {
                self.end_waiting(&forgotten, WatcherEvent::GiveUp);
            }
        }
        self.waiting.push_back(WaitingWatcher {
            topic: (aor, package),
            watcher,
            info,
            until: turn.now + WAITING_TIME,
        });
    }

    /// Removes a waiting watcher that has subscribed again.
    pub(crate) fn forget_waiting(&mut self, id: SubscriptionId, table: &Table) {
        if self.waiting.is_empty() {
            return;
        }
        let subscription = table.subscription(id);
        let Some(subscription) = subscription.expected("a watcher is a subscription") else {
            return;
        };
        let aor = table.aor_of(subscription);
        let entry = table.dialog(subscription.dialog());
        let (Some(aor), Some(entry)) = (
            aor.expected("a subscription is to an address of record"),
            entry.expected("a subscription has a dialog"),
        ) else {
            return;
        };
        let uri = String::from_utf8_lossy(entry.watcher_uri());
        let package = subscription.package();
        self.waiting.retain(|waiting| {
            *waiting.info.uri != *uri || waiting.topic.0 != *aor || waiting.topic.1 != package
        });
    }

    /// The rules changed: waiting watchers may now be approved or rejected.
    pub(crate) fn reevaluate_waiting(&mut self, turn: &Turn<'_>) {
        for waiting in std::mem::take(&mut self.waiting) {
            let (aor, package) = &waiting.topic;
            let decision = decide(&waiting.watcher, aor, *package, turn);
            match decision.handling {
                Handling::Confirm => self.waiting.push_back(waiting),
                Handling::Block => self.end_waiting(&waiting, WatcherEvent::Rejected),
                Handling::PoliteBlock | Handling::Allow => {
                    self.end_waiting(&waiting, WatcherEvent::Approved);
                }
            }
        }
    }

    fn end_waiting(&mut self, waiting: &WaitingWatcher, event: WatcherEvent) {
        let (aor, _) = &waiting.topic;
        if self.is_followed(aor) {
            self.ended.push((waiting.info.id, event));
            self.note(aor.clone());
        }
    }
}
