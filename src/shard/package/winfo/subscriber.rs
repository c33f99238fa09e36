//! Watcher-information subscriptions on this shard: they collect the watchers from all shards.

use std::collections::HashSet;

use crate::presence::document::watcherinfo;
use crate::presence::event::{WatcherEvent, WatcherInfo, WatcherStatus};
use crate::presence::policy::Handling;
use crate::shard::contract::body::Body;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::mail::{Mail, WatchersHere};
use crate::shard::contract::turn::Turn;
use crate::shard::package::winfo::{Followed, WatcherInfos};
use crate::shard::subscription::NewSubscription;
use crate::shard::subscription::audience::{Audience, Topic, WATCHERS_MAX};
use crate::shard::subscription::table::Table;

/// Octets of their elements in one document: less than a datagram can hold (RFC 3261 §18.1.1).
const WATCHERS_OCTETS_MAX: usize = 60_000;

/// Octets of a `watcher` element without URI and display name.
const WATCHER_OCTETS: usize = 110;

// The collecting side.
impl WatcherInfos {
    /// Adds a subscription to the watchers of a presentity.
    pub(crate) fn add_audience(
        &mut self,
        dialog: DialogId,
        topic: Topic,
        new: NewSubscription<'_>,
        table: &mut Table,
        turn: &mut Turn<'_>,
    ) -> SubscriptionId {
        let audience = Audience::new(topic.clone());
        let id = table.insert_subscription(dialog, audience.into(), new);
        if let Some(followed) = self.followed.get_mut(&topic) {
            followed.subscriptions.push(id);
            return id;
        }
        let followed = Followed {
            subscriptions: vec![id],
            watchers: (0..turn.options.shards).map(|_| None).collect(),
        };
        self.followed.insert(topic.clone(), followed);
        let (aor, package) = topic;
        let follower = turn.here();
        turn.send_to_all(|| Mail::FollowWatchers {
            aor: aor.clone(),
            package,
            follower,
        });
        id
    }

    /// A subscription to watchers is gone; with the last one of its topic the wish to know.
    pub(crate) fn remove_audience(
        &mut self,
        id: SubscriptionId,
        topic: Topic,
        turn: &mut Turn<'_>,
    ) {
        let followed = self.followed.get_mut(&topic);
        let Some(followed) = followed.expected("the topic of a subscription is followed") else {
            return;
        };
        followed.subscriptions.retain(|it| *it != id);
        if !followed.subscriptions.is_empty() {
            return;
        }
        self.followed.remove(&topic);
        let (aor, package) = topic;
        let follower = turn.here();
        turn.send_to_all(|| Mail::UnfollowWatchers {
            aor: aor.clone(),
            package,
            follower,
        });
    }

    /// Handles a report of the watchers on one shard.
    pub(crate) fn handle_watchers_here(&mut self, report: WatchersHere, table: &mut Table) {
        let WatchersHere {
            aor,
            package,
            holder,
            mut watchers,
            ended,
        } = report;
        let Some(followed) = self.followed.get_mut(&(aor, package)) else {
            // The last subscription ended while the report was on its way.
            return;
        };
        let known = followed.watchers.get_mut(usize::from(holder.shard.0));
        let Some(known) = known.expected("there is a place for each shard") else {
            return;
        };
        let mut gone = Vec::new();
        if let Some(before) = known {
            for watcher in &mut watchers {
                if let Ok(place) = before.binary_search_by_key(&watcher.id, |it| it.id) {
                    watcher.event = event_after(&before[place], watcher);
                }
            }
            let is_here = |watcher: &WatcherInfo| {
                watchers
                    .binary_search_by_key(&watcher.id, |it| it.id)
                    .is_ok()
            };
            for mut watcher in before.drain(..).filter(|watcher| !is_here(watcher)) {
                let why = ended.iter().find(|(id, _)| *id == watcher.id);
                watcher.status = WatcherStatus::Terminated;
                watcher.event = why.map_or(WatcherEvent::Timeout, |(_, why)| *why);
                gone.push(watcher);
            }
        }
        *known = Some(watchers);
        for id in &followed.subscriptions {
            table.report_watchers_ended(*id, &gone);
        }
    }

    /// Writes the document of a subscription to watchers; None until every shard has reported.
    pub(crate) fn write_watchers(
        &mut self,
        id: SubscriptionId,
        table: &mut Table,
        turn: &mut Turn<'_>,
    ) -> Option<Body> {
        let subscription = table.subscription(id);
        let subscription = subscription.expected("a NOTIFY is of a subscription")?;
        let audience = subscription.subject().audience();
        let audience = audience.expected("the subscription is to watchers")?;
        let (_, package) = audience.topic();
        let mut watchers = Vec::new();
        // A policy may hide all watchers.
        if subscription.decision().handling == Handling::Allow {
            let followed = self.followed.get(audience.topic());
            let followed = followed.expected("the topic of a subscription is followed")?;
            for known in &followed.watchers {
                watchers.extend_from_slice(known.as_ref()?);
            }
            watchers.extend_from_slice(audience.ended());
            drop_returned(&mut watchers);
        }
        let fitting = fitting(&watchers);
        turn.counters.watchers_over_limit += (watchers.len() - fitting) as u64;
        watchers.truncate(fitting);
        let start = turn.out.arena.len();
        let (version, entity) = (subscription.version(), subscription.entity());
        let token = package.token();
        watcherinfo::write(&mut turn.out.arena, version, entity, token, &watchers);
        Some(Body {
            call_info: 0..0,
            octets: start..turn.out.arena.len(),
            hash: watcherinfo::hash_of(&watchers) | 1,
        })
    }
}

/// A waiting watcher that subscribed again, on another shard, waits no more.
fn drop_returned(watchers: &mut Vec<WatcherInfo>) {
    let is_here = |watcher: &&WatcherInfo| {
        matches!(
            watcher.status,
            WatcherStatus::Pending | WatcherStatus::Active
        )
    };
    let here: HashSet<Box<str>> = match watchers.iter().any(is_waiting) {
        true => watchers.iter().filter(is_here).map(|it| it.uri.clone()),
        false => return,
    }
    .collect();
    watchers.retain(|watcher| !is_waiting(watcher) || !here.contains(&watcher.uri));
}

fn is_waiting(watcher: &WatcherInfo) -> bool {
    watcher.status == WatcherStatus::Waiting
}

/// The event that explains a change of status (RFC 3857 §4.7.1).
fn event_after(before: &WatcherInfo, now: &WatcherInfo) -> WatcherEvent {
    match (before.status, now.status) {
        (was, is) if was == is => before.event,
        (WatcherStatus::Pending, WatcherStatus::Active) => WatcherEvent::Approved,
        _ => now.event,
    }
}

/// Number of leading watchers that fit in one document.
fn fitting(watchers: &[WatcherInfo]) -> usize {
    let mut octets = 0;
    watchers
        .iter()
        .take(WATCHERS_MAX)
        .take_while(|watcher| {
            let display = watcher.display.as_ref().map_or(0, |display| display.len());
            octets += WATCHER_OCTETS + watcher.uri.len() + display;
            octets <= WATCHERS_OCTETS_MAX
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(id: u64, status: WatcherStatus, uri: &str) -> WatcherInfo {
        WatcherInfo {
            id,
            status,
            event: WatcherEvent::Subscribe,
            uri: uri.into(),
            display: None,
        }
    }

    /// RFC 3857 §4.7.1, RFC 3261 §18.1.1
    #[test]
    fn a_document_lists_a_thousand_and_fits_a_datagram() {
        let many = |count: u64, uri: &str| -> Vec<WatcherInfo> {
            (0..count)
                .map(|id| watcher(id, WatcherStatus::Active, uri))
                .collect()
        };
        assert_eq!(fitting(&[]), 0);
        assert_eq!(fitting(&many(400, "sip:bob@abc.com")), 400);
        let table = [
            ("sip:b", WATCHERS_OCTETS_MAX / (WATCHER_OCTETS + 5)),
            ("", WATCHERS_OCTETS_MAX / WATCHER_OCTETS),
        ];
        for (uri, count) in table {
            let watchers = many(2_000, uri);
            assert_eq!(fitting(&watchers), count.min(WATCHERS_MAX), "{uri}");
            let mut out = Vec::new();
            let fitting = &watchers[..fitting(&watchers)];
            watcherinfo::write(&mut out, u32::MAX, b"sip:ann@abc.com", "presence", fitting);
            assert!(out.len() <= 65_000, "{}", out.len());
        }
    }

    /// RFC 3857 §4.7.1
    #[test]
    fn a_watcher_that_subscribed_again_waits_no_more() {
        use WatcherStatus::{Active, Pending, Waiting};
        let mut watchers = vec![
            watcher(1, Waiting, "sip:ann@abc.com"),
            watcher(2, Waiting, "sip:bob@abc.com"),
            watcher(3, Pending, "sip:ann@abc.com"),
            watcher(4, Active, "sip:carol@abc.com"),
        ];
        drop_returned(&mut watchers);
        let ids: Vec<u64> = watchers.iter().map(|it| it.id).collect();
        assert_eq!(ids, [2, 3, 4]);
        drop_returned(&mut watchers);
        assert_eq!(watchers.len(), 3);
    }

    /// RFC 3857 §4.7.1
    #[test]
    fn an_event_says_what_happened_last() {
        use WatcherStatus::{Active, Pending};
        let approved = WatcherInfo {
            event: WatcherEvent::Approved,
            ..watcher(1, Active, "")
        };
        let pending = watcher(1, Pending, "");
        let active = watcher(1, Active, "");
        assert_eq!(event_after(&pending, &pending), WatcherEvent::Subscribe);
        assert_eq!(event_after(&pending, &active), WatcherEvent::Approved);
        assert_eq!(event_after(&approved, &active), WatcherEvent::Approved);
        assert_eq!(event_after(&approved, &pending), WatcherEvent::Subscribe);
    }
}
