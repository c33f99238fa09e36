//! The tables of the store and their versions.
//!
//! - `presentity`: a presentity with all contributions to it. The key is the number that its owner
//!   assigned.
//! - `dialog`: a dialog with its subscriptions. The key is the place in its To-tag.
//! - `waiting`: a watcher that waits to be decided about. The key is a hash.
//! - `edit`: rules and lists that the operator edited, of one address. The key is an ascending number.
//! - `erasure`: a domain that is removed, until its people are erased. The key is a hash.
//! - `clock`: one row, where the clocks stood at the last commit (`store/clock.rs`).
//!
//! The engine defines what the records in the rows contain; each record has a version of its own. The
//! version of the file covers only the tables.
//!
//! SQLite's `user_version` holds the version of a file. A new version is a new entry at the end of
//! `MIGRATIONS`; a released entry never changes. When the server opens a file of an older version, it
//! migrates the file in one transaction: all steps, or none. It refuses a file of a newer version,
//! because it cannot know what it would lose.
//!
//! | version | tables |
//! |---|---|
//! | 0 | none: a new file |
//! | 1 | `presentity`, `dialog` |
//! | 2 | and `clock` |
//! | 3 | and `waiting` |
//! | 4 | and `edit` |
//! | 5 | and `erasure` |

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;

/// `LAMP`: tells the file from SQLite files of other programs (`PRAGMA application_id`).
pub(super) const APPLICATION_ID: i32 = 0x4c41_4d50;

/// The steps from an empty file to the current version.
pub(super) const MIGRATIONS: [&str; 5] = [
    "
    CREATE TABLE presentity (
        number INTEGER PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT;
    CREATE TABLE dialog (
        place INTEGER PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT;
    ",
    "
    CREATE TABLE clock (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        time INTEGER NOT NULL,
        unix INTEGER NOT NULL,
        uptime INTEGER NOT NULL,
        boot TEXT NOT NULL,
        committed_at INTEGER
    ) STRICT;
    ",
    "
    CREATE TABLE waiting (
        number INTEGER PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT;
    ",
    "
    CREATE TABLE edit (
        number INTEGER PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT;
    ",
    "
    CREATE TABLE erasure (
        number INTEGER PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT;
    ",
];

/// What distinguishes a kind of file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    /// Tells it from SQLite files of other programs (`PRAGMA application_id`).
    pub(super) application_id: i32,
    /// The steps from an empty file to the current version.
    pub(super) migrations: &'static [&'static str],
}

/// The file of the state.
pub(super) const STATE: Format = Format {
    application_id: APPLICATION_ID,
    migrations: &MIGRATIONS,
};

/// The version that this program reads and writes.
pub const VERSION: i32 = MIGRATIONS.len() as i32;

/// Octets of a page.
pub(super) const PAGE_OCTETS: u64 = 4096;

/// The settings of a connection. The checkpoint thread decides when the log is copied to the file, so
/// automatic checkpoints are off. Removed records, which are about people, are overwritten where that
/// costs no write.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA busy_timeout = 10000;
    PRAGMA secure_delete = FAST;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -65536;
";

/// A table of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Presentities with their contributions, by the number that their owner assigned.
    Presentity,
    /// Dialogs with their subscriptions, by the place in their To-tag.
    Dialog,
    /// Waiting watchers, by a hash.
    Waiting,
    /// Rules and lists that the operator edited, by an ascending number.
    Edit,
    /// Domains whose people are being erased, by a hash.
    Erasure,
}

impl Table {
    /// All tables of records.
    pub const ALL: [Self; 5] = [
        Self::Presentity,
        Self::Dialog,
        Self::Waiting,
        Self::Edit,
        Self::Erasure,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Presentity => "presentity",
            Self::Dialog => "dialog",
            Self::Waiting => "waiting",
            Self::Edit => "edit",
            Self::Erasure => "erasure",
        }
    }

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Presentity | Self::Waiting | Self::Edit | Self::Erasure => "number",
            Self::Dialog => "place",
        }
    }

    pub(super) const fn put(self) -> &'static str {
        match self {
            Self::Presentity => "INSERT OR REPLACE INTO presentity VALUES (?1, ?2)",
            Self::Dialog => "INSERT OR REPLACE INTO dialog VALUES (?1, ?2)",
            Self::Waiting => "INSERT OR REPLACE INTO waiting VALUES (?1, ?2)",
            Self::Edit => "INSERT OR REPLACE INTO edit VALUES (?1, ?2)",
            Self::Erasure => "INSERT OR REPLACE INTO erasure VALUES (?1, ?2)",
        }
    }

    pub(super) const fn remove(self) -> &'static str {
        match self {
            Self::Presentity => "DELETE FROM presentity WHERE number = ?1",
            Self::Dialog => "DELETE FROM dialog WHERE place = ?1",
            Self::Waiting => "DELETE FROM waiting WHERE number = ?1",
            Self::Edit => "DELETE FROM edit WHERE number = ?1",
            Self::Erasure => "DELETE FROM erasure WHERE number = ?1",
        }
    }
}

/// Opens the file, or makes a new one; creates or migrates its tables.
pub(super) fn open(file: &Path) -> Result<Connection, StoreError> {
    make_private(file).map_err(StoreError::io(file))?;
    reopen(file)
}

/// Opens the file, which is there already; migrates its tables.
///
/// # Errors
/// It is gone, or cannot be opened.
pub(super) fn reopen(file: &Path) -> Result<Connection, StoreError> {
    let mut connection = open_existing(file)?;
    connection
        .execute_batch(SETTINGS)
        .map_err(StoreError::of(file))?;
    migrate(&mut connection, file, STATE)?;
    Ok(connection)
}

/// Opens a file, and makes none: a new one in the empty directory below a disk that is not mounted would
/// take what is meant for the disk.
pub(super) fn open_existing(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags).map_err(|error| match file.exists() {
        true => StoreError::of(file)(error),
        false => StoreError::Gone(file.into()),
    })
}

/// Creates an empty file with mode 0600 if there is none, because records contain the names of
/// callers. SQLite gives its log the same mode.
///
/// An existing file is not opened: with any descriptor of a file that a process closes, the system
/// drops the locks of all connections of that process. Another program would then take itself for the
/// only user of the file, and remove the log when it closes the file.
pub(super) fn make_private(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let created = options.create_new(true).write(true).mode(0o600).open(file);
    match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// Brings a file to the current version of its format, or refuses it.
pub(super) fn migrate(
    connection: &mut Connection,
    file: &Path,
    format: Format,
) -> Result<(), StoreError> {
    let found = check(connection, file, format)?;
    if found < format.migrations.len() as i32 {
        upgrade(connection, found, format).map_err(StoreError::of(file))?;
    }
    Ok(())
}

/// Returns the version of a file that this program can read; otherwise refuses the file.
pub(super) fn check(
    connection: &Connection,
    file: &Path,
    format: Format,
) -> Result<i32, StoreError> {
    let known = format.migrations.len() as i32;
    let number = |name| {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        value.map_err(StoreError::of(file))
    };
    let (found, application) = (number("user_version")?, number("application_id")?);
    let is_new = found == 0 && application == 0;
    if application != format.application_id && !is_new {
        return Err(StoreError::Foreign(file.into()));
    }
    if found > known {
        return Err(StoreError::Newer {
            file: file.into(),
            found,
            known,
        });
    }
    Ok(found)
}

/// Runs the migrations from version `found` on, in one transaction.
fn upgrade(connection: &mut Connection, found: i32, format: Format) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for step in format
        .migrations
        .iter()
        .skip(usize::try_from(found).unwrap_or(0))
    {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", format.application_id)?;
    transaction.pragma_update(None, "user_version", format.migrations.len() as i32)?;
    transaction.commit()
}
