//! Watchers whose subscription ended before it was approved or rejected (RFC 3857 §4.7.1: `waiting`).

use std::collections::VecDeque;

use crate::directory::Peer;
use crate::presence::event::{Package, WatcherEvent, WatcherInfo, WatcherStatus};
use crate::presence::policy::{Decision, Handling};
use crate::presence::{Aor, DataSubject};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::package::winfo::notifier::watcher;
use crate::shard::package::winfo::{WAITING_MAX, WAITING_TIME, WaitingWatcher, WatcherInfos};
use crate::shard::request::headers::any_address_of_record;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::watcher::{Watcher, decide};

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
        let flow = table.flow_of_subscription(id);
        let Some(flow) = flow.expected("a subscription has a path") else {
            return;
        };
        let entry = table.dialog(subscription.dialog());
        let voucher = entry.and_then(|entry| entry.voucher()).cloned();
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
                self.mark(forgotten.info.id);
                self.end_waiting(&forgotten, WatcherEvent::GiveUp);
            }
        }
        self.mark(info.id);
        self.waiting.push_back(WaitingWatcher {
            topic: (aor, package),
            peer: flow.peer.ip(),
            voucher,
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
        let (marked, is_recording) = (&mut self.marked, self.is_recording);
        self.waiting.retain(|waiting| {
            let is_it = *waiting.info.uri == *uri && waiting.is_for(aor, package);
            if is_it && is_recording {
                marked.push(waiting.info.id);
            }
            !is_it
        });
    }

    /// Erases the waiting watchers that are people who are erased, or that wait for one; how many.
    pub(crate) fn forget_waiting_of(&mut self, erased: &DataSubject, turn: &Turn<'_>) -> usize {
        let is_about = |waiting: &WaitingWatcher| {
            let watcher = any_address_of_record(waiting.info.uri.as_bytes(), turn.directory);
            erased.has(&waiting.topic.0) || watcher.is_some_and(|watcher| erased.has(&watcher))
        };
        let (gone, kept) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(is_about);
        self.waiting = kept;
        for waiting in &gone {
            self.mark(waiting.info.id);
            self.end_waiting(waiting, WatcherEvent::GiveUp);
        }
        gone.len()
    }

    /// The rules changed: waiting watchers may now be approved or rejected.
    pub(crate) fn reevaluate_waiting(&mut self, turn: &Turn<'_>) {
        for waiting in std::mem::take(&mut self.waiting) {
            let event = match waiting.decide(turn).handling {
                Handling::Confirm => {
                    self.waiting.push_back(waiting);
                    continue;
                }
                Handling::Block => WatcherEvent::Rejected,
                Handling::PoliteBlock | Handling::Allow => WatcherEvent::Approved,
            };
            self.mark(waiting.info.id);
            self.end_waiting(&waiting, event);
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

impl WaitingWatcher {
    fn is_for(&self, aor: &Aor, package: Package) -> bool {
        self.topic.0 == *aor && self.topic.1 == package
    }

    /// What the rules in force make of it.
    pub(super) fn decide(&self, turn: &Turn<'_>) -> Decision {
        let (aor, package) = &self.topic;
        let uri = self.info.uri.as_bytes();
        let peer = Peer {
            address: self.peer,
            voucher: self.voucher.as_ref(),
        };
        let watcher = Watcher::new(uri, peer, aor.domain(), turn.directory);
        decide(&watcher, aor, *package, turn)
    }
}
