//! Writing the file anew:
//! - after a person was erased: SQLite leaves copies of removed rows in free pages, in the free part of
//!   others, and in the log;
//! - after a failed write, which leaves the file in doubt ([`StateFile::is_in_doubt`]).
//!
//! The rows are copied to a new file, in small steps and in the order of their keys, while the writer goes
//! on committing to the old one. What it commits meanwhile is noted, and copied again. Little of that is
//! left at last: for this, commits wait, and the new file takes the name of the old one. So a commit waits
//! for some hundred rows and for the disk, a few milliseconds, however many rows there are.
//!
//! Afterwards, file and log hold no octet of a row that was removed before this began. It needs room on
//! the disk for a second copy. Files that were set aside as damaged are not looked at.
//!
//! A crash leaves the old file as it is, or the new one complete; what is unfinished is removed at the
//! next start.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::clock::Noted;
use crate::store::error::StoreError;
use crate::store::log;
use crate::store::salvage::DAMAGED;
use crate::store::schema::{self, Table};
use crate::store::state_file::{Keys, Locked, Open, StateFile};
use crate::store::writer::StoreHandle;

/// Rows that are copied in one step: about a millisecond.
const STEP_ROWS: usize = 256;
/// Time between two steps: at most a hundred thousand rows are copied in a second.
const PAUSE: Duration = Duration::from_millis(1);
/// Steps after which the copy is synchronized, so that the disk never has much to do at once.
const STEPS_PER_SYNC: u32 = 32;
/// Rows that may be left to copy while commits wait.
const REST_ROWS: usize = 256;
/// How often what was committed meanwhile is copied again, until that is little.
const ROUNDS: u32 = 64;
/// How often it is tried to put the copy in the place of the file, while others read that.
const TRIES: u32 = 50;
/// Time between two such tries.
const RETRY: Duration = Duration::from_millis(100);
/// How long what was handed over before may take until it is committed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes it anew. Returns the files that were set aside as damaged, or why it was not written.
pub(super) fn write_anew(
    file: &StateFile,
    store: &StoreHandle,
    stop: &AtomicBool,
) -> Result<Vec<String>, String> {
    await_committed(store)?;
    let rewritten = rewrite(file, stop);
    let damaged = rewritten.and_then(|()| set_aside(file.path()));
    damaged.map_err(|error| error.to_string())
}

/// Waits until all that was handed over is committed, removals among them.
fn await_committed(store: &StoreHandle) -> Result<(), String> {
    let (began, commits) = (Instant::now(), store.commits());
    // Under constant load it is never idle: one commit may have begun before, the next had all.
    while !store.is_idle() && store.commits() < commits + 2 {
        if let Some(failure) = store.health().failure {
            return Err(failure);
        }
        if began.elapsed() > PATIENCE {
            return Err("the store is behind".to_owned());
        }
        thread::sleep(PAUSE);
    }
    store.health().failure.map_or(Ok(()), Err)
}

/// Writes it anew; after an error, the file is as it was.
pub(super) fn rewrite(file: &StateFile, stop: &AtomicBool) -> Result<(), StoreError> {
    file.remove_unfinished()?;
    let rewritten = copy_and_replace(file, stop);
    if rewritten.is_err() {
        let _reported = file.remove_unfinished();
    }
    rewritten
}

fn copy_and_replace(file: &StateFile, stop: &AtomicBool) -> Result<(), StoreError> {
    let open = file.connect()?;
    let noting = file.note_changes();
    let mut copy = Copy::begin(file, &open, stop)?;
    for table in Table::ALL {
        copy.copy_table(table)?;
    }
    for _ in 0..ROUNDS {
        let changed = file.lock().take_changed();
        copy.copy_rows(&changed)?;
        if changed.len() <= REST_ROWS {
            break;
        }
    }
    copy.take_place()?;
    drop(noting);
    Ok(())
}

/// A copy of the file that is being made.
#[derive(Debug)]
struct Copy<'a> {
    file: &'a StateFile,
    from: &'a Open,
    path: PathBuf,
    to: Connection,
    disk: File,
    stop: &'a AtomicBool,
    steps: u32,
}

impl<'a> Copy<'a> {
    fn begin(
        file: &'a StateFile,
        from: &'a Open,
        stop: &'a AtomicBool,
    ) -> Result<Self, StoreError> {
        let path = file.name_of_copy();
        let to = schema::open(&path)?;
        // An unfinished copy is removed, so it needs no journal.
        let settings = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;";
        to.execute_batch(settings).map_err(StoreError::of(&path))?;
        // Who else reads the file is never waited for.
        let patience = from.connection.busy_timeout(Duration::ZERO);
        patience.map_err(StoreError::of(file.path()))?;
        let disk = File::options().write(true).open(&path);
        Ok(Self {
            file,
            from,
            disk: disk.map_err(StoreError::io(&path))?,
            path,
            to,
            stop,
            steps: 0,
        })
    }

    /// Copies a table in steps. What is committed behind a step is noted.
    fn copy_table(&mut self, table: Table) -> Result<(), StoreError> {
        let (name, key) = (table.name(), table.key());
        let scan = format!(
            "SELECT {key}, record FROM {name} WHERE {key} >= ?1 ORDER BY {key} LIMIT {STEP_ROWS}"
        );
        let mut next = Some(i64::MIN);
        while let Some(first) = next {
            next = self.step(|from, to| {
                let mut scan = from.prepare_cached(&scan)?;
                let mut put = to.prepare_cached(table.put())?;
                let (mut rows, mut copied, mut last) = (scan.query([first])?, 0, first);
                while let Some(row) = rows.next()? {
                    last = row.get(0)?;
                    put.execute((last, row.get_ref(1)?.as_blob()?))?;
                    copied += 1;
                }
                Ok(last.checked_add(1).filter(|_| copied == STEP_ROWS))
            })?;
        }
        Ok(())
    }

    /// Copies rows as they are now, in steps.
    fn copy_rows(&mut self, rows: &Keys) -> Result<(), StoreError> {
        let mut rows: Vec<_> = rows.iter().copied().collect();
        rows.sort_unstable_by_key(|(table, key)| (*table as u8, *key));
        for some in rows.chunks(STEP_ROWS) {
            self.step(|from, to| some.iter().try_for_each(|row| copy_row(from, to, *row)))?;
        }
        Ok(())
    }

    /// One transaction of the copy, and a pause.
    fn step<T>(
        &mut self,
        work: impl FnOnce(&Connection, &Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if self.stop.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        let done = self.transact(work)?;
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_SYNC) {
            self.sync()?;
        }
        thread::sleep(PAUSE);
        Ok(done)
    }

    fn transact<T>(
        &self,
        work: impl FnOnce(&Connection, &Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let run = || {
            let transaction = self.to.unchecked_transaction()?;
            let done = work(&self.from.connection, &self.to)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(StoreError::of(self.file.path()))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync_data().map_err(StoreError::io(&self.path))
    }

    /// Replaces the file by its copy once no other program is reading the file.
    fn take_place(mut self) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let changed = self.file.lock().take_changed();
            self.copy_rows(&changed)?;
            self.sync()?;
            self.copy_log(|connection| log::copy(connection, "PASSIVE").map(drop))?;
            let mut commits_wait = self.file.lock();
            let began = Instant::now();
            match self.copy_rest(&mut commits_wait) {
                Ok(()) => {
                    self.replace(&mut commits_wait)?;
                    tracing::info!(commits_waited = ?began.elapsed(), "the file was replaced by its copy");
                    return Ok(());
                }
                Err(error) if error.is_busy() => {}
                Err(error) => return Err(error),
            }
            drop(commits_wait);
            thread::sleep(RETRY);
        }
        Err(StoreError::Busy(self.file.path().into()))
    }

    /// Copies what is left, and brings all of the old log into the old file.
    fn copy_rest(&self, locked: &mut Locked) -> Result<(), StoreError> {
        let rest = locked.take_changed();
        self.transact(|from, to| {
            let mut rest = rest.iter();
            rest.try_for_each(|row| copy_row(from, to, *row))?;
            Noted::read(from)?.map_or(Ok(()), |noted| noted.write(to))
        })?;
        self.copy_log(log::begin_anew)
    }

    /// Copies the log to the file that is to be replaced. Only this writes to that file.
    fn copy_log(
        &self,
        copy: impl Fn(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let copied = copy(&self.from.connection).map_err(StoreError::of(self.file.path()));
        copied.inspect_err(|error| self.file.note_failure(error))
    }

    /// Closes the copy, brings it to the disk, and gives it the name of the file.
    fn replace(self, locked: &mut Locked) -> Result<(), StoreError> {
        let theirs = StoreError::of(&self.path);
        let with_log = "PRAGMA journal_mode = WAL";
        let kept = self.to.query_row(with_log, [], |_| Ok(()));
        kept.map_err(&theirs)?;
        self.to.close().map_err(|(_, error)| theirs(error))?;
        let synced = self.disk.sync_all();
        synced.map_err(StoreError::io(&self.path))?;
        // Closed before SQLite locks the new file: the locks of a process end with any descriptor.
        drop(self.disk);
        self.file.replace_by(&self.path, self.from, locked)
    }
}

/// Copies a row as it is now, or removes it where it is no more.
fn copy_row(from: &Connection, to: &Connection, row: (Table, i64)) -> rusqlite::Result<()> {
    let (table, key) = row;
    let find = format!(
        "SELECT record FROM {} WHERE {} = ?1",
        table.name(),
        table.key()
    );
    let mut find = from.prepare_cached(&find)?;
    let mut rows = find.query([key])?;
    match rows.next()? {
        Some(found) => to
            .prepare_cached(table.put())?
            .execute((key, found.get_ref(0)?.as_blob()?))?,
        None => to.prepare_cached(table.remove())?.execute([key])?,
    };
    Ok(())
}

/// The files beside this one that were set aside as damaged, in order.
fn set_aside(file: &Path) -> Result<Vec<String>, StoreError> {
    let directory = file.parent().unwrap_or(file);
    let entries = fs::read_dir(directory).map_err(StoreError::io(directory))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let damaged = paths.filter(|path| path.to_string_lossy().contains(DAMAGED));
    let mut damaged: Vec<String> = damaged.map(|path| path.display().to_string()).collect();
    damaged.sort_unstable();
    Ok(damaged)
}
