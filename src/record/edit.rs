//! What the operator edited of one address while the server ran.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::presence::Aor;
use crate::presence::event::list::StoredList;
use crate::presence::policy::ImportedRule;
use crate::presence::wall_clock::WallClock;
use crate::record::{RecordError, decode, encode};

/// The edits of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditRecord {
    /// The address.
    pub aor: Aor,
    /// Its rules; empty if it has none of its own.
    pub rules: Vec<ImportedRule>,
    /// The list with that address, if it was edited: the hash of the list in the configuration, 0 if it
    /// is not there, and what it is now, None if it was deleted.
    pub list: Option<(u64, Option<StoredList>)>,
    /// The account with that address, if it was edited: the hash of the account in the configuration, 0 if
    /// it is not there, and what it is now, None if it was removed.
    pub account: Option<(u64, Option<AccountRecord>)>,
}

/// An account. No `Debug` of its secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Hashes for digest authentication of the username, in hexadecimal; empty for an account with a
    /// password hash.
    pub plain: Vec<Box<str>>,
    /// Hashes of the username with the domain; empty if they are not known.
    pub with_domain: Vec<Box<str>>,
    /// The password hash; None for an account with hashes for digest authentication.
    pub password_hash: Option<Box<str>>,
    /// The username of its digest credentials, if that is not its user.
    pub auth_id: Option<Box<str>>,
    /// Whether it may publish for every user of its domain.
    pub is_feeder: bool,
    /// The display name.
    pub display: Option<Box<str>>,
    /// A number at which the user is reachable without being registered.
    pub alternative: Option<Box<str>>,
    /// The user's own voice mail numbers.
    pub voicemail: Vec<Box<str>>,
}

impl fmt::Debug for AccountRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut formatter = formatter.debug_struct("AccountRecord");
        formatter
            .field("auth_id", &self.auth_id)
            .finish_non_exhaustive()
    }
}

impl EditRecord {
    /// Appends the record.
    pub fn encode(&self, clock: WallClock, out: &mut Vec<u8>) {
        encode(self, clock, out);
    }

    /// Reads a record.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn decode(octets: &[u8], clock: WallClock) -> Result<Self, RecordError> {
        decode(octets, clock)
    }
}
