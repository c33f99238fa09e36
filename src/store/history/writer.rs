//! The thread that appends to the history, prunes it, and erases people from it.
//!
//! It gathers what comes for a moment and appends it in one transaction; between two of them it does at
//! most one step of erasing and one of pruning, or of reading a damaged file. What comes while too much
//! waits, or while the file cannot be written, is left out and counted.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crossbeam::queue::ArrayQueue;

use crate::presence::DataSubject;
use crate::presence::history::HistoryErased;
use crate::store::error::StoreError;
use crate::store::history::batch::HistoryBatch;
use crate::store::history::erasure::Erasure;
use crate::store::history::journal::{Journal, Pruned, unix_milliseconds};
use crate::store::history::limits::HistoryLimits;

/// Batches that may wait for the writer, of all shards together.
const QUEUE_BATCHES: usize = 4096;
/// Changes that may wait for the writer: a few seconds at full load, about 32 MiB.
const CHANGES_WAITING_MAX: usize = 200_000;
/// Empty batches kept for each shard.
const SPARE_BATCHES: usize = 64;
/// Erasures that may wait; one more is not done.
const QUEUE_ERASURES: usize = 64;
/// Changes in one transaction, so that each is short.
const CHANGES_PER_COMMIT: usize = 5_000;
/// How long the writer gathers before it appends.
const GATHER: Duration = Duration::from_millis(20);
/// How often each domain is compared with its limits.
const PRUNE_EVERY: Duration = Duration::from_secs(10);
/// Domains that are compared with their limits in one step.
const DOMAINS_PER_STEP: usize = 64;
/// Time between two tries while the file cannot be opened.
const RETRY: Duration = Duration::from_secs(1);

/// Takes what was erased.
type Confirm = Box<dyn FnOnce(Result<HistoryErased, StoreError>) + Send>;

struct Order {
    erasure: Erasure,
    confirm: Confirm,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an erasure")
    }
}

/// What the shards and the writer share.
#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<HistoryBatch>,
    spare: Box<[ArrayQueue<HistoryBatch>]>,
    orders: ArrayQueue<Order>,
    limits: Mutex<HistoryLimits>,
    is_asleep: AtomicBool,
    is_stopping: AtomicBool,
    is_failing: AtomicBool,
    /// Changes in the queue.
    waiting: AtomicUsize,
    written: AtomicU64,
    thinned: AtomicU64,
    pruned: AtomicU64,
    /// Damaged files that were set aside since the start.
    files_damaged: AtomicU64,
    /// Changes that were read back from such files.
    salvaged: AtomicU64,
    /// What queries say of damage; see [`HistoryHandle::report`].
    reported: AtomicU64,
}

/// A shard's end of the history. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HistoryHandle {
    shared: Arc<Shared>,
    writer: Thread,
}

impl HistoryHandle {
    /// An empty batch for a shard, with the buffers of an earlier one if there is one.
    #[must_use]
    pub fn batch(&self, shard: u16) -> HistoryBatch {
        let spare = self.shared.spare.get(usize::from(shard));
        let mut batch = spare.and_then(ArrayQueue::pop).unwrap_or_default();
        batch.shard = shard;
        batch
    }

    /// Hands a batch over. Its changes are left out and counted if too much waits. A system call only
    /// if the writer sleeps.
    pub fn submit(&self, batch: HistoryBatch) {
        let shared = &*self.shared;
        let changes = batch.len();
        let waiting = shared.waiting.fetch_add(changes, Ordering::Relaxed);
        let refused = match waiting + changes > CHANGES_WAITING_MAX {
            true => Some(batch),
            false => shared.queue.push(batch).err(),
        };
        if let Some(batch) = refused {
            shared.waiting.fetch_sub(changes, Ordering::Relaxed);
            shared.thinned.fetch_add(changes as u64, Ordering::Relaxed);
            shared.give_back(batch);
        }
        self.wake();
    }

    /// Erases people, after what was handed over before. `confirm` is called on the writer's thread
    /// once it is on the disk; it is dropped if too many erasures wait.
    pub fn erase(
        &self,
        subject: DataSubject,
        confirm: impl FnOnce(Result<HistoryErased, StoreError>) + Send + 'static,
    ) {
        let erasure = Erasure::new(subject);
        let confirm = Box::new(confirm);
        let _dropped = self.shared.orders.push(Order { erasure, confirm });
        self.wake();
    }

    /// Puts other limits into force.
    pub fn set_limits(&self, limits: HistoryLimits) {
        let known = self.shared.limits.lock();
        *known.unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Whether it cannot be written.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing.load(Ordering::Relaxed)
    }

    /// How many damaged files were set aside: tells one file from the next.
    pub(super) fn files_damaged(&self) -> u64 {
        self.shared.files_damaged.load(Ordering::SeqCst)
    }

    /// A query found that a file is damaged, when so many had been set aside before.
    pub(super) fn report(&self, files_damaged: u64) {
        let reported = &self.shared.reported;
        reported.fetch_max(files_damaged + 1, Ordering::SeqCst);
        self.wake();
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> [(&'static str, u64); 6] {
        let shared = &*self.shared;
        [
            ("history_files_damaged", self.files_damaged()),
            ("history_salvaged", shared.salvaged.load(Ordering::Relaxed)),
            ("history_changes", shared.written.load(Ordering::Relaxed)),
            ("history_thinned", shared.thinned.load(Ordering::Relaxed)),
            ("history_pruned", shared.pruned.load(Ordering::Relaxed)),
            (
                "history_failing",
                shared.is_failing.load(Ordering::Relaxed).into(),
            ),
        ]
    }

    fn wake(&self) {
        if self.shared.is_asleep.load(Ordering::SeqCst)
            && self.shared.is_asleep.swap(false, Ordering::SeqCst)
        {
            self.writer.unpark();
        }
    }
}

impl Shared {
    fn give_back(&self, mut batch: HistoryBatch) {
        batch.clear();
        if let Some(spare) = self.spare.get(usize::from(batch.shard)) {
            // If there are enough already, this one is freed.
            let _freed = spare.push(batch);
        }
    }
}

/// The thread.
#[derive(Debug)]
pub(super) struct Writer {
    handle: HistoryHandle,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Opens the file, and starts the thread on it.
    pub(super) fn start(
        file: &Path,
        shards: u16,
        limits: HistoryLimits,
    ) -> Result<Self, StoreError> {
        let (journal, is_new) = match Journal::open(file) {
            Err(error) if error.is_damage() => (Journal::replace(file, &error)?, true),
            opened => (opened?, false),
        };
        let spare = (0..shards).map(|_| ArrayQueue::new(SPARE_BATCHES));
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE_BATCHES),
            spare: spare.collect(),
            orders: ArrayQueue::new(QUEUE_ERASURES),
            limits: Mutex::new(limits),
            is_asleep: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            thinned: AtomicU64::new(0),
            pruned: AtomicU64::new(0),
            files_damaged: AtomicU64::new(is_new.into()),
            salvaged: AtomicU64::new(0),
            reported: AtomicU64::new(0),
        });
        let work = Work {
            file: file.to_path_buf(),
            journal: Some(journal),
            may_be_new: false,
            shared: Arc::clone(&shared),
            orders: VecDeque::new(),
            to_prune: VecDeque::new(),
            next_prune: Instant::now(),
            next_try: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("history".into())
            .spawn(move || work.run())
            .map_err(StoreError::io(file))?;
        let writer = thread.thread().clone();
        let handle = HistoryHandle { shared, writer };
        Ok(Self { handle, thread })
    }

    /// The shards' end.
    pub(super) fn handle(&self) -> HistoryHandle {
        self.handle.clone()
    }

    /// Appends what was handed over, and ends the thread.
    pub(super) fn stop(self) {
        let shared = &self.handle.shared;
        shared.is_stopping.store(true, Ordering::SeqCst);
        self.handle.writer.unpark();
        if self.thread.join().is_err() {
            tracing::error!("the thread of the history ended by a panic");
        }
    }
}

/// The state of the thread.
#[derive(Debug)]
struct Work {
    file: PathBuf,
    /// None while the file cannot be opened.
    journal: Option<Journal>,
    /// Whether a file that cannot be opened is made anew if there is none: a damaged one was set aside.
    may_be_new: bool,
    shared: Arc<Shared>,
    orders: VecDeque<Order>,
    /// Domains that are still to be compared with their limits.
    to_prune: VecDeque<String>,
    next_prune: Instant,
    next_try: Instant,
}

impl Work {
    fn run(mut self) {
        let mut group = Vec::new();
        loop {
            let is_stopping = self.shared.is_stopping.load(Ordering::SeqCst);
            // Before the batches: an erasure is about all that was handed over before it.
            while let Some(order) = self.shared.orders.pop() {
                self.orders.push_back(order);
            }
            let is_empty = self.gather(&mut group);
            self.append(&mut group);
            if is_empty {
                self.erase();
            }
            if is_empty && is_stopping && self.orders.is_empty() {
                return;
            }
            self.look_at_reports();
            if self.is_salvaging() {
                self.salvage();
            } else {
                self.prune();
            }
            if is_empty && !is_stopping {
                self.rest();
            }
        }
    }

    /// Takes what waits, up to the size of a transaction. Whether it was all.
    fn gather(&self, group: &mut Vec<HistoryBatch>) -> bool {
        let mut changes = 0;
        while changes < CHANGES_PER_COMMIT {
            let Some(batch) = self.shared.queue.pop() else {
                return true;
            };
            changes += batch.len();
            group.push(batch);
        }
        false
    }

    fn append(&mut self, group: &mut Vec<HistoryBatch>) {
        if group.is_empty() {
            return;
        }
        let changes: usize = group.iter().map(HistoryBatch::len).sum();
        self.shared.waiting.fetch_sub(changes, Ordering::Relaxed);
        let all = group.iter().flat_map(HistoryBatch::changes);
        let is_written = self.attempt(|journal| journal.append(all)).is_ok();
        let counter = match is_written {
            true => &self.shared.written,
            false => &self.shared.thinned,
        };
        counter.fetch_add(changes as u64, Ordering::Relaxed);
        for batch in group.drain(..) {
            self.shared.give_back(batch);
        }
    }

    /// Does some work on the file, which is opened anew after a failure.
    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Journal) -> Result<T, StoreError>,
    ) -> Result<T, Option<StoreError>> {
        if self.journal.is_none() && Instant::now() < self.next_try {
            return Err(None);
        }
        let journal = match self.journal.take() {
            Some(journal) => Ok(journal),
            None if self.may_be_new => Journal::open(&self.file),
            None => Journal::reopen(&self.file),
        };
        let outcome = journal.and_then(|mut journal| {
            self.may_be_new = false;
            let done = work(&mut journal)?;
            self.journal = Some(journal);
            Ok(done)
        });
        if let Some(error) = outcome.as_ref().err().filter(|error| error.is_damage()) {
            self.replace(error);
        }
        self.report(outcome.as_ref().err());
        outcome.map_err(Some)
    }

    /// Replaces a damaged file. If that fails, what there is of it is opened the next time.
    fn replace(&mut self, error: &StoreError) {
        // Its connection must not be the one that has the new log open.
        self.journal = None;
        self.journal = Journal::replace(&self.file, error).ok();
        self.may_be_new = self.journal.is_none();
        self.shared.files_damaged.fetch_add(1, Ordering::SeqCst);
    }

    /// Looks whether a query found this file damaged.
    fn look_at_reports(&mut self) {
        let damaged = self.shared.files_damaged.load(Ordering::SeqCst);
        if self.shared.reported.load(Ordering::SeqCst) == damaged + 1 {
            self.replace(&StoreError::Damaged(
                self.file.clone(),
                "a query could not read it".to_owned(),
            ));
        }
    }

    fn is_salvaging(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_salvaging)
    }

    /// Copies some changes of a damaged file.
    fn salvage(&mut self) {
        let Ok(changes) = self.attempt(Journal::salvage) else {
            return;
        };
        let before = self.shared.salvaged.fetch_add(changes, Ordering::Relaxed);
        if !self.is_salvaging() {
            tracing::warn!(
                changes = before + changes,
                "what can be read of the damaged history has been copied"
            );
        }
    }

    fn report(&mut self, error: Option<&StoreError>) {
        let was_failing = self
            .shared
            .is_failing
            .swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) => {
                self.next_try = Instant::now() + RETRY;
                if !was_failing {
                    tracing::error!(%error, "the history cannot be written; trying again every second");
                }
            }
            None if was_failing => tracing::warn!("the history can be written again"),
            None => {}
        }
    }

    /// One step of the oldest erasure.
    fn erase(&mut self) {
        let Some(mut order) = self.orders.pop_front() else {
            return;
        };
        if self.is_salvaging() {
            return (order.confirm)(Err(StoreError::Salvaging(self.file.clone())));
        }
        match self.attempt(|journal| order.erasure.step(journal)) {
            Ok(None) => self.orders.push_front(order),
            Ok(Some(erased)) => (order.confirm)(Ok(erased)),
            Err(Some(error)) => (order.confirm)(Err(error)),
            // Dropped: the asker is told that nothing was done.
            Err(None) => {}
        }
    }

    /// Prunes a little, if it is time.
    fn prune(&mut self) {
        let now = Instant::now();
        if self.to_prune.is_empty() && now >= self.next_prune {
            self.next_prune = now + PRUNE_EVERY;
            let domains = self.journal.iter().flat_map(Journal::domains);
            self.to_prune = domains.map(str::to_owned).collect();
        }
        for _ in 0..DOMAINS_PER_STEP {
            let Some(domain) = self.to_prune.pop_front() else {
                return;
            };
            if self.prune_domain(domain) > 0 {
                return;
            }
        }
    }

    /// One step of pruning a domain; how many changes were removed.
    fn prune_domain(&mut self, domain: String) -> u64 {
        let limits = self.shared.limits.lock();
        let limits = limits.unwrap_or_else(PoisonError::into_inner).of(&domain);
        let now = unix_milliseconds();
        let pruned = self.attempt(|journal| journal.prune(&domain, limits, now));
        let changes = match pruned {
            Ok(Pruned::Some(changes)) => {
                self.to_prune.push_front(domain);
                changes
            }
            Ok(Pruned::All(changes)) => changes,
            Err(_) => 0,
        };
        self.shared.pruned.fetch_add(changes, Ordering::Relaxed);
        changes
    }

    /// Sleeps until something comes, or until there is more to prune; then gathers for a moment.
    fn rest(&self) {
        let has_more = !self.orders.is_empty() || !self.to_prune.is_empty() || self.is_salvaging();
        if !has_more {
            self.shared.is_asleep.store(true, Ordering::SeqCst);
            let shared = &*self.shared;
            if shared.queue.is_empty()
                && shared.orders.is_empty()
                && !shared.is_stopping.load(Ordering::SeqCst)
            {
                thread::park_timeout(PRUNE_EVERY);
            }
            self.shared.is_asleep.store(false, Ordering::SeqCst);
        }
        if self.orders.is_empty() {
            thread::sleep(GATHER);
        }
    }
}
