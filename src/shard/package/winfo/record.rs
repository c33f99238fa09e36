//! Records of waiting watchers, which may wait for two weeks: written at the end of the turn in which a
//! watcher begins to wait, or waits no more.

use std::borrow::Cow;
use std::sync::Arc;

use crate::presence::event::{WatcherEvent, WatcherInfo, WatcherStatus};
use crate::presence::policy::Handling;
use crate::record::waiting::{WaitingRecord, number_of};
use crate::shard::contract::commit::RecordKey;
use crate::shard::contract::turn::Turn;
use crate::shard::package::winfo::{WAITING_MAX, WaitingWatcher, WatcherInfos};

impl WatcherInfos {
    /// A watcher begins to wait, or waits no more.
    pub(super) fn mark(&mut self, id: u64) {
        if self.is_recording {
            self.marked.push(id);
        }
    }

    /// Writes the records of the watchers that changed in this turn.
    pub(crate) fn write_records(&mut self, turn: &mut Turn<'_>) {
        for id in std::mem::take(&mut self.marked) {
            let waiting = self.waiting.iter().find(|waiting| waiting.info.id == id);
            let octets = waiting.map(|waiting| {
                let start = turn.out.arena.len();
                let record = waiting.record();
                record.encode(turn.clock(), &mut turn.out.arena);
                start..turn.out.arena.len()
            });
            let key = RecordKey::Waiting(number_of(id));
            turn.commits.record(key, octets, turn.out);
        }
    }

    /// Recovers a waiting watcher. Its record is removed if it cannot be decoded, or if the watcher gave
    /// up or was decided about meanwhile.
    pub(crate) fn recover(&mut self, number: u64, octets: &[u8], turn: &mut Turn<'_>) {
        let record = WaitingRecord::decode(octets, turn.clock());
        let record = record.ok().filter(|it| number_of(it.id) == number);
        let Some(record) = record else {
            turn.counters.records_unreadable += 1;
            turn.commits
                .record(RecordKey::Waiting(number), None, turn.out);
            return;
        };
        let waiting = WaitingWatcher::recovered(&record);
        let is_waiting = waiting.until > turn.now
            && turn.directory.exists(&waiting.topic.0)
            && waiting.decide(turn).handling == Handling::Confirm;
        if !is_waiting || self.waiting.len() >= WAITING_MAX {
            turn.counters.records_obsolete += 1;
            return self.mark(record.id);
        }
        let place = self
            .waiting
            .partition_point(|other| other.until <= waiting.until);
        self.waiting.insert(place, waiting);
    }
}

impl WaitingWatcher {
    fn record(&self) -> WaitingRecord<'_> {
        let (aor, package) = &self.topic;
        WaitingRecord {
            id: self.info.id,
            aor: aor.clone(),
            package: *package,
            uri: Cow::Borrowed(&self.info.uri),
            display: Cow::Borrowed(self.info.display.as_deref().unwrap_or_default()),
            peer: self.peer,
            until: self.until,
            voucher: self.voucher.as_deref().map(Cow::Borrowed),
        }
    }

    fn recovered(record: &WaitingRecord<'_>) -> Self {
        let display = Some(&*record.display).filter(|display| !display.is_empty());
        Self {
            topic: (record.aor.clone(), record.package),
            peer: record.peer,
            voucher: record.voucher.as_deref().map(Arc::from),
            info: WatcherInfo {
                id: record.id,
                status: WatcherStatus::Waiting,
                event: WatcherEvent::Timeout,
                uri: (&*record.uri).into(),
                display: display.map(Box::from),
            },
            until: record.until,
        }
    }
}
