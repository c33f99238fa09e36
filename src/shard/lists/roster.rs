//! Rosters: who is there in a domain, for those who watch everybody (W:D4). Every shard knows whom
//! it owns; a shard with somebody who watches a domain is told by all of them.

use std::collections::BTreeSet;
use std::collections::HashMap;

use smallvec::SmallVec;

use crate::presence::Aor;
use crate::presence::list::Roster;
use crate::presence::list::RosterKind;
use crate::shard::Shard;
use crate::shard::flow::ShardId;
use crate::shard::mail::Mail;
use crate::shard::outbox::Outbox;
use crate::shard::table::SubscriptionId;

/// What a shard knows of the domains somebody here watches as a whole, and who wants to know of its
/// own presentities.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    watched: HashMap<Box<str>, WatchedRoster>,
    /// By domain: the shards to be told.
    watching: HashMap<Box<str>, SmallVec<[ShardId; 2]>>,
}

#[derive(Debug, Default)]
struct WatchedRoster {
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

    /// The shards that want to know who is there in a domain.
    pub(crate) fn watching(&self, domain: &str) -> &[ShardId] {
        self.watching.get(domain).map_or(&[], |shards| shards)
    }

    /// Whether all shards have said who is there.
    pub(crate) fn is_complete(&self, domain: &str) -> bool {
        self.watched
            .get(domain)
            .is_none_or(|roster| roster.awaited == 0)
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
        let is_new = !self.rosters.watched.contains_key(domain);
        let known = self.rosters.watched.entry(domain.clone()).or_default();
        if !known.subscriptions.contains(&(id, roster.kind)) {
            known.subscriptions.push((id, roster.kind));
        }
        if is_new {
            known.awaited = self.options.shards;
            for shard in (0..self.options.shards).map(ShardId) {
                let (domain, watcher) = (domain.clone(), self.options.id);
                if shard == self.options.id {
                    self.handle_watch_domain(domain, watcher, out);
                } else {
                    out.mail
                        .push((shard, Mail::WatchDomain { domain, watcher }));
                }
            }
            // Our own were added by what we told ourselves.
            return Vec::new();
        }
        let known = self.rosters.watched.get(domain);
        known.map_or_else(Vec::new, |known| known.present.iter().cloned().collect())
    }

    /// A subscription is gone, or follows no other rosters than these any more; with the last one
    /// of a domain goes the wish to know.
    pub(crate) fn abandon_rosters(
        &mut self,
        id: SubscriptionId,
        kept: &[Roster],
        out: &mut Outbox,
    ) {
        let mut idle = Vec::new();
        for (domain, roster) in &mut self.rosters.watched {
            roster.subscriptions.retain(|(subscription, kind)| {
                let is_kept = |it: &Roster| it.domain == *domain && it.kind == *kind;
                *subscription != id || kept.iter().any(is_kept)
            });
            if roster.subscriptions.is_empty() {
                idle.push(domain.clone());
            }
        }
        for domain in idle {
            self.rosters.watched.remove(&domain);
            for shard in (0..self.options.shards).map(ShardId) {
                let (domain, watcher) = (domain.clone(), self.options.id);
                if shard == self.options.id {
                    self.handle_unwatch_domain(&domain, watcher);
                } else {
                    out.mail
                        .push((shard, Mail::UnwatchDomain { domain, watcher }));
                }
            }
        }
    }

    /// As owner: a shard wants to know who is there in a domain.
    pub(crate) fn handle_watch_domain(
        &mut self,
        domain: Box<str>,
        watcher: ShardId,
        out: &mut Outbox,
    ) {
        let watching = self.rosters.watching.entry(domain.clone()).or_default();
        if !watching.contains(&watcher) {
            watching.push(watcher);
        }
        let present = self.presentities.present_in(&domain);
        self.tell_roster(watcher, domain, present, true, true, out);
    }

    /// As owner: a shard need not know any more.
    pub(crate) fn handle_unwatch_domain(&mut self, domain: &str, watcher: ShardId) {
        if let Some(watching) = self.rosters.watching.get_mut(domain) {
            watching.retain(|shard| *shard != watcher);
            if watching.is_empty() {
                self.rosters.watching.remove(domain);
            }
        }
    }

    /// As owner: somebody came or went.
    pub(crate) fn tell_presence(&mut self, aor: &Aor, is_present: bool, out: &mut Outbox) {
        let shards: SmallVec<[ShardId; 2]> = self.rosters.watching(aor.domain()).into();
        for watcher in shards {
            let domain = aor.domain().into();
            self.tell_roster(watcher, domain, vec![aor.clone()], is_present, false, out);
        }
    }

    fn tell_roster(
        &mut self,
        watcher: ShardId,
        domain: Box<str>,
        aors: Vec<Aor>,
        is_present: bool,
        is_first: bool,
        out: &mut Outbox,
    ) {
        if watcher == self.options.id {
            self.handle_roster(&domain, aors, is_present, is_first, out);
        } else {
            out.mail.push((
                watcher,
                Mail::Roster {
                    domain,
                    aors,
                    is_present,
                    is_first,
                },
            ));
        }
    }

    /// From an owner: who is there, came, or went.
    pub(crate) fn handle_roster(
        &mut self,
        domain: &str,
        aors: Vec<Aor>,
        is_present: bool,
        is_first: bool,
        out: &mut Outbox,
    ) {
        let Some(roster) = self.rosters.watched.get_mut(domain) else {
            return;
        };
        let subscriptions = roster.subscriptions.clone();
        if is_first {
            roster.awaited = roster.awaited.saturating_sub(1);
        }
        for aor in &aors {
            if is_present {
                roster.present.insert(aor.clone());
            } else {
                roster.present.remove(aor);
            }
        }
        let directory = std::sync::Arc::clone(&self.directory);
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
            self.want(id, crate::shard::table::Wants::Change);
        }
    }
}
