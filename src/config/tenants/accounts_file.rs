//! The accounts file: CSV (RFC 4180) with a header that names the keys of `[[account]]`.
//!
//! Each record becomes an account and is checked like an `[[account]]`; a fault is reported with the line of its
//! record. An empty field is a key that is not given.

use std::collections::HashMap;
use std::ops::Range;

use csv::{ReaderBuilder, StringRecord, Trim};
use toml::Spanned;

use crate::config::complaint::{Complainer, Complaints, Source};
use crate::config::reader::Table;
use crate::config::schema::{Account, Password, Several};
use crate::config::suggestion::nearest;
use crate::config::tenants::accounts::Accounts;
use crate::config::tenants::secret_file::note_exposure;
use crate::config::text::empty_lines;

/// After so many faults, the rest of the file is not checked.
const FAULTS_MAX: usize = 100;

/// Adds all accounts of a file.
///
/// # Errors
/// Everything that is wrong with it, up to [`FAULTS_MAX`] faults.
pub(super) fn add_accounts(source: &Source, accounts: &mut Accounts<'_>) -> Result<(), Complaints> {
    accounts.notes.extend(note_exposure(source.name.as_ref()));
    let mut complainer = Complainer::new(source);
    read(source, accounts, &mut complainer);
    complainer.verdict()
}

fn read(source: &Source, accounts: &mut Accounts<'_>, complainer: &mut Complainer<'_>) {
    let mut builder = ReaderBuilder::new();
    // A record of another length is our complaint, with a remedy.
    let reader = builder.flexible(true).trim(Trim::Headers);
    let mut reader = reader.from_reader(source.text.as_bytes());
    let Ok(header) = reader.headers().cloned() else {
        return;
    };
    let Some(columns) = Columns::read(&header, complainer) else {
        return;
    };
    let mut begin = reader.position().byte() as usize;
    let mut record = StringRecord::new();
    // The text is UTF-8 and records may have any length: nothing is left that could fail.
    while reader.read_record(&mut record).unwrap_or(false) {
        let start = begin + empty_lines(source.text.get(begin..).unwrap_or_default());
        let end = reader.position().byte() as usize;
        begin = end;
        if let Some(account) = columns.account(&record, start..end, complainer) {
            accounts.add(&account, complainer);
        }
        if complainer.count() >= FAULTS_MAX {
            let what = format!("{FAULTS_MAX} faults; the rest of the file was not checked");
            complainer.add(start..end, what, "correct these first");
            return;
        }
    }
}

/// The place of each key in a record.
struct Columns {
    places: HashMap<&'static str, usize>,
    count: usize,
}

impl Columns {
    /// Reads the header. None, with complaints, if a column is unknown, doubled or missing.
    fn read(header: &StringRecord, complainer: &mut Complainer<'_>) -> Option<Self> {
        let place = 0..1;
        let found = complainer.count();
        let mut places = HashMap::new();
        for (index, name) in header.iter().enumerate() {
            let Some(known) = Account::KEYS.iter().find(|known| **known == name) else {
                let remedy = match nearest(name, Account::KEYS) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("columns: {}", Account::KEYS.join(", ")),
                };
                complainer.add(place.clone(), format!("unknown column \"{name}\""), remedy);
                continue;
            };
            if places.insert(*known, index).is_some() {
                let what = format!("the column \"{name}\" occurs twice");
                complainer.add(place.clone(), what, "remove one of the two");
            }
        }
        let is_good = complainer.count() == found;
        for required in ["user", "domain"] {
            if is_good && !places.contains_key(required) {
                let what = format!("the header has no column \"{required}\"");
                complainer.add(
                    place.clone(),
                    what,
                    "begin the file with a header: user,domain,ha1",
                );
            }
        }
        let count = header.len();
        (complainer.count() == found).then_some(Self { places, count })
    }

    /// The account of a record at that place of the file. None, with a complaint, if it cannot be
    /// read.
    fn account(
        &self,
        record: &StringRecord,
        place: Range<usize>,
        complainer: &mut Complainer<'_>,
    ) -> Option<Account> {
        if record.len() != self.count {
            let (has, wants) = (record.len(), self.count);
            let what = format!("the record has {has} fields, the header {wants}");
            let remedy =
                "put a field with a comma in double quotes, and write a double quote in it twice";
            complainer.add(place, what, remedy);
            return None;
        }
        let text = |key: &str| {
            let value = record.get(*self.places.get(key)?)?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let spanned = |value| Spanned::new(place.clone(), value);
        let secret = |key: &str| text(key).map(Password).map(spanned);
        let plain = |key: &str| text(key).map(|value| Spanned::new(place.clone(), value));
        let words = |key: &str| {
            let words = text(key).unwrap_or_default();
            words
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let hashes = |key| Several(words(key).into_iter().map(Password).map(spanned).collect());
        let (Some(user), Some(domain)) = (plain("user"), plain("domain")) else {
            complainer.add(place, "user or domain is empty", "write both");
            return None;
        };
        let feeder = match text("feeder").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                let what = format!("feeder is \"{other}\"");
                complainer.add(place, what, "write true or false");
                return None;
            }
        };
        let voicemail = words("voicemail").into_iter();
        Some(Account {
            user,
            domain,
            password: secret("password"),
            password_file: secret("password_file"),
            ha1: hashes("ha1"),
            ha1b: hashes("ha1b"),
            password_hash: secret("password_hash"),
            auth_id: plain("auth_id"),
            feeder,
            display: plain("display"),
            alternative: plain("alternative"),
            voicemail: Several(
                voicemail
                    .map(|number| Spanned::new(place.clone(), number))
                    .collect(),
            ),
        })
    }
}
