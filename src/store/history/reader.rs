//! The thread that answers queries, one after the other, so that neither a shard nor the HTTP core
//! waits for the disk.
//!
//! Each query is bounded: by its limit, and by the changes that are looked at. One that ends early says
//! where to go on.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OptionalExtension, Row};

use crate::presence::history::{HistoryChange, HistoryPage, HistoryQuery};
use crate::store::error::StoreError;
use crate::store::history::schema;
use crate::store::history::writer::HistoryHandle;

/// Queries that may wait; one more is not answered.
const QUEUE_QUERIES: usize = 64;
/// Changes that one query looks at.
const CHANGES_PER_QUERY: usize = 200_000;

/// Takes the answer.
type Answer = Box<dyn FnOnce(Result<HistoryPage, StoreError>) + Send>;

struct Pending {
    query: HistoryQuery,
    answer: Answer,
}

/// Where queries go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct QueryHandle(SyncSender<Option<Pending>>);

impl QueryHandle {
    /// Asks a query. `answer` is called on another thread; it is dropped if too many queries wait.
    pub fn ask(
        &self,
        query: HistoryQuery,
        answer: impl FnOnce(Result<HistoryPage, StoreError>) + Send + 'static,
    ) {
        let answer = Box::new(answer);
        let _dropped = self.0.try_send(Some(Pending { query, answer }));
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.query.fmt(formatter)
    }
}

/// The thread.
#[derive(Debug)]
pub(super) struct Reader {
    handle: QueryHandle,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Starts it on a file that exists. `writer` is told of a damage.
    pub(super) fn start(file: &Path, writer: HistoryHandle) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::sync_channel(QUEUE_QUERIES);
        let path = file.to_path_buf();
        let thread = thread::Builder::new()
            .name("history-reader".into())
            .spawn(move || run(&path, &writer, &receiver))
            .map_err(StoreError::io(file))?;
        let handle = QueryHandle(sender);
        Ok(Self { handle, thread })
    }

    /// Where queries go.
    pub(super) fn handle(&self) -> QueryHandle {
        self.handle.clone()
    }

    /// Answers what waits, and ends the thread.
    pub(super) fn stop(self) {
        // The thread has ended if the channel is closed.
        let _ended = self.handle.0.send(None);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the history's queries ended by a panic");
        }
    }
}

fn run(file: &Path, writer: &HistoryHandle, queries: &Receiver<Option<Pending>>) {
    while let Ok(Some(Pending { query, answer })) = queries.recv() {
        let files_damaged = writer.files_damaged();
        // A connection for each query: the file may have been set aside since the last.
        let page = schema::open_for_queries(file)
            .and_then(|connection| read(&connection, &query).map_err(StoreError::of(file)));
        if page.as_ref().is_err_and(StoreError::is_damage) {
            writer.report(files_damaged);
        }
        answer(page);
    }
}

/// The columns of a [`HistoryChange`] behind its number and the number before.
const COLUMNS: &str = "number, previous, at, address, user || '@' || name, status, basic, lamp, \
    decider, rule, party, note";
/// What gives a change its address.
const NAMES: &str = "JOIN address ON address.id = change.address \
    JOIN domain ON domain.id = change.domain";

fn read(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<HistoryPage> {
    match &query.user {
        Some(user) => read_address(connection, query, user),
        None => read_domain(connection, query),
    }
}

/// Walks the chain of an address.
fn read_address(
    connection: &Connection,
    query: &HistoryQuery,
    user: &str,
) -> rusqlite::Result<HistoryPage> {
    let find = "SELECT address.id, last FROM address JOIN domain ON domain.id = address.domain \
        WHERE name = ?1 AND user = ?2";
    let mut known = connection.prepare(find)?;
    let known = known
        .query_row([&query.domain, user], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some::<(i64, i64)>((address, last)) = known else {
        return Ok(HistoryPage::default());
    };
    let mut step = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM change {NAMES} WHERE number = ?1 AND address = ?2"
    ))?;
    let mut page = HistoryPage::default();
    let mut number = query.from.unwrap_or(last);
    for _ in 0..CHANGES_PER_QUERY {
        let mut rows = step.query([number, address])?;
        let Some(row) = rows.next()? else {
            return Ok(page);
        };
        if is_before(number, query) {
            return Ok(page);
        }
        if page.changes.len() == query.limit {
            break;
        }
        take(row, query, &mut page)?;
        number = row.get(1)?;
    }
    page.next = Some(number);
    Ok(page)
}

/// Walks the changes of a domain, the newest first.
fn read_domain(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<HistoryPage> {
    let mut walk = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM change INDEXED BY change_by_domain {NAMES} \
         WHERE change.domain = (SELECT id FROM domain WHERE name = ?1) AND number <= ?2 \
         ORDER BY number DESC"
    ))?;
    let until = query.until.saturating_mul(1000);
    let mut rows = walk.query((&query.domain, query.from.unwrap_or(until)))?;
    let mut page = HistoryPage::default();
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        if is_before(number, query) {
            break;
        }
        if page.changes.len() == query.limit || seen == CHANGES_PER_QUERY {
            page.next = Some(number);
            break;
        }
        take(row, query, &mut page)?;
        seen += 1;
    }
    Ok(page)
}

/// Whether a change, and so each that follows, is older than what is asked for.
fn is_before(number: i64, query: &HistoryQuery) -> bool {
    number < query.since.saturating_mul(1000)
}

/// Takes a change if it is in the range of time.
fn take(row: &Row<'_>, query: &HistoryQuery, page: &mut HistoryPage) -> rusqlite::Result<()> {
    let at = row.get(2)?;
    if (query.since..query.until).contains(&at) {
        page.changes.push(HistoryChange {
            at,
            address: row.get(4)?,
            status: row.get(5)?,
            basic: row.get(6)?,
            lamp: row.get(7)?,
            decider: row.get(8)?,
            rule: row.get(9)?,
            party: row.get(10)?,
            note: row.get(11)?,
        });
    }
    Ok(())
}
