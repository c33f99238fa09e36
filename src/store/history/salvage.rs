//! What can be read of a damaged file, on its way to the file that replaced it.
//!
//! The new file names the one that was set aside, and how far that is read, so that a restart goes on
//! there. Changes are copied from the newest to the oldest, in steps, while new ones are appended. Each
//! becomes the end of the chain of its address. Meanwhile nothing is pruned, which would cut chains, and
//! no person is erased, who would come back.
//!
//! Changes on a damaged page are lost, and some beside; so are those of an address whose name is lost.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row};

use crate::store::history::journal::{Journal, SIZE};

/// Changes copied in one transaction.
const STEP_ROWS: usize = 1_000;

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Salvage {
    /// The name of the file, without the directory.
    name: String,
    /// None if it cannot be opened.
    from: Option<Connection>,
    /// Changes from this number on were read.
    below: i64,
    /// How far to seek behind a damage.
    stride: i64,
    /// The names of the domains there.
    domains: HashMap<i64, String>,
    /// What became of the addresses there; None if the name is lost.
    addresses: HashMap<i64, Option<Address>>,
}

/// An address in the new file.
#[derive(Clone, Copy, Debug)]
struct Address {
    domain: i64,
    id: i64,
    /// Its oldest change; None if it has none.
    oldest: Option<i64>,
}

/// A change that can be read.
#[derive(Debug)]
struct Change {
    number: i64,
    at: i64,
    domain: i64,
    address: i64,
    /// Status, basic, lamp, decider and rule.
    verdict: [String; 5],
    party: Option<String>,
    note: Option<String>,
}

/// What a damaged file says of itself, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// The number of the newest change; 0 if that is not known.
    pub(super) last: i64,
    /// Files that it was reading when it was damaged, and how far.
    pub(super) unfinished: Vec<(String, i64)>,
}

impl Remains {
    /// Those of the file that was set aside.
    pub(super) fn of(aside: &Path) -> Self {
        let Some(from) = open(aside) else {
            return Self::default();
        };
        let number = |text| from.query_row(text, [], |row| row.get(0)).unwrap_or(0);
        // One is of another page than the other.
        let last = number("SELECT ifnull(max(last), 0) FROM address")
            .max(number("SELECT ifnull(max(number), 0) FROM change"));
        let unfinished = || -> rusqlite::Result<Vec<_>> {
            let mut find = from.prepare("SELECT file, below FROM salvage")?;
            let rows = find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        Self {
            last,
            unfinished: unfinished().unwrap_or_default(),
        }
    }
}

fn open(aside: &Path) -> Option<Connection> {
    let from = Connection::open(aside).ok()?;
    // Only so does SQLite read what is left of a truncated file.
    let _unreadable = from.pragma_update(None, "writable_schema", true);
    Some(from)
}

impl Salvage {
    /// Goes on with a file of that name, beside the new one, where an earlier step ended.
    pub(super) fn resume(file: &Path, name: String, below: i64) -> Self {
        let from = open(&file.with_file_name(&name));
        let domains = |from: &Connection| -> rusqlite::Result<HashMap<i64, String>> {
            let mut find = from.prepare("SELECT id, name FROM domain")?;
            let rows = find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.flatten().collect())
        };
        Self {
            domains: from
                .as_ref()
                .and_then(|from| domains(from).ok())
                .unwrap_or_default(),
            name,
            from,
            below,
            stride: 1,
            addresses: HashMap::new(),
        }
    }

    /// Copies some changes, within a transaction of the journal. How many; None at the end.
    pub(super) fn step(&mut self, journal: &mut Journal) -> rusqlite::Result<Option<u64>> {
        let Some((changes, is_end)) = self.read() else {
            return self.finish(journal).map(|()| None);
        };
        let mut copied = 0;
        for change in &changes {
            copied += u64::from(self.put(change, journal)?);
        }
        match changes.last() {
            Some(last) => (self.below, self.stride) = (last.number, 1),
            None => {
                self.below = self.below.saturating_sub(self.stride);
                self.stride = self.stride.saturating_mul(2);
            }
        }
        if is_end || self.below <= 0 {
            // A later step finds nothing.
            self.from = None;
        }
        let mut note = journal
            .connection
            .prepare_cached("UPDATE salvage SET below = ?2 WHERE file = ?1")?;
        note.execute((&self.name, self.below))?;
        Ok(Some(copied))
    }

    fn finish(&self, journal: &Journal) -> rusqlite::Result<()> {
        let done = "DELETE FROM salvage WHERE file = ?1";
        journal.connection.execute(done, [&self.name]).map(drop)
    }

    /// The next changes, the newest first, up to a damage; and whether they are the last. None if
    /// nothing can be read.
    fn read(&self) -> Option<(Vec<Change>, bool)> {
        let from = self.from.as_ref()?;
        let mut find = from
            .prepare_cached(
                "SELECT number, at, domain, address, status, basic, lamp, decider, rule, party, note \
                 FROM change WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
            )
            .ok()?;
        let mut changes = Vec::new();
        let Ok(mut rows) = find.query((self.below, STEP_ROWS as i64)) else {
            return Some((changes, false));
        };
        let mut seen = 0;
        loop {
            match rows.next() {
                // What has other types than it should have is damaged.
                Ok(Some(row)) => changes.extend(read_change(row)),
                Ok(None) => break,
                Err(_) => return Some((changes, false)),
            }
            seen += 1;
        }
        Some((changes, seen < STEP_ROWS))
    }

    /// Copies a change to the end of the chain of its address. False if there is no such address, or if
    /// another change has its number.
    fn put(&mut self, change: &Change, journal: &mut Journal) -> rusqlite::Result<bool> {
        let Some(address) = self.address(change, journal)? else {
            return Ok(false);
        };
        let [status, basic, lamp, decider, rule] = &change.verdict;
        let put =
            "INSERT OR IGNORE INTO change VALUES (?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let put = journal.connection.prepare_cached(put)?.execute((
            change.number,
            change.at,
            address.domain,
            address.id,
            status,
            basic,
            lamp,
            decider,
            rule,
            &change.party,
            &change.note,
        ))?;
        if put == 0 {
            return Ok(false);
        }
        let link = match address.oldest {
            Some(_) => "UPDATE change SET previous = ?2 WHERE number = ?1",
            None => "UPDATE address SET last = ?2 WHERE id = ?1",
        };
        let mut link = journal.connection.prepare_cached(link)?;
        link.execute([address.oldest.unwrap_or(address.id), change.number])?;
        drop(link);
        let size = format!("SELECT {SIZE} FROM change WHERE number = ?1");
        let mut size = journal.connection.prepare_cached(&size)?;
        let octets = size.query_row([change.number], |row| row.get(0))?;
        drop(size);
        if let Some(name) = self.domains.get(&change.domain) {
            journal.count(name, octets);
        }
        let oldest = Some(change.number);
        self.addresses
            .insert(change.address, Some(Address { oldest, ..address }));
        Ok(true)
    }

    /// The address of a change in the new file.
    fn address(
        &mut self,
        change: &Change,
        journal: &mut Journal,
    ) -> rusqlite::Result<Option<Address>> {
        if let Some(known) = self.addresses.get(&change.address) {
            return Ok(*known);
        }
        let address = match (self.domains.get(&change.domain), self.user_of(change)) {
            (Some(domain), Some(user)) => Some(address_in(journal, domain, &user)?),
            _ => None,
        };
        self.addresses.insert(change.address, address);
        Ok(address)
    }

    fn user_of(&self, change: &Change) -> Option<String> {
        let from = self.from.as_ref()?;
        let mut find = from
            .prepare_cached("SELECT user FROM address WHERE id = ?1 AND domain = ?2")
            .ok()?;
        find.query_row([change.address, change.domain], |row| row.get(0))
            .ok()
    }
}

/// The address with the oldest of its changes; it is added if it is new.
fn address_in(journal: &mut Journal, domain: &str, user: &str) -> rusqlite::Result<Address> {
    let domain = journal.domain(domain)?;
    let connection = &journal.connection;
    let known: Option<(i64, i64)> = connection
        .prepare_cached("SELECT id, last FROM address WHERE domain = ?1 AND user = ?2")?
        .query_row((domain, user), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, mut next)) = known else {
        let add = "INSERT INTO address (domain, user, last) VALUES (?1, ?2, 0)";
        connection.prepare_cached(add)?.execute((domain, user))?;
        let id = connection.last_insert_rowid();
        return Ok(Address {
            domain,
            id,
            oldest: None,
        });
    };
    let mut step = connection.prepare_cached("SELECT previous FROM change WHERE number = ?1")?;
    let mut oldest = None;
    while let Some(previous) = step.query_row([next], |row| row.get(0)).optional()? {
        (oldest, next) = (Some(next), previous);
    }
    Ok(Address { domain, id, oldest })
}

fn read_change(row: &Row<'_>) -> Option<Change> {
    let read = || -> rusqlite::Result<Change> {
        Ok(Change {
            number: row.get(0)?,
            at: row.get(1)?,
            domain: row.get(2)?,
            address: row.get(3)?,
            verdict: [
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
                row.get(8)?,
            ],
            party: row.get(9)?,
            note: row.get(10)?,
        })
    };
    read().ok()
}
