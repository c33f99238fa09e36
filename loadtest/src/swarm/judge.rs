//! What the body of a NOTIFY says: documents and lists, their versions, the lamps they show.

use std::time::Duration;
use std::time::Instant;

use super::Stage;
use super::Swarm;
use super::presentity::Shown;
use super::subscription::Version;
use super::subscription::take_version;
use crate::measure::latency::Measure;
use crate::scenario::FirstVersion;
use crate::wire::dialog_info;
use crate::wire::dialog_info::DialogInfo;
use crate::wire::message::Incoming;
use crate::wire::rlmi;

/// A fault that a NOTIFY was found with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Lost(u32),
    Duplicate,
    Stale,
    OutOfOrder,
    Wrong(&'static str),
}

impl Swarm {
    pub(super) fn judge_document(&mut self, number: u32, notify: &Incoming<'_>, now: Instant) {
        let is_type = notify
            .content_type
            .eq_ignore_ascii_case(b"application/dialog-info+xml");
        let document = dialog_info::scan(notify.body).filter(|_| is_type);
        let Some(document) = document else {
            self.fault(Fault::Wrong("the document"), number, notify);
            return;
        };
        let sight = &mut self.sights[number as usize];
        match take_version(&mut sight.version, document.version) {
            Version::Next => {}
            Version::Gap(skipped) => self.fault(Fault::Lost(skipped), number, notify),
            Version::BadStart if self.scenario.first_version == FirstVersion::Any => {}
            Version::BadStart => self.fault(Fault::Wrong("the first version"), number, notify),
            Version::Again => return self.fault(Fault::Duplicate, number, notify),
            Version::Older => return self.fault(Fault::Stale, number, notify),
        }
        self.judge_sight(number, 0, &document, notify, now);
    }

    pub(super) fn judge_list(
        &mut self,
        number: u32,
        first: bool,
        notify: &Incoming<'_>,
        now: Instant,
    ) {
        let list = match rlmi::scan(notify.content_type, notify.body) {
            Ok(list) => list,
            Err(fault) => {
                self.tally
                    .example(|| format!("subscription {number}: no list: {fault:?}"));
                self.fault(Fault::Wrong("the list"), number, notify);
                return;
            }
        };
        let version = &mut self.subscriptions[number as usize].list_version;
        match take_version(version, list.version) {
            Version::Next => {}
            Version::Gap(skipped) => self.fault(Fault::Lost(skipped), number, notify),
            Version::BadStart => self.fault(Fault::Wrong("the first version"), number, notify),
            Version::Again => return self.fault(Fault::Duplicate, number, notify),
            Version::Older => return self.fault(Fault::Stale, number, notify),
        }
        if list.uri != self.asked_uri(number).as_bytes() {
            self.fault(Fault::Wrong("the list's uri"), number, notify);
        }
        let size = self.scenario.list_size as usize;
        if (first && !list.full) || (list.full && list.resources.len() != size) {
            self.fault(Fault::Wrong("not all of the list"), number, notify);
        }
        let presentities = self.scenario.presentities;
        let begin = self.watched(number, 0);
        for resource in &list.resources {
            let user = self.names.presentity_of_uri(resource.uri);
            let place = user.map(|user| (user + presentities - begin) % presentities);
            let Some(place) = place.filter(|place| (*place as usize) < size) else {
                self.fault(Fault::Wrong("a resource of no list"), number, notify);
                continue;
            };
            let Some(body) = resource.document else {
                continue;
            };
            let Some(document) = dialog_info::scan(body) else {
                self.fault(Fault::Wrong("a document in a list"), number, notify);
                continue;
            };
            let at = self.places(number).start + place as usize;
            match take_version(&mut self.sights[at].version, document.version) {
                // Where a list's documents begin, and what they skip, is the server's affair.
                Version::Next | Version::Gap(_) | Version::BadStart => {}
                Version::Again if self.subscriptions[number as usize].may_repeat => {}
                Version::Again => {
                    self.fault(Fault::Duplicate, number, notify);
                    continue;
                }
                Version::Older => {
                    self.fault(Fault::Stale, number, notify);
                    continue;
                }
            }
            self.judge_sight(number, place, &document, notify, now);
        }
    }

    /// What one user's document shows at one place of a subscription.
    fn judge_sight(
        &mut self,
        number: u32,
        place: u32,
        document: &DialogInfo<'_>,
        notify: &Incoming<'_>,
        now: Instant,
    ) {
        let watched = self.watched(number, place) as usize;
        let presentity = &mut self.presentities[watched];
        if document.entity != presentity.entity.as_bytes() {
            return self.fault(Fault::Wrong("the entity"), number, notify);
        }
        if !document.full {
            return self.fault(Fault::Wrong("a partial document"), number, notify);
        }
        let call = self.names.call_of_call_id(document.call_id);
        let at = number as usize * self.scenario.sights_per_subscription() as usize;
        let sight = &mut self.sights[at + place as usize];
        match presentity.see(sight, document.lamp, call) {
            Shown::First if self.scenario.list_size == 0 => {
                self.subscriptions[number as usize].may_repeat = false;
            }
            Shown::First | Shown::Uncertain => {}
            Shown::Newer {
                superseded,
                since,
                first,
                last,
            } => {
                self.tally.lamps += 1;
                self.tally.superseded += u64::from(superseded);
                if self.load_ended.is_some() && self.stage == Stage::Drain {
                    self.caught_up = Some(now);
                }
                if let Some(since) = since {
                    self.time_lamp(now.saturating_duration_since(since), first, last);
                }
            }
            Shown::Same => {
                let subscription = &mut self.subscriptions[number as usize];
                let allowed = match self.scenario.list_size {
                    0 => std::mem::take(&mut subscription.may_repeat),
                    // A list's full state may come in several parts.
                    _ => subscription.may_repeat,
                };
                if !allowed {
                    self.fault(Fault::Duplicate, number, notify);
                }
            }
            Shown::Older => self.fault(Fault::Stale, number, notify),
            Shown::Unknown => self.fault(Fault::Wrong("a lamp that nobody told"), number, notify),
        }
    }

    fn time_lamp(&mut self, latency: Duration, first: bool, last: bool) {
        self.latencies.record(Measure::Lamp, latency);
        if first {
            self.latencies.record(Measure::LampFirst, latency);
        }
        if last {
            self.latencies.record(Measure::LampLast, latency);
        }
    }

    pub(super) fn fault(&mut self, fault: Fault, number: u32, notify: &Incoming<'_>) {
        match fault {
            Fault::Lost(skipped) => self.tally.lost += u64::from(skipped),
            Fault::Duplicate => self.tally.duplicate += 1,
            Fault::Stale => self.tally.stale += 1,
            Fault::OutOfOrder => self.tally.out_of_order += 1,
            Fault::Wrong(_) => self.tally.wrong += 1,
        }
        let sequence = notify.sequence;
        self.tally
            .example(|| format!("subscription {number}, CSeq {sequence}: {fault:?}"));
    }
}
