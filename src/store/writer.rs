//! The writer: a thread that commits the batches of all shards in groups.
//!
//! A group is all batches that wait when the previous commit is done: one when the store is idle,
//! hundreds when the disk is slow. So a record waits for at most two commits: the one in progress and
//! its own.
//!
//! While the disk fails, the writer keeps the newest change of each row and tries again every second.
//! When the disk works again, one transaction brings the file up to date.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use rusqlite::Connection;

use crate::store::batch::{Batch, Change};
use crate::store::error::StoreError;
use crate::store::schema::Table;
use crate::store::state_file::{Open, StateFile};
use crate::store::unwritten::Unwritten;

/// Batches that may wait for the writer, of all shards together. A shard whose batch finds no room
/// keeps it and hands it over later.
const QUEUE_BATCHES: usize = 1024;
/// Empty batches kept for each shard.
const SPARE_BATCHES: usize = 16;
/// Time between two tries while the disk fails.
const RETRY: Duration = Duration::from_secs(1);

/// Whether records count as durable while the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They do: the server continues as if it had no store.
    Memory,
    /// They do not: acknowledgements wait for the disk, and the server refuses new requests.
    Refuse,
}

/// The state of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last commit failed; None if it did not.
    pub failure: Option<String>,
    /// Rows that are not yet on the disk because of this failure.
    pub rows_unwritten: usize,
}

/// The state that the shards and the writer share.
#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Batch>,
    spare: Box<[ArrayQueue<Batch>]>,
    durable: Box<[CachePadded<AtomicU64>]>,
    is_failing: AtomicBool,
    is_stopping: AtomicBool,
    health: Mutex<Health>,
    commits: AtomicU64,
    rows: AtomicU64,
}

/// A shard's end of the store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreHandle {
    shared: Arc<Shared>,
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

    /// The state of the store.
    #[must_use]
    pub fn health(&self) -> Health {
        let health = self.shared.health.lock();
        health.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Commits so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Rows written or removed so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.shared.rows.load(Ordering::Relaxed)
    }
}

/// The writer's thread.
#[derive(Debug)]
pub struct Writer {
    handle: StoreHandle,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread on a file. `wake` is called with each shard of
    /// which more rows are durable.
    pub(super) fn start(
        file: Arc<StateFile>,
        shards: u16,
        on_failure: OnFailure,
        wake: impl Fn(u16) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let open = file.connect()?;
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE_BATCHES),
            spare: (0..shards)
                .map(|_| ArrayQueue::new(SPARE_BATCHES))
                .collect(),
            durable: (0..shards).map(|_| CachePadded::default()).collect(),
            is_failing: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            health: Mutex::default(),
            commits: AtomicU64::new(0),
            rows: AtomicU64::new(0),
        });
        let path = file.path().to_path_buf();
        let mut work = Work {
            file,
            open: Some(open),
            shared: Arc::clone(&shared),
            on_failure,
            unwritten: Unwritten::default(),
            unpublished: Vec::with_capacity(usize::from(shards)),
            failure: None,
            next_try: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || work.run(wake))
            .map_err(StoreError::io(&path))?;
        let writer = thread.thread().clone();
        let handle = StoreHandle { shared, writer };
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
    on_failure: OnFailure,
    unwritten: Unwritten,
    /// Shards of the current group, each with the sequence number that is published after its commit.
    unpublished: Vec<(u16, u64)>,
    /// Why the last commit failed.
    failure: Option<String>,
    next_try: Instant,
}

impl Work {
    fn run(&mut self, wake: impl Fn(u16)) {
        let mut group = Vec::with_capacity(QUEUE_BATCHES);
        loop {
            let is_stopping = self.shared.is_stopping.load(Ordering::Acquire);
            while group.len() < QUEUE_BATCHES
                && let Some(batch) = self.shared.queue.pop()
            {
                group.push(batch);
            }
            if group.is_empty() && (is_stopping || !self.is_due()) {
                if is_stopping {
                    return self.give_up();
                }
                self.sleep();
                continue;
            }
            self.note(&group);
            if self.write(&group) {
                self.publish(&wake);
            }
            self.give_back(&mut group);
        }
    }

    /// Tries a last time to write the changes that could not be written.
    fn give_up(&mut self) {
        if self.unwritten.len() > 0 {
            self.try_again();
        }
        let rows = self.unwritten.len();
        if rows > 0 {
            tracing::error!(
                rows,
                "the store could not be written before the server ended: changes are lost"
            );
        }
    }

    /// Whether it is time to write the unwritten changes again.
    fn is_due(&self) -> bool {
        self.unwritten.len() > 0 && self.next_try <= Instant::now()
    }

    fn sleep(&self) {
        if self.unwritten.len() == 0 {
            thread::park();
        } else {
            thread::park_timeout(self.next_try.saturating_duration_since(Instant::now()));
        }
    }

    /// Writes a group. Returns whether it counts as durable.
    fn write(&mut self, group: &[Batch]) -> bool {
        if self.unwritten.len() == 0 {
            match self.commit(group.iter().flat_map(Batch::changes)) {
                Ok(rows) => {
                    self.shared.commits.fetch_add(1, Ordering::Relaxed);
                    self.shared.rows.fetch_add(rows, Ordering::Relaxed);
                    return true;
                }
                Err(error) => {
                    tracing::error!(%error, "the store cannot be written; trying again every second");
                    self.fail(&error);
                }
            }
        }
        for batch in group {
            self.unwritten.keep(batch);
        }
        if self.next_try <= Instant::now() {
            self.try_again();
        }
        self.report();
        self.unwritten.len() == 0 || self.on_failure == OnFailure::Memory
    }

    fn fail(&mut self, error: &StoreError) {
        self.failure = Some(error.to_string());
        self.next_try = Instant::now() + RETRY;
        // A failed write may have left the connection unusable.
        self.open = None;
    }

    fn try_again(&mut self) {
        let unwritten = std::mem::take(&mut self.unwritten);
        match self.commit(unwritten.changes()) {
            Ok(rows) => {
                tracing::warn!(rows, "the store can be written again and is up to date");
                self.failure = None;
            }
            Err(error) => {
                self.unwritten = unwritten;
                self.fail(&error);
            }
        }
    }

    /// Publishes the state of the store.
    fn report(&self) {
        let is_failing = self.failure.is_some();
        let health = self.shared.health.lock();
        *health.unwrap_or_else(PoisonError::into_inner) = Health {
            failure: self.failure.clone(),
            rows_unwritten: self.unwritten.len(),
        };
        self.shared.is_failing.store(is_failing, Ordering::Release);
    }

    /// Writes changes in one transaction. Returns their number.
    fn commit<'a>(&mut self, changes: impl Iterator<Item = Change<'a>>) -> Result<u64, StoreError> {
        let known = self.open.take().filter(|open| !self.file.is_stale(open));
        let open = match known {
            Some(open) => open,
            None => self.file.connect()?,
        };
        let open = self.open.insert(open);
        let outcome = {
            let _others_wait = self.file.lock();
            transact(&open.connection, changes).map_err(StoreError::of(self.file.path()))
        };
        if outcome.as_ref().is_err_and(StoreError::is_damage) {
            self.file.replace(open)?;
        }
        outcome
    }

    /// Notes the last sequence number of each shard in a group, for `publish`.
    fn note(&mut self, group: &[Batch]) {
        for batch in group {
            let known = self
                .unpublished
                .iter_mut()
                .find(|(shard, _)| *shard == batch.shard);
            match known {
                Some((_, through)) => *through = (*through).max(batch.through),
                None => self.unpublished.push((batch.shard, batch.through)),
            }
        }
    }

    fn publish(&mut self, wake: &impl Fn(u16)) {
        for (shard, through) in self.unpublished.drain(..) {
            let durable = self.shared.durable.get(usize::from(shard));
            debug_assert!(durable.is_some(), "a batch is of a shard of this server");
            if let Some(durable) = durable {
                durable.fetch_max(through, Ordering::Release);
                wake(shard);
            }
        }
    }

    fn give_back(&self, group: &mut Vec<Batch>) {
        for mut batch in group.drain(..) {
            batch.clear();
            if let Some(spare) = self.shared.spare.get(usize::from(batch.shard)) {
                // If there are enough spare batches, this one is freed.
                let _freed = spare.push(batch);
            }
        }
    }
}

fn transact<'a>(
    connection: &Connection,
    changes: impl Iterator<Item = Change<'a>>,
) -> rusqlite::Result<u64> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = write_rows(connection, changes).and_then(|rows| {
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
    let [presentity, dialog] = Table::ALL;
    let mut put = [
        connection.prepare_cached(presentity.put())?,
        connection.prepare_cached(dialog.put())?,
    ];
    let mut remove = [
        connection.prepare_cached(presentity.remove())?,
        connection.prepare_cached(dialog.remove())?,
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
