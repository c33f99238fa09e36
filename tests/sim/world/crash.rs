//! The node crashes, starts again, and gets its records back while the network goes on.

use super::{Context, World};
use crate::crash_plan::CrashPlan;
use crate::invariants::restart::Kept;
use crate::network::{Event, MILLISECOND, Micros, SECOND};
use crate::store::{Judged, Row, place_of, tag_in};
use crate::world::lists::ListRecord;
use crate::world::node::core;
use lamplighter::presence::wall_clock::WallClock;
use lamplighter::shard::{Input, RecordKey, Recovered, recovering_shard};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// How long after its recovery the node may refuse a refresh over a stream. As long as too many others
/// wait for their dialogs, it cannot know whether it has the dialog; over UDP it leaves the refresh
/// without an answer, so that the phone repeats it.
const REFUSAL_LIFE: Micros = 5 * SECOND;
/// Longest time until a dialog that a shard asked for comes back.
const BRING_MAX: Micros = 20 * MILLISECOND;

impl World {
    /// The crashes of the chaos.
    pub(super) fn schedule_crashes(&mut self) {
        let Some(plan) = self.bench.net.plan.store.clone() else {
            return;
        };
        for at in plan.crashes {
            self.bench.net.schedule(at, Event::Crash);
        }
    }

    /// The calm begins: in some runs it crashes once more.
    pub(super) fn schedule_last_crash(&mut self) {
        let plan = self.bench.net.plan.store.as_ref();
        if let Some(after) = plan.and_then(|plan| plan.crash_in_calm) {
            let at = self.bench.net.now + after;
            self.bench.net.schedule(at, Event::Crash);
        }
    }

    /// Everything that is not committed is gone, and so is the mail between shards.
    pub(super) fn crash(&mut self) {
        let Some(plan) = self.bench.net.plan.store.clone() else {
            return;
        };
        if !self.bench.net.is_up {
            return;
        }
        self.note(&[], || "--- the node crashes".to_owned());
        let now = self.bench.net.now;
        self.crashes += 1;
        for connection in self.bench.net.crash() {
            self.bench.checker.stream_closed(now, connection);
        }
        if plan.loses_notes {
            self.store.lose_notes();
            self.lose_changes();
        }
        let lost = self.store.crash(now, &mut self.bench.net.rng);
        if let Some(fault) = plan.fault {
            self.store.fail(fault, &mut self.bench.net.rng);
        }
        self.judge_kept(&lost);
        self.count_notified();
        self.cores.clear();
        self.waiting.clear();
        self.commands.clear();
        self.lists.values_mut().for_each(ListRecord::forget);
        self.recovery.clear();
        self.bench.model.forget(now);
        let down = self
            .bench
            .net
            .rng
            .between(CrashPlan::DOWN_MIN, plan.down_max);
        self.bench.net.schedule(now + down, Event::Start);
    }

    /// Changes whose records are not durable may have been shown, and nothing tells the new process.
    fn lose_changes(&mut self) {
        let now = self.bench.net.now;
        let hold_max = self
            .bench
            .net
            .plan
            .store
            .as_ref()
            .map_or(0, CrashPlan::hold_max);
        let from = now.saturating_sub(hold_max + SECOND);
        for presentity in 0..self.bench.net.plan.presentities {
            let durable = self.store.revision_of(presentity);
            self.bench.model.lose(presentity, durable, (from, now));
        }
    }

    /// Adds up how many recovered subscriptions got no NOTIFY, before the counters are gone.
    pub(super) fn count_notified(&mut self) {
        for core in &self.cores {
            let counters = core.shard.counters();
            self.known += counters.subscriptions_known;
            self.notified_again += counters.subscriptions_notified_again;
        }
    }

    /// What the store kept is what it must have kept. The checker knows what to expect of it.
    fn judge_kept(&mut self, lost: &HashSet<RecordKey>) {
        let now = self.bench.net.now;
        let store = &self.store;
        let kept = |tag: &str| {
            let is_older = place_of(tag).is_some_and(|it| lost.contains(&RecordKey::Dialog(it)));
            match store.holds_dialog(tag) {
                true if is_older => Kept::Older(store.agreed(tag)),
                true => Kept::Newest,
                false => Kept::Nothing,
            }
        };
        let is_synced = self.bench.net.plan.is_synced();
        self.bench.checker.crashed(now, is_synced, kept);
        let mut seen = HashSet::new();
        let mut twice = None;
        for (key, row) in self.store.rows() {
            if let RecordKey::Dialog(place) = key
                && let Some(tag) = tag_in(&row.octets, place)
            {
                if !self.bench.checker.knows_tag(&tag) {
                    self.bench.checker.expect_orphan(&tag);
                }
                // A younger dialog at that place was not committed: it is gone.
                self.recorded_tags.insert(place, tag);
            }
            if let Some(Judged::Presentity { presentity, .. }) = &row.judged
                && !seen.insert(*presentity)
            {
                twice = Some(format!("{key:?}"));
            }
        }
        if let Some(detail) = twice {
            self.fail("two records of one presentity", detail);
        }
    }

    /// New shards begin at the same addresses, perhaps another number of them.
    pub(super) fn start(&mut self) {
        let shards = match self.bench.net.rng.chance(500) {
            true => self.bench.net.rng.between(1, 3) as u16,
            false => self.bench.net.plan.shards,
        };
        self.note(&[], || format!("--- the node starts with {shards} shards"));
        let net = &mut self.bench.net;
        net.plan.shards = shards;
        net.is_up = true;
        net.troubled_until = Micros::MAX;
        let directory = self.bench.realms.newest().directory(&net.plan);
        let since = net.now / SECOND;
        let clock = WallClock {
            at: self.start + Duration::from_millis(net.now / MILLISECOND),
            unix_milliseconds: self.clocks.start(net.now),
        };
        let process = (self.start, since, net.process);
        let core = |id| core(id, &net.plan, process, clock, &directory);
        self.cores = (0..shards).map(core).collect();
        self.postponed = vec![VecDeque::new(); shards.into()];
        self.store.open(shards);
        self.early.begin(&self.bench.net.plan);
        for shard in 0..shards {
            self.reread(shard);
        }
        let rows: Vec<_> = self
            .store
            .rows()
            .map(|(key, row)| (key, row.clone()))
            .collect();
        let (mut dialogs_end, mut presentities_end) = (0, 0);
        for (key, _) in &rows {
            match *key {
                RecordKey::Dialog(place) => dialogs_end = dialogs_end.max(place + 1),
                RecordKey::Waiting(_) => {}
                RecordKey::Presentity(number) => {
                    presentities_end = presentities_end.max(number + 1);
                }
            }
        }
        self.recovery = self.in_some_order(rows);
        let begin = Recovered::Begin {
            dialogs_end,
            presentities_end,
            committed_at: self
                .store
                .committed_at()
                .map(|at| self.start + Duration::from_micros(at)),
        };
        let changes = self.store.noted_changes().to_vec();
        for shard in 0..shards {
            self.give(shard, Input::Recovered(begin), &Context::Other);
            let changes = Input::Recovered(Recovered::Changes(&changes));
            self.give(shard, changes, &Context::Other);
        }
        self.recover();
        let store = self.bench.net.plan.store.as_ref();
        if let Some(within) = store.and_then(|store| store.noticed_within) {
            self.each_phone(|phone, bench| phone.notice_restart(within, bench));
            self.each_source(|source, bench| source.notice_restart(within, bench));
        }
    }

    /// All presentities and waiting watchers, then all dialogs; each in a random order.
    fn in_some_order(&mut self, rows: Vec<(RecordKey, Row)>) -> VecDeque<(RecordKey, Row)> {
        let rng = &mut self.bench.net.rng;
        let place = |key: &RecordKey| matches!(key, RecordKey::Dialog(_));
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|(key, row)| ((place(&key), rng.next()), key, row))
            .collect();
        rows.sort_by_key(|(order, ..)| *order);
        rows.into_iter().map(|(_, key, row)| (key, row)).collect()
    }

    /// Some of the records come back.
    pub(super) fn recover(&mut self) {
        let Some(plan) = self.bench.net.plan.store.clone() else {
            return;
        };
        for _ in 0..plan.portion {
            let Some((key, row)) = self.recovery.pop_front() else {
                return self.end_recovery();
            };
            self.recover_row(key, &row);
        }
        let after = self.bench.net.rng.below(plan.portion_every + 1);
        let at = self.bench.net.now + after;
        self.bench.net.schedule(at, Event::Recover);
    }

    /// A shard asks for the dialog at a place.
    pub(super) fn bring_soon(&mut self, place: u32) {
        let net = &mut self.bench.net;
        let at = net.now + net.rng.below(BRING_MAX);
        net.schedule(at, Event::Bring { place });
    }

    /// The dialog that a shard asked for comes back before the others, once all presentities are back.
    /// In some runs the reader of the others has read it already: it comes a second time then.
    pub(super) fn bring(&mut self, place: u32) {
        let is_early = |(key, _): &(RecordKey, Row)| !matches!(key, RecordKey::Dialog(_));
        if self.recovery.front().is_some_and(is_early) {
            return self.bring_soon(place);
        }
        let key = RecordKey::Dialog(place);
        let mut rest = self.recovery.iter();
        let row = match rest.position(|(of_row, _)| *of_row == key) {
            Some(at) if self.bench.net.rng.chance(500) => self.recovery.remove(at),
            Some(at) => self.recovery.get(at).cloned(),
            None => self.store.row(key).map(|row| (key, row.clone())),
        };
        match row {
            Some((_, row)) => self.recover_row(key, &row),
            None => self.have_none(place),
        }
    }

    /// There is no record of the dialog at a place.
    fn have_none(&mut self, place: u32) {
        let key = RecordKey::Dialog(place);
        if let Some(shard) = recovering_shard(key, &[], self.bench.net.plan.shards) {
            self.early.end(shard.0);
            self.note(&[], || format!("shard {} <- no {key:?}", shard.0));
            let absent = Recovered::Absent(place);
            self.give(shard.0, Input::Recovered(absent), &Context::Other);
        }
    }

    fn recover_row(&mut self, key: RecordKey, row: &Row) {
        let now = self.bench.net.now;
        if let Some(Judged::Presentity {
            presentity, saved, ..
        }) = &row.judged
        {
            self.bench.model.restore(now, *presentity, saved);
        }
        let Some(shard) = recovering_shard(key, &row.octets, self.bench.net.plan.shards) else {
            return self.fail("a record that no shard can read", format!("{key:?}"));
        };
        self.recovered += 1;
        if matches!(key, RecordKey::Dialog(_)) {
            self.early.end(shard.0);
        }
        self.note(&row.octets, || format!("shard {} <- {key:?}", shard.0));
        let record = Recovered::Record(key, &row.octets);
        self.give(shard.0, Input::Recovered(record), &Context::Other);
    }

    fn end_recovery(&mut self) {
        self.note(&[], || "--- all records are back".to_owned());
        let now = self.bench.net.now;
        for shard in 0..self.bench.net.plan.shards {
            self.early.end(shard);
            self.give(shard, Input::Recovered(Recovered::End), &Context::Other);
        }
        self.store.end_recovery();
        self.bench.net.troubled_until = now + REFUSAL_LIFE;
        self.recovered_at = now;
        self.unsettle_all();
        self.bench.checker.recovered(now);
    }

    /// Whether the node is down, or does not have all its records yet.
    pub(super) fn is_recovering(&self) -> bool {
        !self.bench.net.is_up || self.bench.net.troubled_until == Micros::MAX
    }
}
