//! The writer: a thread that commits the batches of all shards in groups.
//!
//! A group is all batches that wait when a commit begins: one when the store is idle, which is
//! committed at once, hundreds when the disk is slow. Commits begin half a millisecond apart at least:
//! each costs the processor and the disk about as much as the writing of a hundred records. So a record
//! waits for at most two commits, the one in progress and its own, and for the rest of that time.
//!
//! While the disk fails, the writer keeps the newest change of each row and tries again every second.
//! When the disk works again, one transaction brings the file up to date. While the disk does not
//! answer at all, the writer hangs, and the watchdog stands in for it.

mod counters;

use std::collections::HashSet;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use rusqlite::Connection;

use crate::store::batch::{Batch, Change};
use crate::store::change_notes::ChangeNotes;
use crate::store::checkpoint::Requester;
use crate::store::clock::{Noted, RecordClock};
use crate::store::error::StoreError;
use crate::store::intake::{Health, Intake};
use crate::store::log;
use crate::store::schema::Table;
use crate::store::state_file::{Open, StateFile};
use crate::store::unwritten::Unwritten;

/// Batches that may wait for the writer, of all shards together. A shard whose batch finds no room
/// keeps it and hands it over later.
const QUEUE_BATCHES: usize = 1024;
/// Empty batches kept for each shard.
const SPARE_BATCHES: usize = 16;
/// Shortest time from the beginning of a commit to that of the next.
const COMMIT_INTERVAL: Duration = Duration::from_micros(500);
/// Time between two tries while the disk fails.
const RETRY: Duration = Duration::from_secs(1);
/// How long a commit may take before the disk counts as failing.
const PATIENCE: Duration = Duration::from_secs(3);

/// Called with a shard whose durable number rose.
pub(super) type Wake = dyn Fn(u16) + Send + Sync;
/// How often an idle writer looks whether the system's clock was set.
const CLOCK_WATCH: Duration = Duration::from_secs(10);

/// Whether records count as durable while the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They do: the server continues as if it had no store.
    Memory,
    /// They do not: acknowledgements wait for the disk, and the server refuses new requests.
    Refuse,
}

/// What the shards and the writer share.
#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Batch>,
    spare: Box<[ArrayQueue<Batch>]>,
    durable: Box<[CachePadded<AtomicU64>]>,
    is_failing: AtomicBool,
    is_stopping: AtomicBool,
    on_failure: OnFailure,
    intake: Mutex<Intake>,
    commits: AtomicU64,
    rows: AtomicU64,
    rows_impossible: AtomicU64,
}

/// A shard's end of the store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreHandle {
    shared: Arc<Shared>,
    file: Arc<StateFile>,
    notes: Arc<ChangeNotes>,
    writer: Thread,
}

impl StoreHandle {
    /// An empty batch for a shard, with the buffers of an earlier one if there is one.
    #[must_use]
    pub fn batch(&self, shard: u16) -> Batch {
        let spare = self.shared.spare.get(usize::from(shard));
        let mut batch = spare.and_then(ArrayQueue::pop).unwrap_or_default();
        batch.shard = shard;
        batch
    }

    /// Hands a batch over. Returns it if the queue is full. Makes a system call only if the writer
    /// sleeps.
    pub fn submit(&self, batch: Batch) -> Result<(), Batch> {
        self.shared.queue.push(batch)?;
        self.writer.unpark();
        Ok(())
    }

    /// Notes changes, each by the hash of the presentity's address and its time, where they outlive the
    /// process, before watchers are notified of them. Makes a system call for up to 256, and waits for no disk.
    pub fn note_changes(&self, shard: u16, changes: impl Iterator<Item = (u64, i64)>) {
        self.notes.note(shard, changes);
    }

    /// Removes rows that no server can have written; counted.
    pub(super) fn remove(&self, table: Table, keys: &HashSet<i64>) {
        let rows = &self.shared.rows_impossible;
        rows.fetch_add(keys.len() as u64, Ordering::Relaxed);
        let mut batch = self.batch(0);
        keys.iter().for_each(|key| batch.remove(table, *key));
        let mut refused = self.submit(batch);
        while let Err(batch) = refused {
            thread::sleep(Duration::from_millis(1));
            refused = self.submit(batch);
        }
    }

    /// The sequence number up to which the rows of a shard are durable.
    #[must_use]
    pub fn durable(&self, shard: u16) -> u64 {
        let durable = self.shared.durable.get(usize::from(shard));
        durable.map_or(0, |durable| durable.load(Ordering::Acquire))
    }

    /// Whether the last commit failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing.load(Ordering::Acquire)
    }

    /// Whether what needs the disk is to be refused.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.is_failing() && self.shared.on_failure == OnFailure::Refuse
    }

    /// How the store is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.intake().health()
    }

    /// Whether the disk takes commits: the last one has not failed, and none takes too long.
    pub(super) fn can_commit(&self) -> bool {
        !self.shared.intake().has_failed
    }

    /// Does for a writer that hangs what needs no disk.
    pub(super) fn stand_in(&self, wake: &Wake) {
        let mut intake = self.shared.intake();
        let hangs_for = intake.commit_began.map(|began| began.elapsed());
        let Some(hangs_for) = hangs_for.filter(|time| *time >= PATIENCE) else {
            return;
        };
        while let Some(batch) = self.shared.queue.pop() {
            intake.note(&batch);
            intake.unwritten.keep(&batch);
            self.shared.give_back(batch);
        }
        intake.has_failed = true;
        if intake.failure.is_none() {
            tracing::error!("the disk of the store does not answer");
            let seconds = hangs_for.as_secs();
            intake.failure = Some(format!("the disk has not answered for {seconds} s"));
        }
        self.shared.publish(intake, wake);
    }

    /// Whether all that was handed over is committed.
    pub(super) fn is_idle(&self) -> bool {
        let intake = self.shared.intake();
        intake.commit_began.is_none() && intake.unwritten.is_empty() && self.shared.queue.is_empty()
    }
}

impl Shared {
    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the shards what they may know of the intake. While the store fails, nothing becomes durable,
    /// unless the server goes on in memory.
    fn publish(&self, mut intake: MutexGuard<'_, Intake>, wake: &Wake) {
        self.is_failing
            .store(intake.failure.is_some(), Ordering::Release);
        let is_durable = intake.unwritten.is_empty()
            && intake.commit_began.is_none()
            && intake.failure.is_none();
        let through = match is_durable || self.on_failure == OnFailure::Memory {
            true => intake.take_unpublished(),
            false => Vec::new(),
        };
        drop(intake);
        for (shard, through) in through {
            let durable = self.durable.get(usize::from(shard));
            debug_assert!(durable.is_some(), "a batch is of a shard of this server");
            if let Some(durable) = durable {
                durable.fetch_max(through, Ordering::Release);
                wake(shard);
            }
        }
    }

    fn give_back(&self, mut batch: Batch) {
        batch.clear();
        if let Some(spare) = self.spare.get(usize::from(batch.shard)) {
            // If there are enough already, this one is freed.
            let _freed = spare.push(batch);
        }
    }
}

/// The writer's thread.
#[derive(Debug)]
pub struct Writer {
    handle: StoreHandle,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread on a file, with a connection to it. `wake` is called with each shard of
    /// which more rows are durable.
    pub(super) fn start(
        (file, open, notes): (Arc<StateFile>, Open, Arc<ChangeNotes>),
        (shards, on_failure): (u16, OnFailure),
        clock: RecordClock,
        checkpoints: Requester,
        wake: Arc<Wake>,
    ) -> Result<Self, StoreError> {
        let writers = shards.saturating_add(1);
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE_BATCHES),
            spare: (0..writers)
                .map(|_| ArrayQueue::new(SPARE_BATCHES))
                .collect(),
            durable: (0..writers).map(|_| CachePadded::default()).collect(),
            is_failing: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            on_failure,
            intake: Mutex::new(Intake::new(shards)),
            commits: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            rows_impossible: AtomicU64::new(0),
        });
        let mut work = Work {
            file: Arc::clone(&file),
            open: Some(open),
            shared: Arc::clone(&shared),
            clock,
            checkpoints,
            is_recovering: true,
            has_failed: false,
            next_try: Instant::now(),
            next_commit: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || work.run(&*wake))
            .map_err(StoreError::io(file.path()))?;
        let handle = StoreHandle {
            shared,
            file,
            notes,
            writer: thread.thread().clone(),
        };
        Ok(Self { handle, thread })
    }

    /// A handle for a shard.
    pub(super) fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Commits all submitted batches, and ends the thread.
    pub(super) fn stop(self) {
        self.handle
            .shared
            .is_stopping
            .store(true, Ordering::Release);
        self.handle.writer.unpark();
        if self.thread.join().is_err() {
            tracing::error!("the writer thread of the store panicked");
        }
    }
}

/// The state of the thread.
#[derive(Debug)]
struct Work {
    file: Arc<StateFile>,
    /// None while the file cannot be opened.
    open: Option<Open>,
    shared: Arc<Shared>,
    clock: RecordClock,
    checkpoints: Requester,
    /// Whether a shard has not handed over everything that its recovery wrote.
    is_recovering: bool,
    /// Whether the last commit failed.
    has_failed: bool,
    next_try: Instant,
    /// When the next commit may begin.
    next_commit: Instant,
}

impl Work {
    fn run(&mut self, wake: &Wake) {
        let mut group = Vec::with_capacity(QUEUE_BATCHES);
        loop {
            let is_stopping = self.shared.is_stopping.load(Ordering::Acquire);
            self.gather();
            let unwritten = self.take(&mut group);
            let is_behind = !unwritten.is_empty();
            if group.is_empty() && (is_stopping || !is_behind || !self.is_due()) {
                self.put_back(unwritten);
                if is_stopping {
                    return self.give_up(wake);
                }
                self.sleep(is_behind);
                self.keep_time(wake);
                continue;
            }
            self.write(&mut group, unwritten);
            self.shared.publish(self.shared.intake(), wake);
        }
    }

    /// Waits until the next commit may begin. A batch that arrives meanwhile does not wake the thread.
    fn gather(&self) {
        if !self.shared.queue.is_empty() {
            thread::sleep(self.next_commit.saturating_duration_since(Instant::now()));
        }
    }

    /// Takes what is to be written: what waits in the queue, and what an earlier commit or the
    /// watchdog left.
    fn take(&mut self, group: &mut Vec<Batch>) -> Unwritten {
        let mut intake = self.shared.intake();
        while group.len() < QUEUE_BATCHES
            && let Some(batch) = self.shared.queue.pop()
        {
            intake.note(&batch);
            group.push(batch);
        }
        let unwritten = std::mem::take(&mut intake.unwritten);
        intake.rows_under_way = unwritten.len() + group.iter().map(Batch::len).sum::<usize>();
        intake.commit_began = (intake.rows_under_way > 0).then(Instant::now);
        self.is_recovering = intake.recovering > 0;
        unwritten
    }

    /// Ends what [`Self::take`] began; what is not written stays.
    fn put_back(&self, unwritten: Unwritten) {
        let mut intake = self.shared.intake();
        intake.unwritten.keep_older(unwritten);
        intake.commit_began = None;
        intake.rows_under_way = 0;
    }

    /// A last try at what could not be written.
    fn give_up(&mut self, wake: &Wake) {
        let mut none = Vec::new();
        let unwritten = self.take(&mut none);
        self.next_try = Instant::now();
        self.write(&mut none, unwritten);
        let rows = self.shared.intake().unwritten.len();
        if rows > 0 {
            tracing::error!(
                rows,
                "the store could not be written before the server ended: changes are lost"
            );
        }
        if self.file.is_in_doubt() {
            tracing::error!(
                "the server ended before the file of the store was replaced, which a failed write left in doubt"
            );
        }
        self.shared.publish(self.shared.intake(), wake);
    }

    /// Whether it is time to write the unwritten changes again.
    fn is_due(&self) -> bool {
        self.next_try <= Instant::now()
    }

    fn sleep(&self, is_behind: bool) {
        let time = if is_behind {
            self.next_try.saturating_duration_since(Instant::now())
        } else if self.shared.is_failing.load(Ordering::Acquire) {
            RETRY
        } else {
            CLOCK_WATCH
        };
        thread::park_timeout(time);
    }

    /// Notes where the clocks stand, while there is nothing to commit: if the system's clock was set,
    /// and until all phones have been notified of what was committed last.
    fn keep_time(&mut self, wake: &Wake) {
        let mut intake = self.shared.intake();
        let has_failed = self.has_failed || intake.failure.is_some() || self.file.is_in_doubt();
        if !has_failed && !self.clock.is_to_be_noted() {
            return;
        }
        if !self.shared.queue.is_empty() || !intake.unwritten.is_empty() {
            return;
        }
        intake.commit_began = Some(Instant::now());
        drop(intake);
        match self.commit(iter::empty()) {
            Ok(rows) => self.note_working(rows),
            Err(error) => self.fail(&error),
        }
        self.shared.intake().commit_began = None;
        // It may have failed, or have worked again, or the watchdog may have taken it for hanging.
        self.shared.publish(self.shared.intake(), wake);
    }

    /// Writes a group after what was left over, and gives its batches back.
    fn write(&mut self, group: &mut Vec<Batch>, mut unwritten: Unwritten) {
        self.clock.note_work();
        self.next_commit = Instant::now() + COMMIT_INTERVAL;
        let outcome = if unwritten.is_empty() && !self.has_failed {
            Some(self.commit(group.iter().flat_map(Batch::changes)))
        } else {
            group.iter().for_each(|batch| unwritten.keep(batch));
            self.is_due().then(|| self.commit(unwritten.changes()))
        };
        match outcome {
            Some(Ok(rows)) => {
                unwritten = Unwritten::default();
                self.succeed(rows);
            }
            Some(Err(error)) => {
                group.iter().for_each(|batch| unwritten.keep(batch));
                self.fail(&error);
            }
            None => {}
        }
        group
            .drain(..)
            .for_each(|batch| self.shared.give_back(batch));
        self.put_back(unwritten);
    }

    fn succeed(&mut self, rows: u64) {
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.rows.fetch_add(rows, Ordering::Relaxed);
        self.checkpoints.note_commit(rows as usize);
        self.note_working(rows);
    }

    /// A commit has worked: the store fails no longer, if nothing is left to be written and the file is
    /// not in doubt.
    fn note_working(&mut self, rows: u64) {
        self.has_failed = false;
        let mut intake = self.shared.intake();
        intake.has_failed = false;
        if self.file.is_in_doubt() {
            intake.failure = Some("a write failed: the file is being replaced".to_owned());
            return;
        }
        // Changes that came while the disk did not answer are written next.
        if intake.failure.is_some() && intake.unwritten.is_empty() {
            tracing::warn!(rows, "the store can be written again and is up to date");
            intake.failure = None;
        }
    }

    fn fail(&mut self, error: &StoreError) {
        if !self.has_failed {
            tracing::error!(%error, "the store cannot be written; trying again every second");
        }
        self.has_failed = true;
        self.file.note_failure(error);
        let mut intake = self.shared.intake();
        intake.failure = Some(error.to_string());
        intake.has_failed = true;
        drop(intake);
        self.next_try = Instant::now() + RETRY;
        // A failed write may have left the connection unusable.
        self.open = None;
    }

    /// Writes changes in one transaction; how many they were.
    fn commit<'a>(&mut self, changes: impl Iterator<Item = Change<'a>>) -> Result<u64, StoreError> {
        let known = self.open.take().filter(|open| !self.file.is_stale(open));
        let open = match known {
            Some(open) => open,
            None => self.file.connect()?,
        };
        let open = self.open.insert(open);
        let outcome = {
            let mut others_wait = self.file.lock();
            self.shared.intake().note_lock();
            let noted = self.clock.note(self.is_recovering);
            let begun = match self.has_failed {
                true => log::begin_anew(&open.connection),
                false => Ok(()),
            };
            let changes = changes.inspect(|change| others_wait.note(*change));
            begun
                .and_then(|()| transact(&open.connection, changes, &noted))
                .map_err(StoreError::of(self.file.path()))
        };
        if outcome.as_ref().is_err_and(StoreError::is_damage) {
            self.file.replace(open)?;
        }
        outcome
    }
}

fn transact<'a>(
    connection: &Connection,
    changes: impl Iterator<Item = Change<'a>>,
    noted: &Noted,
) -> rusqlite::Result<u64> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = write_rows(connection, changes).and_then(|rows| {
        noted.write(connection)?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(rows)
    });
    if written.is_err() && !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK")?.execute([])?;
    }
    written
}

fn write_rows<'a>(
    connection: &Connection,
    changes: impl Iterator<Item = Change<'a>>,
) -> rusqlite::Result<u64> {
    let [presentity, dialog, waiting, edit, erasure] = Table::ALL;
    let mut put = [
        connection.prepare_cached(presentity.put())?,
        connection.prepare_cached(dialog.put())?,
        connection.prepare_cached(waiting.put())?,
        connection.prepare_cached(edit.put())?,
        connection.prepare_cached(erasure.put())?,
    ];
    let mut remove = [
        connection.prepare_cached(presentity.remove())?,
        connection.prepare_cached(dialog.remove())?,
        connection.prepare_cached(waiting.remove())?,
        connection.prepare_cached(edit.remove())?,
        connection.prepare_cached(erasure.remove())?,
    ];
    let mut rows = 0;
    for change in changes {
        match change {
            Change::Put(table, key, record) => put[table as usize].execute((key, record))?,
            Change::Remove(table, key) => remove[table as usize].execute([key])?,
        };
        rows += 1;
    }
    Ok(rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
