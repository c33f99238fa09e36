//! Rosters: who is there in a domain, for those who watch everybody (W:D4). Every shard knows whom
//! it owns; a shard with somebody who watches a domain is told by all of them.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::presence::Aor;
use crate::presence::event::list::Roster;
use crate::presence::event::list::RosterKind;
use crate::shard::Shard;
use crate::shard::flow::ShardId;
use crate::shard::mail::Mail;
use crate::shard::outbox::Outbox;
use crate::shard::subscription::Wants;
use crate::shard::table::SubscriptionId;

/// What a shard knows of the domains somebody here watches as a whole, and who wants to know of its
/// own presentities.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    watched: HashMap<Box<str>, WatchedRoster>,
    /// Names the next watch of ours.
    watches: u32,
    /// By domain: the shards to be told.
    watching: HashMap<Box<str>, SmallVec<[Watching; 2]>>,
}

/// Tells one watch of a domain by a shard from its next: what was said to one that was given up
/// must not count for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchNumber(u32);

/// A shard that is told who is there.
#[derive(Clone, Copy, Debug)]
struct Watching {
    shard: ShardId,
    watch: WatchNumber,
}

/// What is said of a domain to a shard that watches it.
#[derive(Clone, Copy, Debug)]
pub struct Announcement {
    pub(crate) watch: WatchNumber,
    /// They are there now, or no longer.
    pub(crate) is_present: bool,
    /// The answer to the watch: all there are.
    pub(crate) is_first: bool,
}

#[derive(Debug)]
struct WatchedRoster {
    watch: WatchNumber,
    present: BTreeSet<Aor>,
    subscriptions: Vec<(SubscriptionId, RosterKind)>,
    /// Shards that have not answered yet.
    awaited: u16,
}

impl Rosters {
    /// Whether nobody anywhere watches a whole domain: then nothing needs to be told.
    pub(crate) fn is_idle(&self) -> bool {
        self.watching.is_empty()
    }

    /// Whether all shards have said who is there in the domains of these.
    pub(crate) fn are_complete(&self, rosters: &[Roster]) -> bool {
        rosters.iter().all(|roster| {
            self.watched
                .get(&roster.domain)
                .is_none_or(|watched| watched.awaited == 0)
        })
    }
}

impl Shard {
    /// A subscription follows a roster from now on; who is there as far as is known.
    pub(crate) fn attend(
        &mut self,
        roster: &Roster,
        id: SubscriptionId,
        out: &mut Outbox,
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
            awaited: self.options.shards,
        };
        self.rosters.watched.insert(domain.clone(), watched);
        for shard in (0..self.options.shards).map(ShardId) {
            let (domain, watcher) = (domain.clone(), self.options.id);
            if shard == self.options.id {
                self.handle_watch_domain(domain, watcher, watch, out);
            } else {
                let mail = Mail::WatchDomain {
                    domain,
                    watcher,
                    watch,
                };
                out.mail.push((shard, mail));
            }
        }
        // Our own were added by what we told ourselves.
        Vec::new()
    }

    /// A subscription follows these no longer; with the last one of a domain goes the wish to know.
    pub(crate) fn abandon_rosters(
        &mut self,
        id: SubscriptionId,
        rosters: &[Roster],
        out: &mut Outbox,
    ) {
        for roster in rosters {
            let Some(watched) = self.rosters.watched.get_mut(&roster.domain) else {
                continue;
            };
            watched.subscriptions.retain(|it| *it != (id, roster.kind));
            if watched.subscriptions.is_empty() {
                self.rosters.watched.remove(&roster.domain);
                self.unwatch_domain(&roster.domain, out);
            }
        }
    }

    fn unwatch_domain(&mut self, domain: &str, out: &mut Outbox) {
        let watcher = self.options.id;
        for shard in (0..self.options.shards).map(ShardId) {
            if shard == watcher {
                self.handle_unwatch_domain(domain, watcher);
            } else {
                let domain = domain.into();
                out.mail
                    .push((shard, Mail::UnwatchDomain { domain, watcher }));
            }
        }
    }

    /// As owner: a shard wants to know who is there in a domain.
    pub(crate) fn handle_watch_domain(
        &mut self,
        domain: Box<str>,
        watcher: ShardId,
        watch: WatchNumber,
        out: &mut Outbox,
    ) {
        let watching = self.rosters.watching.entry(domain.clone()).or_default();
        watching.retain(|watching| watching.shard != watcher);
        watching.push(Watching {
            shard: watcher,
            watch,
        });
        let present = self.presentities.present_in(&domain);
        let announcement = Announcement {
            watch,
            is_present: true,
            is_first: true,
        };
        self.tell_roster(watcher, domain, present, announcement, out);
    }

    /// As owner: a shard need not know any more.
    pub(crate) fn handle_unwatch_domain(&mut self, domain: &str, watcher: ShardId) {
        if let Some(watching) = self.rosters.watching.get_mut(domain) {
            watching.retain(|watching| watching.shard != watcher);
            if watching.is_empty() {
                self.rosters.watching.remove(domain);
            }
        }
    }

    /// As owner: somebody came or went.
    pub(crate) fn tell_presence(&mut self, aor: &Aor, is_present: bool, out: &mut Outbox) {
        let Some(watching) = self.rosters.watching.get(aor.domain()).cloned() else {
            return;
        };
        for Watching { shard, watch } in watching {
            let announcement = Announcement {
                watch,
                is_present,
                is_first: false,
            };
            let domain = aor.domain().into();
            self.tell_roster(shard, domain, vec![aor.clone()], announcement, out);
        }
    }

    fn tell_roster(
        &mut self,
        watcher: ShardId,
        domain: Box<str>,
        aors: Vec<Aor>,
        announcement: Announcement,
        out: &mut Outbox,
    ) {
        if watcher == self.options.id {
            self.handle_roster(&domain, aors, announcement, out);
        } else {
            let mail = Mail::Roster {
                domain,
                aors,
                announcement,
            };
            out.mail.push((watcher, mail));
        }
    }

    /// From an owner: who is there, came, or went.
    pub(crate) fn handle_roster(
        &mut self,
        domain: &str,
        aors: Vec<Aor>,
        announcement: Announcement,
        out: &mut Outbox,
    ) {
        let Some(watched) = self.rosters.watched.get_mut(domain) else {
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
        let directory = Arc::clone(&self.directory);
        for (id, kind) in subscriptions {
            let roster = Roster {
                domain: domain.into(),
                kind,
            };
            for aor in &aors {
                if is_present {
                    self.appear(id, &roster, aor, &directory, out);
                } else {
                    self.vanish(id, aor);
                }
            }
            if announcement.is_first {
                // It may have waited for nothing else.
                self.want(id, Wants::Change);
            }
        }
    }
}
