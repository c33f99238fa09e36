//! The operator's edits of accounts, lists and rules on their way to the store, and back at the start; and the
//! domains whose people are being erased.
//!
//! Guarantee: edits of one address reach the store in the order in which they were made; who waits for an
//! edit is told once it is on the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use glommio::timer::sleep;

use crate::directory::accounts::{StoredAccount, StoredSecrets};
use crate::directory::edits::{Edit, EditedAccount, EditedList};
use crate::directory::{Details, Directory};
use crate::presence::Aor;
use crate::presence::wall_clock::WallClock;
use crate::record::edit::{AccountRecord, EditRecord};
use crate::record::erasure::ErasureRecord;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::error::StoreError;
use crate::store::schema::Table;
use crate::store::writer::StoreHandle;

/// How long an edit may take until it is on the disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(2);

/// Keeps edits. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EditKeeper {
    store: StoreHandle,
    clock: WallClock,
    /// The number of the operator among the shards.
    writer: u16,
    rows: Arc<Mutex<Rows>>,
    /// Domains whose people an earlier process has not erased.
    unerased: Arc<[Box<str>]>,
}

/// The rows of the store.
#[derive(Debug, Default)]
struct Rows {
    by_aor: HashMap<Aor, i64>,
    /// One beyond the highest number in use.
    end: i64,
    /// The number of the last edit.
    through: u64,
    /// Edits that found the queue of the store full.
    waiting: Option<Batch>,
}

impl EditKeeper {
    /// Puts the edits of an earlier process into force in `directory`, which was read a moment ago.
    /// `shards`: how many there are.
    pub(crate) fn recover(
        store: &Store,
        shards: u16,
        directory: Directory,
    ) -> Result<(Self, Directory), StoreError> {
        let keeper = Self {
            store: store.handle(),
            clock: store.clock(),
            writer: shards,
            rows: Arc::default(),
            unerased: unerased(store)?.into(),
        };
        let mut edits = Vec::new();
        let mut obsolete = Vec::new();
        let is_removed = |domain: &str| {
            let is_unerased = keeper.unerased.iter().any(|removed| **removed == *domain);
            is_unerased && !directory.is_managed(domain)
        };
        store.recover(Table::Edit, |number, octets| {
            let mut rows = keeper.rows();
            rows.end = rows.end.max(number.saturating_add(1));
            match EditRecord::decode(octets, keeper.clock) {
                Ok(record) if is_removed(record.aor.domain()) => obsolete.push(number),
                // Of two rows of one address the newer one counts.
                Ok(record) => {
                    if let Some(older) = rows.by_aor.insert(record.aor.clone(), number) {
                        obsolete.push(older);
                        edits.retain(|edit: &Edit| edit.aor != record.aor);
                    }
                    edits.push(edit_of(record));
                }
                Err(error) => {
                    tracing::error!(number, %error, "an edit of the operator cannot be read");
                    obsolete.push(number);
                }
            }
        })?;
        let (directory, over) = directory.with_edits(edits);
        keeper.remove(&obsolete);
        for aor in &over {
            tracing::warn!(domain = aor.domain(), "an edited list or account: {OVER}");
            tracing::debug!(%aor, "{OVER}");
        }
        keeper.keep(&over, &directory);
        if directory.waiting_edits() > 0 {
            tracing::warn!(count = directory.waiting_edits(), "{WAITING}");
        }
        Ok((keeper, directory))
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the edits of addresses over; [`Self::await_durable`] waits until they are on the disk.
    pub(crate) fn keep(&self, aors: &[Aor], directory: &Directory) -> u64 {
        let mut rows = self.rows();
        let mut batch = self.batch(&mut rows);
        for aor in aors {
            self.put(directory.edit_of(aor), &mut rows, &mut batch);
        }
        self.submit(batch, &mut rows)
    }

    /// Puts an edit into a batch.
    fn put(&self, edit: Edit, rows: &mut Rows, batch: &mut Batch) {
        let aor = edit.aor.clone();
        if edit.is_over() {
            let number = rows.by_aor.remove(&aor);
            number
                .into_iter()
                .for_each(|number| batch.remove(Table::Edit, number));
        } else {
            let next = rows.end;
            let number = *rows.by_aor.entry(aor).or_insert(next);
            rows.end = rows.end.max(number.saturating_add(1));
            let mut octets = Vec::new();
            record_of(edit).encode(self.clock, &mut octets);
            batch.put(Table::Edit, number, &octets);
        }
    }

    /// Domains whose people an earlier process has not erased.
    pub(crate) fn unerased(&self) -> &[Box<str>] {
        &self.unerased
    }

    /// Notes that the people of a domain are being erased, or that it is done. As [`Self::keep`].
    pub(crate) fn note_erasure(&self, domain: &str, is_done: bool) -> u64 {
        let domain = domain.into();
        let record = ErasureRecord { domain };
        let mut rows = self.rows();
        let mut batch = self.batch(&mut rows);
        if is_done {
            batch.remove(Table::Erasure, record.number());
        } else {
            let mut octets = Vec::new();
            record.encode(self.clock, &mut octets);
            batch.put(Table::Erasure, record.number(), &octets);
        }
        self.submit(batch, &mut rows)
    }

    fn remove(&self, numbers: &[i64]) {
        let mut rows = self.rows();
        let mut batch = self.batch(&mut rows);
        numbers
            .iter()
            .for_each(|number| batch.remove(Table::Edit, *number));
        self.submit(batch, &mut rows);
    }

    fn batch(&self, rows: &mut Rows) -> Batch {
        let waiting = rows.waiting.take();
        waiting.unwrap_or_else(|| self.store.batch(self.writer))
    }

    fn submit(&self, mut batch: Batch, rows: &mut Rows) -> u64 {
        rows.through += 1;
        batch.through = rows.through;
        rows.waiting = self.store.submit(batch).err();
        rows.through
    }

    /// Waits until an edit is on the disk. False if it is not in time: then it may follow.
    pub(crate) async fn await_durable(&self, through: u64) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_durable(through) {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }

    /// [`Self::await_durable`] for a thread without an executor.
    pub(crate) fn wait_durable(&self, through: u64) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_durable(through) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    /// Whether an edit is on the disk. Submits edits that found the queue of the store full.
    fn is_durable(&self, through: u64) -> bool {
        let mut rows = self.rows();
        if let Some(batch) = rows.waiting.take() {
            rows.waiting = self.store.submit(batch).err();
        }
        self.store.durable(self.writer) >= through
    }
}

/// Domains whose people are not erased yet.
fn unerased(store: &Store) -> Result<Vec<Box<str>>, StoreError> {
    let (clock, mut domains) = (store.clock(), Vec::new());
    store.recover(
        Table::Erasure,
        |number, octets| match ErasureRecord::decode(octets, clock) {
            Ok(record) => domains.push(record.domain),
            Err(error) => tracing::error!(number, %error, "an erasure cannot be read"),
        },
    )?;
    Ok(domains)
}

/// What is said of a list or an account whose edits no longer count.
pub(crate) const OVER: &str = "its edits no longer count: the configuration has changed it since";

/// What is said of edits that cannot be applied now.
const WAITING: &str = "edited lists and accounts cannot be applied with this configuration and are kept until they can: \
     their domain is missing, or another entry has their address or auth_id";

fn record_of(edit: Edit) -> EditRecord {
    EditRecord {
        aor: edit.aor,
        rules: edit.rules,
        list: edit.list.map(|edited| (edited.configured, edited.list)),
        account: edit.account.map(|edited| {
            let account = edited.account.map(record_of_account);
            (edited.configured, account)
        }),
    }
}

fn edit_of(record: EditRecord) -> Edit {
    let edited = |(configured, list)| EditedList { configured, list };
    Edit {
        aor: record.aor,
        rules: record.rules,
        list: record.list.map(edited),
        account: record.account.map(|(configured, account)| EditedAccount {
            configured,
            account: account.map(account_of),
        }),
    }
}

fn record_of_account(account: StoredAccount) -> AccountRecord {
    let (plain, with_domain, password_hash) = match account.secrets {
        StoredSecrets::Digest { plain, with_domain } => (plain, with_domain, None),
        StoredSecrets::PasswordHash(hash) => (Vec::new(), Vec::new(), Some(hash)),
    };
    AccountRecord {
        plain,
        with_domain,
        password_hash,
        auth_id: account.auth_id,
        is_feeder: account.is_feeder,
        display: account.details.display,
        alternative: account.details.alternative,
        voicemail: account.details.voicemail,
    }
}

fn account_of(record: AccountRecord) -> StoredAccount {
    let (plain, with_domain) = (record.plain, record.with_domain);
    let of_digest = StoredSecrets::Digest { plain, with_domain };
    StoredAccount {
        secrets: record
            .password_hash
            .map_or(of_digest, StoredSecrets::PasswordHash),
        auth_id: record.auth_id,
        is_feeder: record.is_feeder,
        details: Details {
            display: record.display,
            alternative: record.alternative,
            voicemail: record.voicemail,
        },
    }
}
