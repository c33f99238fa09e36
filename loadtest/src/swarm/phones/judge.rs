//! Checks the body of a NOTIFY: the document or the list, its version, and the lamps it shows.

use std::time::Instant;

use crate::measure::latency::Measure;
use crate::scenario::FirstVersion;
use crate::swarm::key::{Key, SubscriptionKey, UserKey};
use crate::swarm::phones::subscription::{NextNotify, Subscription, Wrong};
use crate::swarm::stage::Stage;
use crate::swarm::turn::Turn;
use crate::swarm::users::{Shown, Sight, Users};
use crate::swarm::versions::Version;
use crate::wire::dialog_info::DialogInfo;
use crate::wire::message::Incoming;
use crate::wire::rlmi::List;
use crate::wire::{dialog_info, rlmi};

/// A fault of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This many versions were skipped.
    Lost(u32),
    /// It contains no change.
    Duplicate,
    /// It shows an older state.
    Stale,
    /// Its CSeq is not one higher than the last.
    OutOfOrder,
    /// This part of it is wrong.
    Wrong(&'static str),
}

/// A NOTIFY, and the subscription whose sights it updates.
pub(super) struct Judge<'a> {
    pub(super) key: SubscriptionKey,
    pub(super) subscription: &'a mut Subscription,
    /// One per user of the subscription's list; otherwise one.
    pub(super) sights: &'a mut [Sight],
    pub(super) notify: &'a Incoming<'a>,
}

/// One user's document in a NOTIFY.
struct UserDocument<'a> {
    user: UserKey,
    /// The user's index in the list.
    place: usize,
    document: DialogInfo<'a>,
}

impl Judge<'_> {
    /// Checks the next NOTIFY of the dialog.
    pub(super) fn judge(&mut self, next: &NextNotify, users: &mut Users, turn: &mut Turn<'_>) {
        if next.is_out_of_order {
            self.fault(Fault::OutOfOrder, turn);
        }
        match next.wrong {
            Some(Wrong::Package) => self.fault(Fault::Wrong("the package"), turn),
            Some(Wrong::SubscriptionState) => {
                self.fault(Fault::Wrong("Subscription-State"), turn);
            }
            None => {}
        }
        // The last NOTIFY needs no body.
        if next.ends && self.notify.body.is_empty() {
            return;
        }
        match turn.plan.is_of_lists() {
            true => self.judge_list(next.is_first, users, turn),
            false => self.judge_document(users, turn),
        }
    }

    /// Checks the body of a subscription to one user.
    fn judge_document(&mut self, users: &mut Users, turn: &mut Turn<'_>) {
        let content_type = self.notify.content_type;
        let is_type = content_type.eq_ignore_ascii_case(b"application/dialog-info+xml");
        let document = dialog_info::scan(self.notify.body).filter(|_| is_type);
        let Some(document) = document else {
            return self.fault(Fault::Wrong("the document"), turn);
        };
        let may_begin_anyhow = turn.plan.scenario().first_version == FirstVersion::Any;
        match self.sights[0].take_version(document.version) {
            Version::BadStart if may_begin_anyhow => {}
            version if self.is_refused(version, turn) => return,
            _ => {}
        }
        let of_user = UserDocument {
            user: turn.plan.watched(self.key, 0),
            place: 0,
            document,
        };
        self.judge_lamp(&of_user, users, turn);
    }

    /// Checks the body of a subscription to a list.
    fn judge_list(&mut self, is_first: bool, users: &mut Users, turn: &mut Turn<'_>) {
        let list = match rlmi::scan(self.notify.content_type, self.notify.body) {
            Ok(list) => list,
            Err(fault) => {
                let key = self.key;
                turn.tally()
                    .example(|| format!("subscription {key}: no list: {fault:?}"));
                return self.fault(Fault::Wrong("the list"), turn);
            }
        };
        let version = self.subscription.take_list_version(list.version);
        if self.is_refused(version, turn) {
            return;
        }
        if list.uri != turn.plan.asked_uri(self.key).as_bytes() {
            self.fault(Fault::Wrong("the list's uri"), turn);
        }
        let is_short = list.full && list.resources.len() != self.sights.len();
        if is_short || (is_first && !list.full) {
            self.fault(Fault::Wrong("not all of the list"), turn);
        }
        self.judge_resources(&list, users, turn);
    }

    fn judge_resources(&mut self, list: &List<'_>, users: &mut Users, turn: &mut Turn<'_>) {
        for resource in &list.resources {
            let user = turn.plan.names().presentity_of_uri(resource.uri);
            let user = user.map(UserKey::from_number);
            let member = user.and_then(|user| {
                let place = turn.plan.place_in_list(self.key, user)?;
                Some((user, place as usize))
            });
            let Some((user, place)) = member else {
                self.fault(Fault::Wrong("a resource of no list"), turn);
                continue;
            };
            let Some(body) = resource.document else {
                continue;
            };
            let Some(document) = dialog_info::scan(body) else {
                self.fault(Fault::Wrong("a document in a list"), turn);
                continue;
            };
            let of_user = UserDocument {
                user,
                place,
                document,
            };
            if !self.is_old_in_list(&of_user, turn) {
                self.judge_lamp(&of_user, users, turn);
            }
        }
    }

    /// Checks the version of a document in a list. Returns whether the document must be ignored.
    /// The server is free to choose the first version of a list's documents and to skip versions.
    fn is_old_in_list(&mut self, of_user: &UserDocument<'_>, turn: &mut Turn<'_>) -> bool {
        let sight = &mut self.sights[of_user.place];
        match sight.take_version(of_user.document.version) {
            Version::Next | Version::Gap(_) | Version::BadStart => false,
            Version::Again if self.subscription.may_repeat() => false,
            version => self.is_refused(version, turn),
        }
    }

    /// Counts the fault of a version. Returns whether the document must be ignored.
    fn is_refused(&self, version: Version, turn: &mut Turn<'_>) -> bool {
        let (fault, is_refused) = match version {
            Version::Next => return false,
            Version::Gap(skipped) => (Fault::Lost(skipped), false),
            Version::BadStart => (Fault::Wrong("the first version"), false),
            Version::Again => (Fault::Duplicate, true),
            Version::Older => (Fault::Stale, true),
        };
        self.fault(fault, turn);
        is_refused
    }

    /// Checks the lamp that a user's document shows.
    fn judge_lamp(&mut self, of_user: &UserDocument<'_>, users: &mut Users, turn: &mut Turn<'_>) {
        let UserDocument {
            user,
            place,
            document,
        } = of_user;
        if document.entity != users.entity(*user).as_bytes() {
            return self.fault(Fault::Wrong("the entity"), turn);
        }
        if !document.full {
            return self.fault(Fault::Wrong("a partial document"), turn);
        }
        let sight = &mut self.sights[*place];
        match users.see(*user, sight, document, turn.plan) {
            Shown::First if !turn.plan.is_of_lists() => self.subscription.end_repeats(),
            Shown::First | Shown::Uncertain => {}
            Shown::Newer {
                superseded,
                since,
                first,
                last,
            } => {
                turn.tally().lamps += 1;
                turn.tally().superseded += u64::from(superseded);
                if turn.stage == Stage::Drain {
                    turn.results.caught_up = Some(turn.now);
                }
                if let Some(since) = since {
                    record_lamp(since, first, last, turn);
                }
            }
            Shown::Same => self.judge_repeat(turn),
            Shown::Older => self.fault(Fault::Stale, turn),
            Shown::Unknown => self.fault(Fault::Wrong("a lamp that was never reported"), turn),
        }
    }

    /// A document shows the state that the sight already shows.
    fn judge_repeat(&mut self, turn: &mut Turn<'_>) {
        let is_allowed = self.subscription.may_repeat();
        // A list's full state may come in several parts.
        if !turn.plan.is_of_lists() {
            self.subscription.end_repeats();
        }
        if !is_allowed {
            self.fault(Fault::Duplicate, turn);
        }
    }

    /// Counts a fault of this NOTIFY.
    pub(super) fn fault(&self, fault: Fault, turn: &mut Turn<'_>) {
        let tally = turn.tally();
        match fault {
            Fault::Lost(skipped) => tally.lost += u64::from(skipped),
            Fault::Duplicate => tally.duplicate += 1,
            Fault::Stale => tally.stale += 1,
            Fault::OutOfOrder => tally.out_of_order += 1,
            Fault::Wrong(_) => tally.wrong += 1,
        }
        let (key, sequence) = (self.key, self.notify.sequence);
        tally.example(|| format!("subscription {key}, CSeq {sequence}: {fault:?}"));
    }
}

/// Records the latency of a lamp that was due at `since`.
fn record_lamp(since: Instant, is_first: bool, is_last: bool, turn: &mut Turn<'_>) {
    turn.record(Measure::Lamp, since);
    if is_first {
        turn.record(Measure::LampFirst, since);
    }
    if is_last {
        turn.record(Measure::LampLast, since);
    }
}
