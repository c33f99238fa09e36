//! The records of the node on their way to the store. If the node is synced, nothing that acknowledges
//! a record may leave before the record is durable.

use super::{World, presentity_of};
use crate::crash_plan::StoreFault;
use crate::network::Event;
use crate::store::{Judged, tag_in};
use lamplighter::record::presentity::aor_of;
use lamplighter::shard::{Outbox, RecordKey};

impl World {
    /// Hands the records of a turn to the store.
    pub(super) fn keep_records(&mut self, shard: u16, outbox: &Outbox) {
        let Some(plan) = self.bench.net.plan.store.clone() else {
            if !outbox.records.is_empty() {
                self.fail("a record without a store", format!("{:?}", outbox.records));
            }
            return;
        };
        self.store.note_changes(&outbox.changes);
        if outbox.records.is_empty() {
            return;
        }
        let now = self.bench.net.now;
        let was_waiting = self.store.has_waiting();
        let mut number = 0;
        for change in &outbox.records {
            let octets = outbox.octets_of(change);
            let judged = match change.key {
                RecordKey::Presentity(key) => self.judge_presentity_record(key, octets),
                // That they come back, the documents of the presentity's phone are judged by.
                RecordKey::Waiting(_) => None,
                RecordKey::Dialog(place) => self.judge_dialog_record(place, octets),
            };
            let (key, octets) = (change.key, octets.map(<[u8]>::to_vec));
            self.note(octets.as_deref().unwrap_or_default(), || {
                let octets = octets.as_ref().map(Vec::len);
                format!("shard {shard} -> store: {key:?} {octets:?}")
            });
            number = self.store.write((shard, now), key, octets, judged);
        }
        if number != outbox.recorded_through {
            let detail = format!("{} is the record {number}", outbox.recorded_through);
            self.fail("records are not numbered in sequence", detail);
        }
        if plan.fault == Some(StoreFault::ReportsEarly) {
            let now = self.bench.net.now;
            self.bench
                .net
                .schedule(now, Event::Durable { shard, number });
        }
        if !was_waiting {
            self.schedule_commit();
        }
    }

    fn schedule_commit(&mut self) {
        let net = &mut self.bench.net;
        let commit_max = net.plan.store.as_ref().map_or(0, |plan| plan.commit_max);
        let at = net.now + net.rng.below(commit_max + 1);
        net.schedule(at, Event::Commit);
    }

    /// The store commits waiting records, and reports them as durable.
    pub(super) fn commit(&mut self) {
        let now = self.bench.net.now;
        let durable = self.store.commit(now, &mut self.bench.net.rng);
        self.clocks.note(now);
        let plan = self.bench.net.plan.store.as_ref();
        let report_max = plan.map_or(0, |plan| plan.report_max);
        for (shard, number) in durable {
            self.note(&[], || format!("store -> shard {shard}: durable {number}"));
            let net = &mut self.bench.net;
            let at = net.now + net.rng.below(report_max + 1);
            net.schedule(at, Event::Durable { shard, number });
        }
        if self.store.has_waiting() {
            self.schedule_commit();
        }
    }

    /// Judges the record, or removal, of a presentity. Returns its state in the model.
    fn judge_presentity_record(&mut self, key: u64, octets: Option<&[u8]>) -> Option<Judged> {
        let now = self.bench.net.now;
        if let Some(octets) = octets {
            let Ok(aor) = aor_of(octets) else {
                self.fail("a record without an address", format!("{key}"));
                return None;
            };
            let presentity = presentity_of(&format!("sip:{aor}"))?;
            self.recorded.insert(key, presentity);
        }
        let Some(&presentity) = self.recorded.get(&key) else {
            self.fail(
                "the removal of a record that was never written",
                format!("{key}"),
            );
            return None;
        };
        if presentity >= self.bench.net.plan.presentities {
            // What connectors said is judged once their PBXs are heard again.
            return None;
        }
        if octets.is_none() && !self.bench.model.is_blank(now, presentity) {
            self.fail(
                "a presentity with state loses its record",
                format!("{presentity}"),
            );
        }
        let (revision, saved) = self.bench.model.save(presentity);
        Some(Judged::Presentity {
            presentity,
            revision,
            saved,
        })
    }

    /// Judges the record, or removal, of a dialog. Returns what is agreed with its phone.
    fn judge_dialog_record(&mut self, place: u32, octets: Option<&[u8]>) -> Option<Judged> {
        let now = self.bench.net.now;
        let Some(octets) = octets else {
            match self.recorded_tags.get(&place) {
                Some(tag) => {
                    self.bench.checker.recorded(now, tag, true);
                }
                None => self.fail(
                    "the removal of a record that was never written",
                    format!("{place}"),
                ),
            }
            return None;
        };
        let Some(tag) = tag_in(octets, place) else {
            self.fail("the record of a dialog without its tag", format!("{place}"));
            return None;
        };
        let agreed = self.bench.checker.recorded(now, &tag, false);
        self.recorded_tags.insert(place, tag);
        agreed.map(Judged::Dialog)
    }

    /// A 2xx to a SUBSCRIBE leaves, which is no copy: its record is durable.
    pub(super) fn judge_subscribe_durable(&mut self, key: &str, expires: u64) {
        if !self.bench.net.plan.is_synced() {
            return;
        }
        let tag = key.rsplit(' ').next().unwrap_or_default();
        let is_refresh = expires > 0 && self.bench.checker.knows(key);
        // It may have ended again before.
        let is_durable = match expires {
            0 => !self.store.holds_dialog(tag),
            _ => self.store.had_dialog(tag),
        };
        if !is_refresh && !is_durable {
            let invariant = "a 2xx to SUBSCRIBE leaves before its record is durable";
            self.fail(invariant, format!("{key}, {expires} s"));
        }
    }

    /// A change of a presentity is acknowledged: its record is durable.
    pub(super) fn judge_change_durable(&mut self, change: Option<(usize, u64)>, what: &str) {
        let Some((presentity, revision)) = change.filter(|_| self.bench.net.plan.is_synced())
        else {
            return;
        };
        let durable = self.store.revision_of(presentity);
        if durable < revision {
            let invariant = "a change is acknowledged before its record is durable";
            let detail = format!("{what}: change {revision} of {presentity}, durable {durable}");
            self.fail(invariant, detail);
        }
    }
}
