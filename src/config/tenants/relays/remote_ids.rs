//! The file that says which identifier a user has in another system: CSV (RFC 4180) with the header `user,id`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord, Trim};
use toml::Spanned;

use crate::config::complaint::{Complainer, Complaints, Source};
use crate::config::schema::Relay;
use crate::config::tenants::names::Names;
use crate::config::text::{empty_lines, is_user};
use crate::presence::Aor;
use crate::relay::RemoteIds;

/// After so many faults, the rest of the file is not checked.
const FAULTS_MAX: usize = 100;

/// What an identifier is in the system of a relay.
pub(super) struct IdKind {
    /// In words, as "the object id (GUID) or the name (UPN) of a user".
    pub(super) what: &'static str,
    /// Whether a text is one.
    pub(super) is_it: fn(&str) -> bool,
}

/// Reads the `ids_file` of a relay. None, with complaints, if it cannot be used.
pub(super) fn read(
    relay: &Relay,
    file: &Spanned<String>,
    kind: &IdKind,
    names: &Names,
    complainer: &mut Complainer<'_>,
) -> Option<RemoteIds> {
    let path = complainer.source().folder().join(file.get_ref());
    let remedy = "name an existing file, and let the server's user read it";
    let read = Source::read_or(&path, remedy);
    let default_domain = match &relay.domains[..] {
        [domain] => names.known(domain.get_ref()),
        _ => None,
    };
    let reader = IdReader {
        kind,
        names,
        default_domain,
    };
    match read.and_then(|source| reader.read(&source)) {
        Ok(listed) => Some(RemoteIds {
            listed: Arc::new(listed.ids),
            pattern: None,
        }),
        Err(complaints) => {
            complainer.append(complaints);
            None
        }
    }
}

struct IdReader<'r> {
    kind: &'r IdKind,
    names: &'r Names,
    /// The domain of a user without one.
    default_domain: Option<&'r str>,
}

/// What was read.
#[derive(Default)]
struct Listed {
    ids: HashMap<Aor, Box<str>>,
    /// Their values in lower case.
    taken: HashSet<String>,
}

impl IdReader<'_> {
    fn read(&self, source: &Source) -> Result<Listed, Complaints> {
        let mut complainer = Complainer::new(source);
        let mut builder = ReaderBuilder::new();
        // A record of another length is our complaint, with a remedy.
        let builder = builder.has_headers(false).flexible(true).trim(Trim::All);
        let mut reader = builder.from_reader(source.text.as_bytes());
        let (mut record, mut begin) = (StringRecord::new(), 0);
        let (mut listed, mut has_header) = (Listed::default(), false);
        // The text is UTF-8 and records may have any length: nothing is left that could fail.
        while reader.read_record(&mut record).unwrap_or(false) {
            let start = begin + empty_lines(source.text.get(begin..).unwrap_or_default());
            let place = start..reader.position().byte() as usize;
            begin = place.end;
            match (record.get(0), record.get(1), record.len()) {
                (Some("user"), Some("id"), 2) if !has_header => {}
                _ if !has_header => {
                    let what = "the first line is not \"user,id\"".to_owned();
                    complainer.add(place, what, "begin the file with the header: user,id");
                    break;
                }
                (Some(user), Some(id), 2) => {
                    self.add(user, id, place, &mut listed, &mut complainer);
                }
                _ => {
                    let what = format!("{} fields instead of two", record.len());
                    complainer.add(place, what, "write a user and an id: 100,ID");
                }
            }
            has_header = true;
            if complainer.count() >= FAULTS_MAX {
                break;
            }
        }
        complainer.verdict().map(|()| listed)
    }

    fn add(
        &self,
        user: &str,
        id: &str,
        place: Range<usize>,
        listed: &mut Listed,
        complainer: &mut Complainer<'_>,
    ) {
        let complain = |what: String, remedy: &str| complainer.add(place, what, remedy);
        let parts = user.rsplit_once('@');
        let parts = parts.map(|(user, domain)| (user, self.names.known(domain)));
        let (name, domain) = parts.unwrap_or((user, self.default_domain));
        let Some(domain) = domain.filter(|_| is_user(name)) else {
            let what = format!("\"{user}\" is not a user of a [[domain]]");
            return complain(
                what,
                "write user@domain, or, if the relay has one domain, the user",
            );
        };
        if !(self.kind.is_it)(id) {
            let what = format!("\"{id}\" is not {}", self.kind.what);
            return complain(what, "correct it, or remove the line");
        }
        let before = listed.ids.insert(Aor::new(name, domain), id.into());
        if before.is_some() {
            let what = format!("{user} stands here twice");
            complain(what, "remove one of the two lines");
        } else if !listed.taken.insert(id.to_ascii_lowercase()) {
            // The end of the call of one would clear the call of the other.
            let what = format!("\"{id}\" is the id of two users");
            complain(what, "keep the user whose calls are to be shown there");
        }
    }
}
