//! Lists of all present users of a domain, as reported by the owning shards.

use crate::presence::Aor;
use crate::presence::event::list::Roster;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::{Announcement, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::list::roster::Attended;
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
        let watch = match self.rosters.attend(roster, id, turn.options.shards) {
            Attended::Known(present) => return present,
            Attended::New(watch) => watch,
        };
        let watcher = turn.here();
        turn.send_to_all(|| Mail::WatchDomain {
            domain: domain.clone(),
            watcher,
            watch,
        });
        Vec::new()
    }

    /// A subscription no longer follows these rosters. The last one of a domain ends the watch of
    /// that domain.
    pub(crate) fn abandon_rosters(
        &mut self,
        id: SubscriptionId,
        rosters: &[Roster],
        turn: &mut Turn<'_>,
    ) {
        for roster in rosters {
            if self.rosters.abandon(roster, id) {
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
        let is_present = announcement.is_present;
        let is_first = announcement.is_first;
        let followers = self.rosters.take_announcement(domain, &aors, announcement);
        for (id, kind) in followers {
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
            if is_first {
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
