//! Shards that follow the presence of all users of a domain.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::presence::Aor;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Address;
use crate::shard::contract::mail::{Announcement, Mail, WatchNumber};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::Compositor;

/// Shards that follow a domain.
#[derive(Debug, Default)]
pub(crate) struct DomainWatchers {
    watching: HashMap<Box<str>, SmallVec<[Watching; 2]>>,
}

impl DomainWatchers {
    /// Whether no shard watches a whole domain: then nothing has to be reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.watching.is_empty()
    }
}

/// A shard that gets reports of which users are present.
#[derive(Clone, Copy, Debug)]
struct Watching {
    shard: Address,
    watch: WatchNumber,
}

fn tell_roster(
    watcher: Address,
    domain: Box<str>,
    aors: Vec<Aor>,
    announcement: Announcement,
    turn: &mut Turn<'_>,
) {
    let mail = Mail::Roster {
        domain,
        aors,
        announcement,
    };
    turn.send(watcher, mail);
}

impl Compositor {
    /// As owner: a shard wants to know which users of a domain are present.
    pub(crate) fn handle_watch_domain(
        &mut self,
        domain: Box<str>,
        watcher: Address,
        watch: WatchNumber,
        turn: &mut Turn<'_>,
    ) {
        let watching = self
            .domain_watchers
            .watching
            .entry(domain.clone())
            .or_default();
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
        tell_roster(watcher, domain, present, announcement, turn);
    }

    /// As owner: a shard need not know any more.
    pub(crate) fn handle_unwatch_domain(&mut self, domain: &str, watcher: Address) {
        let watching = self.domain_watchers.watching.get_mut(domain);
        if let Some(watching) = watching.expected("a shard that unwatches a domain watched it") {
            watching.retain(|watching| watching.shard != watcher);
            if watching.is_empty() {
                self.domain_watchers.watching.remove(domain);
            }
        }
    }

    /// As owner: a user became present, or is no longer.
    pub(crate) fn report_presence(&mut self, aor: &Aor, is_present: bool, turn: &mut Turn<'_>) {
        let Some(watching) = self.domain_watchers.watching.get(aor.domain()).cloned() else {
            // No shard watches this domain.
            return;
        };
        for Watching { shard, watch } in watching {
            let announcement = Announcement {
                watch,
                is_present,
                is_first: false,
            };
            let domain = aor.domain().into();
            tell_roster(shard, domain, vec![aor.clone()], announcement, turn);
        }
    }
}
