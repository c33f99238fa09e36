//! The tables of the history, and their version.
//!
//! A change has a number that grows with time: its microseconds since 1970, or one more than the last.
//! So neighbours in time are neighbours in the file, and the number is what ranges of time are found
//! by. `at` is the time that the clock showed. After the clock was set back both differ until it has
//! caught up.
//!
//! The changes of an address form a chain: `address.last` is the newest, `previous` leads to the one
//! before. An index by address would cost a page of the file for nearly every change of a large
//! domain; the chain costs eight octets. It may lead to a change that was pruned: there it ends, because
//! the oldest changes of a domain are always removed first.
//!
//! `salvage` names damaged files that are still being read, and the number of the change where reading
//! goes on.
//!
//! Versions work as in [`crate::store::schema`]. For people there is a view: `SELECT * FROM history`.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;
use crate::store::schema::{Format, make_private, migrate, open_existing};

/// `LAMH`
const APPLICATION_ID: i32 = 0x4c41_4d48;

/// The steps from an empty file to the current version.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE domain (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        octets INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE address (
        id INTEGER PRIMARY KEY,
        domain INTEGER NOT NULL,
        user TEXT NOT NULL,
        last INTEGER NOT NULL,
        UNIQUE (domain, user)
    ) STRICT;
    CREATE TABLE change (
        number INTEGER PRIMARY KEY,
        previous INTEGER NOT NULL,
        at INTEGER NOT NULL,
        domain INTEGER NOT NULL,
        address INTEGER NOT NULL,
        status TEXT NOT NULL,
        basic TEXT NOT NULL,
        lamp TEXT NOT NULL,
        decider TEXT NOT NULL,
        rule TEXT NOT NULL,
        party TEXT,
        note TEXT
    ) STRICT;
    CREATE INDEX change_by_domain ON change (domain);
    CREATE VIEW history AS
        SELECT datetime(at / 1000, 'unixepoch') AS time, user || '@' || name AS address,
            status, basic, lamp, decider, rule, party, note
        FROM change JOIN address ON address.id = change.address
            JOIN domain ON domain.id = change.domain
        ORDER BY number;
    ",
    "
    CREATE TABLE salvage (
        file TEXT PRIMARY KEY,
        below INTEGER NOT NULL
    ) STRICT;
    ",
];

const FORMAT: Format = Format {
    application_id: APPLICATION_ID,
    migrations: &MIGRATIONS,
};

/// How the writer's connection works. Removed rows are overwritten: they are about people.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA busy_timeout = 10000;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -32768;
";

/// Opens the file for writing, or makes a new one; creates or migrates its tables.
pub(super) fn open(file: &Path) -> Result<Connection, StoreError> {
    make_private(file).map_err(StoreError::io(file))?;
    reopen(file)
}

/// Opens the file for writing, which is there already; migrates its tables.
///
/// # Errors
/// It is gone, or cannot be opened.
pub(super) fn reopen(file: &Path) -> Result<Connection, StoreError> {
    let mut connection = open_existing(file)?;
    connection
        .execute_batch(SETTINGS)
        .map_err(StoreError::of(file))?;
    migrate(&mut connection, file, FORMAT)?;
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn open_for_queries(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(StoreError::of(file))?;
    let patience = "PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY;";
    connection
        .execute_batch(patience)
        .map_err(StoreError::of(file))?;
    Ok(connection)
}
