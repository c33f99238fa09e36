//! Lists of all present users of a domain, as reported by the owning shards.

use std::collections::BTreeSet;

use crate::presence::Aor;
use crate::presence::event::list::Roster;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::{Announcement, Mail, WatchNumber};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::list::roster::WatchedRoster;
use crate::shard::subscription::Wants;

impl Subscriptions {
    /// A subscription follows a roster from now on. Returns the users known to be present.
    pub(crate) fn attend(
        &mut self,
        roster: &Roster,
        id: SubscriptionId,
        turn: &mut Turn<'_>,
    ) -> Vec<Aor> {
        let domain = &roster.domain;
        if let Some(known) = self.rosters.watched.get_mut(domain) {
            if !known.subscriptions.contains(&(id, roster.kind)) {
                known.subscriptions.push((id, roster.kind));
            }
            return known.present.iter().cloned().collect();
        }
        self.rosters.watches += 1;
        let watch = WatchNumber(self.rosters.watches);
        let watched = WatchedRoster {
            watch,
            present: BTreeSet::new(),
            subscriptions: vec![(id, roster.kind)],
            awaited: turn.options.shards,
        };
        self.rosters.watched.insert(domain.clone(), watched);
        let watcher = turn.here();
        turn.send_to_all(|| Mail::WatchDomain {
            domain: domain.clone(),
            watcher,
            watch,
        });
        Vec::new()
    }

    /// A subscription follows these no longer; with the last one of a domain goes the wish to know.
    pub(crate) fn abandon_rosters(
        &mut self,
        id: SubscriptionId,
        rosters: &[Roster],
        turn: &mut Turn<'_>,
    ) {
        for roster in rosters {
            let Some(watched) = self.rosters.watched.get_mut(&roster.domain) else {
                continue;
            };
            watched.subscriptions.retain(|it| *it != (id, roster.kind));
            if watched.subscriptions.is_empty() {
                self.rosters.watched.remove(&roster.domain);
                unwatch_domain(&roster.domain, turn);
            }
        }
    }

    /// Handles a report of users that are, became, or are no longer present.
    pub(crate) fn handle_roster(
        &mut self,
        domain: &str,
        aors: Vec<Aor>,
        announcement: Announcement,
        turn: &mut Turn<'_>,
    ) {
        let Some(watched) = self.rosters.watched.get_mut(domain) else {
            // The last subscription to this domain ended while the mail was on its way.
            return;
        };
        if watched.watch != announcement.watch {
            return;
        }
        let is_present = announcement.is_present;
        watched.awaited = watched
            .awaited
            .saturating_sub(u16::from(announcement.is_first));
        for aor in &aors {
            if is_present {
                watched.present.insert(aor.clone());
            } else {
                watched.present.remove(aor);
            }
        }
        let subscriptions = watched.subscriptions.clone();
        for (id, kind) in subscriptions {
            let roster = Roster {
                domain: domain.into(),
                kind,
            };
            for aor in &aors {
                if is_present {
                    self.appear(id, &roster, aor, turn);
                } else {
                    self.vanish(id, aor);
                }
            }
            if announcement.is_first {
                // This may have been the last missing report.
                self.table.want(id, Wants::Change);
            }
        }
    }
}

fn unwatch_domain(domain: &str, turn: &mut Turn<'_>) {
    let watcher = turn.here();
    turn.send_to_all(|| Mail::UnwatchDomain {
        domain: domain.into(),
        watcher,
    });
}
