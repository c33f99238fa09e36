//! The file as the writer has it open: appending, and pruning in small steps.
//!
//! After an error the journal must be dropped: what it remembers of the file may be wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension};

use crate::store::error::StoreError;
use crate::store::history::batch::Change;
use crate::store::history::limits::DomainLimits;
use crate::store::history::salvage::{Remains, Salvage};
use crate::store::history::schema;
use crate::store::salvage;

/// Changes removed in one transaction.
pub(super) const STEP_ROWS: usize = 500;
/// Octets that a change takes besides its texts: columns of numbers, and its place in the index.
const ROW_OCTETS: i64 = 64;
/// [`size`] in SQL.
pub(super) const SIZE: &str = "64 + octet_length(status) + octet_length(basic) + octet_length(lamp) \
    + octet_length(decider) + octet_length(rule) + ifnull(octet_length(party), 0) \
    + ifnull(octet_length(note), 0)";

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    pub(super) connection: Connection,
    domains: HashMap<String, Domain>,
    /// The highest number of a change.
    last: i64,
    /// Damaged files that are still to be read, and how far they are.
    unfinished: Vec<(String, i64)>,
    /// The one that is being read.
    salvage: Option<Salvage>,
}

#[derive(Clone, Copy, Debug)]
struct Domain {
    id: i64,
    octets: i64,
    is_written: bool,
}

/// What one step of pruning came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pruned {
    /// The domain is within its limits.
    All(u64),
    /// There is more to remove.
    Some(u64),
}

impl Journal {
    /// Sets a damaged file aside, and begins a new one to which it is copied as far as it can be read.
    pub(super) fn replace(path: &Path, error: &StoreError) -> Result<Self, StoreError> {
        let aside = salvage::set_aside(path)?;
        tracing::error!(
            %error,
            aside = %aside.display(),
            "the history was damaged: the file is set aside, and what can be read of it is copied to a new one"
        );
        let remains = Remains::of(&aside);
        let mut journal = Self::open(path)?;
        journal.last = journal.last.max(remains.last);
        let name = aside.file_name().unwrap_or_default();
        let now = unix_milliseconds().saturating_mul(1000);
        let below = remains.last.max(now).saturating_add(1);
        let mut unfinished = remains.unfinished;
        unfinished.push((name.to_string_lossy().into_owned(), below));
        journal.transact(|journal| {
            let note = "INSERT OR IGNORE INTO salvage VALUES (?1, ?2)";
            let mut note = journal.connection.prepare(note)?;
            unfinished
                .iter()
                .try_for_each(|one| note.execute((&one.0, one.1)).map(drop))
        })?;
        journal.unfinished = unfinished;
        Ok(journal)
    }

    /// Opens the file, or makes a new one.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::with(path, schema::open(path)?)
    }

    /// Opens the file again, which is there already.
    ///
    /// # Errors
    /// It is gone, or cannot be opened.
    pub(super) fn reopen(path: &Path) -> Result<Self, StoreError> {
        Self::with(path, schema::reopen(path)?)
    }

    fn with(path: &Path, connection: Connection) -> Result<Self, StoreError> {
        let mut journal = Self {
            path: path.into(),
            connection,
            domains: HashMap::new(),
            last: 0,
            unfinished: Vec::new(),
            salvage: None,
        };
        journal.load().map_err(StoreError::of(path))?;
        Ok(journal)
    }

    fn load(&mut self) -> rusqlite::Result<()> {
        let mut statement = self
            .connection
            .prepare("SELECT name, id, octets FROM domain")?;
        let domains = statement.query_map([], |row| {
            let domain = Domain {
                id: row.get(1)?,
                octets: row.get(2)?,
                is_written: true,
            };
            Ok((row.get(0)?, domain))
        })?;
        self.domains = domains.collect::<rusqlite::Result<_>>()?;
        let last = "SELECT max(ifnull((SELECT max(number) FROM change), 0), \
            ifnull((SELECT max(last) FROM address), 0))";
        self.last = self.connection.query_row(last, [], |row| row.get(0))?;
        let mut statement = self.connection.prepare("SELECT file, below FROM salvage")?;
        let unfinished = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.unfinished = unfinished.collect::<rusqlite::Result<_>>()?;
        Ok(())
    }

    /// Whether a damaged file is still being read.
    pub(super) const fn is_salvaging(&self) -> bool {
        self.salvage.is_some() || !self.unfinished.is_empty()
    }

    /// Copies some changes of a damaged file; how many. The newest file first, as its changes are.
    pub(super) fn salvage(&mut self) -> Result<u64, StoreError> {
        let current = self.salvage.take().or_else(|| {
            let (name, below) = self.unfinished.pop()?;
            Some(Salvage::resume(&self.path, name, below))
        });
        let Some(mut salvage) = current else {
            return Ok(0);
        };
        let copied = self.transact(|journal| salvage.step(journal))?;
        if copied.is_some() {
            self.salvage = Some(salvage);
        }
        Ok(copied.unwrap_or(0))
    }

    /// The domains with a history.
    pub(super) fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.keys().map(String::as_str)
    }

    /// Appends changes in one transaction.
    pub(super) fn append<'a>(
        &mut self,
        changes: impl Iterator<Item = Change<'a>>,
    ) -> Result<(), StoreError> {
        self.transact(|journal| {
            for change in changes {
                journal.put(&change)?;
            }
            Ok(())
        })
    }

    /// Does `work` in one transaction.
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let run = || {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            let done = work(self)?;
            self.write_octets()?;
            self.connection.execute_batch("COMMIT")?;
            Ok(done)
        };
        run().map_err(StoreError::of(&self.path))
    }

    fn put(&mut self, change: &Change<'_>) -> rusqlite::Result<()> {
        let number = change.at.saturating_mul(1000).max(self.last + 1);
        let domain = self.domain(change.domain)?;
        let (address, previous) = self.advance(domain, change.user, number)?;
        let verdict = change.verdict;
        let text = |text| Some(text).filter(|text: &&str| !text.is_empty());
        self.connection
            .prepare_cached("INSERT INTO change VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)")?
            .execute((
                number,
                previous,
                change.at,
                domain,
                address,
                verdict.status,
                verdict.basic,
                verdict.lamp,
                verdict.decider,
                verdict.rule,
                text(change.party),
                text(change.note),
            ))?;
        self.last = number;
        self.count(change.domain, size(change));
        Ok(())
    }

    /// The id of a domain, which is added if it is new.
    pub(super) fn domain(&mut self, name: &str) -> rusqlite::Result<i64> {
        if let Some(domain) = self.domains.get(name) {
            return Ok(domain.id);
        }
        self.connection
            .prepare_cached("INSERT INTO domain (name, octets) VALUES (?1, 0)")?
            .execute([name])?;
        let domain = Domain {
            id: self.connection.last_insert_rowid(),
            octets: 0,
            is_written: true,
        };
        self.domains.insert(name.to_owned(), domain);
        Ok(domain.id)
    }

    /// Makes `number` the newest change of an address, which is added if it is new. Returns the id of
    /// the address and its newest change before; 0 if there was none.
    fn advance(&self, domain: i64, user: &str, number: i64) -> rusqlite::Result<(i64, i64)> {
        let known = self
            .connection
            .prepare_cached("SELECT id, last FROM address WHERE domain = ?1 AND user = ?2")?
            .query_row((domain, user), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((id, last)) = known {
            self.connection
                .prepare_cached("UPDATE address SET last = ?2 WHERE id = ?1")?
                .execute([id, number])?;
            return Ok((id, last));
        }
        self.connection
            .prepare_cached("INSERT INTO address (domain, user, last) VALUES (?1, ?2, ?3)")?
            .execute((domain, user, number))?;
        Ok((self.connection.last_insert_rowid(), 0))
    }

    /// Adds to the octets of a domain.
    pub(super) fn count(&mut self, domain: &str, octets: i64) {
        if let Some(domain) = self.domains.get_mut(domain) {
            domain.octets = (domain.octets + octets).max(0);
            domain.is_written = false;
        }
    }

    fn write_octets(&mut self) -> rusqlite::Result<()> {
        let mut update = self
            .connection
            .prepare_cached("UPDATE domain SET octets = ?2 WHERE id = ?1")?;
        for domain in self
            .domains
            .values_mut()
            .filter(|domain| !domain.is_written)
        {
            update.execute([domain.id, domain.octets])?;
            domain.is_written = true;
        }
        Ok(())
    }

    /// Removes the oldest changes of a domain that are beyond its limits, at most [`STEP_ROWS`].
    pub(super) fn prune(
        &mut self,
        name: &str,
        limits: DomainLimits,
        now: i64,
    ) -> Result<Pruned, StoreError> {
        let Some(domain) = self.domains.get(name).copied() else {
            return Ok(Pruned::All(0));
        };
        let age_max = i64::try_from(limits.age_max.as_millis()).unwrap_or(i64::MAX);
        let oldest = now.saturating_sub(age_max).saturating_mul(1000);
        let octets_max = limits.octets_max.unwrap_or(u64::MAX);
        let is_too_large = domain.octets.unsigned_abs() > octets_max;
        let end = if is_too_large { i64::MAX } else { oldest };
        let removed = self.transact(|journal| journal.remove_oldest(name, domain.id, end))?;
        match removed {
            STEP_ROWS.. => Ok(Pruned::Some(removed as u64)),
            _ => Ok(Pruned::All(removed as u64)),
        }
    }

    /// Removes the oldest changes of a domain with numbers below `end`; how many.
    fn remove_oldest(&mut self, name: &str, domain: i64, end: i64) -> rusqlite::Result<usize> {
        let find = format!(
            "SELECT number, address, {SIZE} FROM change INDEXED BY change_by_domain \
             WHERE domain = ?1 AND number < ?2 ORDER BY number LIMIT ?3"
        );
        let found: Vec<[i64; 3]> = self
            .connection
            .prepare_cached(&find)?
            .query_map((domain, end, STEP_ROWS as i64), |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?])
            })?
            .collect::<rusqlite::Result<_>>()?;
        for [number, address, octets] in &found {
            self.remove(*number)?;
            self.connection
                .prepare_cached("DELETE FROM address WHERE id = ?1 AND last = ?2")?
                .execute([address, number])?;
            self.count(name, -octets);
        }
        Ok(found.len())
    }

    /// Removes changes of a domain, at most [`STEP_ROWS`], and the domain with the last of them. How many changes.
    pub(super) fn remove_domain(&mut self, name: &str) -> rusqlite::Result<usize> {
        let Some(domain) = self.domains.get(name).copied() else {
            return Ok(0);
        };
        let removed = self.remove_oldest(name, domain.id, i64::MAX)?;
        if removed < STEP_ROWS {
            self.connection
                .prepare_cached("DELETE FROM address WHERE domain = ?1")?
                .execute([domain.id])?;
            self.connection
                .prepare_cached("DELETE FROM domain WHERE id = ?1")?
                .execute([domain.id])?;
            self.domains.remove(name);
        }
        Ok(removed)
    }

    fn remove(&self, number: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM change WHERE number = ?1")?
            .execute([number])?;
        Ok(())
    }

    /// Removes the newest changes of an address, at most [`STEP_ROWS`], and the address with the last of
    /// them. How many changes.
    pub(super) fn remove_newest(&mut self, name: &str, user: &str) -> rusqlite::Result<usize> {
        let Some(domain) = self.domains.get(name).copied() else {
            return Ok(0);
        };
        let address: Option<(i64, i64)> = self
            .connection
            .prepare_cached("SELECT id, last FROM address WHERE domain = ?1 AND user = ?2")?
            .query_row((domain.id, user), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, mut last)) = address else {
            return Ok(0);
        };
        let find = format!("SELECT previous, {SIZE} FROM change WHERE number = ?1");
        let mut removed = 0;
        while removed < STEP_ROWS {
            let change: Option<(i64, i64)> = self
                .connection
                .prepare_cached(&find)?
                .query_row([last], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((previous, octets)) = change else {
                self.connection
                    .prepare_cached("DELETE FROM address WHERE id = ?1")?
                    .execute([id])?;
                return Ok(removed);
            };
            self.remove(last)?;
            self.count(name, -octets);
            (last, removed) = (previous, removed + 1);
        }
        self.connection
            .prepare_cached("UPDATE address SET last = ?2 WHERE id = ?1")?
            .execute([id, last])?;
        Ok(removed)
    }

    /// Brings what was committed into the file, and empties its log.
    pub(super) fn empty_log(&self) -> Result<(), StoreError> {
        let run = || {
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        };
        let is_busy: i64 = run().map_err(StoreError::of(&self.path))?;
        if is_busy != 0 {
            tracing::warn!("a reader keeps the log of the history from being emptied");
        }
        Ok(())
    }
}

/// The octets that a change counts for.
fn size(change: &Change<'_>) -> i64 {
    let verdict = change.verdict;
    let texts = [
        verdict.status,
        verdict.basic,
        verdict.lamp,
        verdict.decider,
        verdict.rule,
        change.party,
        change.note,
    ];
    let texts: usize = texts.into_iter().map(str::len).sum();
    ROW_OCTETS + texts as i64
}

/// Now, in milliseconds since 1970 UTC.
pub(super) fn unix_milliseconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
