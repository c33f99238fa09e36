//! Accounts that the operator adds, replaces and removes while the server runs.
//!
//! An edit of an account copies the table of accounts, but no account.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::directory::credentials::Secrets;
use crate::directory::{Details, Directory, Proof};
use crate::presence::Aor;
use crate::presence::fixed_hash::SipHash13;
use crate::sip::digest::{Algorithm, Secret};

/// An account, with all that the configuration could say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAccount {
    /// Its credentials.
    pub secrets: StoredSecrets,
    /// The username of its digest credentials, if that is not its user.
    pub auth_id: Option<Box<str>>,
    /// Whether it may publish for every user of its domain.
    pub is_feeder: bool,
    /// The details of its user.
    pub details: Details,
}

/// The credentials of an account, as text. `Debug` does not print them.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredSecrets {
    /// Hashes for digest authentication in hexadecimal, one for each algorithm.
    Digest {
        /// H(username:realm:password).
        plain: Vec<Box<str>>,
        /// H(username@domain:realm:password); empty if it is not known.
        with_domain: Vec<Box<str>>,
    },
    /// A password hash in the PHC string format, for HTTP alone.
    PasswordHash(Box<str>),
}

impl fmt::Debug for StoredSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// Why an edit of an account is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountFault {
    /// The domain is not served here.
    #[error("there is no domain \"{0}\"")]
    NoDomain(Box<str>),
    /// The address belongs to an orbit, a resource or a list.
    #[error("the address {0} belongs to {1}")]
    Taken(Aor, &'static str),
    /// Another account of the domain authenticates by that name.
    #[error("the auth_id \"{0}\" is already used by another account of the domain")]
    AuthIdTaken(Box<str>),
    /// Another account of the domain authenticates by the user.
    #[error("the user \"{0}\" is the auth_id of another account of the domain")]
    UserTaken(Box<str>),
    /// The hashes are not those of the algorithms that challenges of the domain offer.
    #[error("there must be one MD5 hash (32 hexadecimal digits){0}")]
    Hashes(&'static str),
    /// There is no such account.
    #[error("there is no account {0}")]
    NoAccount(Aor),
}

impl StoredSecrets {
    /// The hashes of a password, for an account that authenticates by `name`.
    #[must_use]
    pub fn of_password(name: &str, domain: &str, password: &str) -> Self {
        let with_domain = format!("{name}@{domain}");
        Self::Digest {
            plain: hashes(&Secret::new(name, domain, password)),
            with_domain: hashes(&Secret::new(&with_domain, domain, password)),
        }
    }
}

/// The hashes of a secret as text.
fn hashes(secret: &Secret) -> Vec<Box<str>> {
    let all = [Algorithm::Md5, Algorithm::Sha256].into_iter();
    let known = all.filter_map(|algorithm| secret.hash(algorithm));
    known
        .map(|digits| String::from_utf8_lossy(digits).into())
        .collect()
}

/// The secret with these hashes; None if they are not one for each algorithm.
fn secret(hashes: &[Box<str>]) -> Option<Secret> {
    let none = Secret::default();
    hashes
        .iter()
        .try_fold(none, |secret, hash| secret.with_hash(hash))
}

impl Directory {
    /// An account with all that can be stored of it; None if there is none.
    #[must_use]
    pub fn stored_account(&self, aor: &Aor) -> Option<StoredAccount> {
        let account = self.account(aor.as_str())?;
        let secrets = match account.credentials.secrets() {
            Secrets::PasswordHash(hash) => StoredSecrets::PasswordHash(hash.clone()),
            Secrets::Digest { plain, with_domain } => StoredSecrets::Digest {
                plain: hashes(plain),
                with_domain: with_domain.as_ref().map(hashes).unwrap_or_default(),
            },
        };
        Some(StoredAccount {
            secrets,
            auth_id: account.auth_id().map(Into::into),
            is_feeder: account.is_feeder,
            details: self.details(aor),
        })
    }

    /// This directory with an account added, or replaced.
    ///
    /// # Errors
    /// See [`AccountFault`].
    pub fn with_account(&self, aor: &Aor, account: &StoredAccount) -> Result<Self, AccountFault> {
        let mut edited = self.clone();
        edited.put_account(aor, account)?;
        Ok(edited)
    }

    /// This directory without an account.
    ///
    /// # Errors
    /// [`AccountFault::NoAccount`]
    pub fn without_account(&self, aor: &Aor) -> Result<Self, AccountFault> {
        let mut edited = self.clone();
        edited.take_account(aor)?;
        Ok(edited)
    }

    /// Adds or replaces an account.
    ///
    /// # Errors
    /// See [`AccountFault`]; then nothing has changed.
    pub fn put_account(&mut self, aor: &Aor, account: &StoredAccount) -> Result<(), AccountFault> {
        let domain = self.domain(aor.domain());
        let domain = domain.ok_or_else(|| AccountFault::NoDomain(aor.domain().into()))?;
        let (offers_sha256, name) = (domain.sha256, domain.name.clone());
        let belongs_to = if domain.is_orbit(aor.user()) {
            Some("an orbit")
        } else if domain.is_resource(aor.user()) {
            Some("a resource")
        } else if self.stored_list(aor).is_ok() {
            Some("a list")
        } else {
            None
        };
        if let Some(owner) = belongs_to {
            return Err(AccountFault::Taken(aor.clone(), owner));
        }
        if self.is_auth_id_of_another(aor) {
            return Err(AccountFault::UserTaken(aor.user().into()));
        }
        let proof = proof(&account.secrets, offers_sha256)?;
        let auth_id = account.auth_id.as_deref();
        let auth_id = auth_id.filter(|auth_id| *auth_id != aor.user());
        if let Some(auth_id) = auth_id.filter(|auth_id| self.is_auth_id_taken(aor, auth_id)) {
            return Err(AccountFault::AuthIdTaken(auth_id.into()));
        }
        self.note_account_edit(aor);
        self.remove_account(aor);
        if let Some(added) = self.add_account(aor.user(), &name, proof.clone()) {
            added.is_feeder = account.is_feeder;
        }
        if let Some(auth_id) = auth_id {
            let is_set = self.set_auth_id(aor, auth_id, proof);
            debug_assert!(is_set, "the auth_id was free");
        }
        if account.details != Details::default() {
            self.describe(aor, account.details.clone());
        }
        Ok(())
    }

    /// Removes an account.
    ///
    /// # Errors
    /// [`AccountFault::NoAccount`]; then nothing has changed.
    pub fn take_account(&mut self, aor: &Aor) -> Result<(), AccountFault> {
        if self.account(aor.as_str()).is_none() {
            return Err(AccountFault::NoAccount(aor.clone()));
        }
        self.note_account_edit(aor);
        self.remove_account(aor);
        // One that is not in the configuration either leaves nothing to keep.
        if self.edited_accounts.get(aor) == Some(&0) {
            Arc::make_mut(&mut self.edited_accounts).remove(aor);
        }
        Ok(())
    }

    fn remove_account(&mut self, aor: &Aor) {
        let Some(removed) = Arc::make_mut(&mut self.accounts).remove(aor.as_str()) else {
            return;
        };
        self.note_account(aor.as_str(), aor.domain());
        if let Some(auth_id) = removed.auth_id() {
            let key = Aor::new(auth_id, aor.domain());
            Arc::make_mut(&mut self.users_by_auth_id).remove(key.as_str());
        }
    }

    /// Notes what the configuration says of an account that is about to be edited.
    fn note_account_edit(&mut self, aor: &Aor) {
        if !self.edited_accounts.contains_key(aor) {
            let configured = self.hash_of_account(aor);
            Arc::make_mut(&mut self.edited_accounts).insert(aor.clone(), configured);
        }
    }

    /// The hash of an account as stored, equal in every process; 0 if there is none.
    pub(super) fn hash_of_account(&self, aor: &Aor) -> u64 {
        let Some(account) = self.stored_account(aor) else {
            return 0;
        };
        let mut hash = SipHash13::new();
        match &account.secrets {
            StoredSecrets::PasswordHash(text) => hash.field(text.as_bytes()),
            StoredSecrets::Digest { plain, with_domain } => {
                for text in plain.iter().chain(with_domain) {
                    hash.field(text.as_bytes());
                }
            }
        }
        let details = &account.details;
        let texts = [&account.auth_id, &details.display, &details.alternative];
        for text in texts {
            hash.field(text.as_deref().unwrap_or_default().as_bytes());
        }
        for number in &details.voicemail {
            hash.field(number.as_bytes());
        }
        hash.number(account.is_feeder.into());
        hash.finish().max(1)
    }
}

/// The credentials as the directory takes them.
fn proof(secrets: &StoredSecrets, offers_sha256: bool) -> Result<Proof<'_>, AccountFault> {
    let (plain, with_domain) = match secrets {
        StoredSecrets::PasswordHash(hash) => return Ok(Proof::PasswordHash(hash)),
        StoredSecrets::Digest { plain, with_domain } => (plain, with_domain),
    };
    let fault = || {
        AccountFault::Hashes(match offers_sha256 {
            true => " and one SHA-256 hash (64), which the domain offers",
            false => ", and at most one SHA-256 hash (64)",
        })
    };
    let is_complete = |secret: &Secret| {
        secret.hash(Algorithm::Md5).is_some()
            && (!offers_sha256 || secret.hash(Algorithm::Sha256).is_some())
    };
    let read = |hashes: &[Box<str>]| secret(hashes).filter(is_complete).ok_or_else(fault);
    Ok(Proof::Digest {
        plain: read(plain)?,
        with_domain: match with_domain.is_empty() {
            true => None,
            false => Some(read(with_domain)?),
        },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::directory::lists::StoredList;
    use crate::directory::user_range::UserRange;
    use crate::directory::{Domain, DomainRealm};
    use crate::presence::event::list::ListStyle;
    use crate::sip::digest::Realm;

    fn aor(user: &str) -> Aor {
        Aor::new(user, "abc.com")
    }

    fn account(name: &str, password: &str) -> StoredAccount {
        StoredAccount {
            secrets: StoredSecrets::of_password(name, "abc.com", password),
            auth_id: None,
            is_feeder: false,
            details: Details::default(),
        }
    }

    fn directory() -> Directory {
        let mut directory = Directory::default();
        let domain = Domain {
            orbits: vec![UserRange::parse("700-709").unwrap()],
            voicemail_pilots: vec!["*97".into()],
            ..Domain::new("abc.com")
        };
        directory.add_domain(domain, &[]).unwrap();
        directory.add_account("100", "abc.com", "secret").unwrap();
        directory
    }

    fn is_right(directory: &Directory, name: &str, password: &str) -> bool {
        let realm = DomainRealm {
            directory,
            domain: directory.domain("abc.com").unwrap(),
        };
        let secret = realm.secret_of(name);
        secret.is_some_and(|secret| secret.matches(name, "abc.com", password))
    }

    #[test]
    fn an_account_is_added_replaced_and_removed() {
        let before = directory();
        let details = Details {
            display: Some("Anna".into()),
            alternative: Some("5".into()),
            voicemail: vec!["8101".into()],
        };
        let new = StoredAccount {
            auth_id: Some("device7".into()),
            details,
            is_feeder: true,
            ..account("device7", "one")
        };
        let added = before.with_account(&aor("101"), &new).unwrap();
        assert_eq!(added.stored_account(&aor("101")).as_ref(), Some(&new));
        assert!(is_right(&added, "device7", "one") && is_right(&added, "100", "secret"));
        assert!(before.account("101@abc.com").is_none());
        let replaced = added
            .with_account(&aor("101"), &account("101", "two"))
            .unwrap();
        assert!(is_right(&replaced, "101", "two"));
        assert!(
            !is_right(&replaced, "device7", "one"),
            "its old auth_id is free again"
        );
        let removed = replaced.without_account(&aor("101")).unwrap();
        assert!(removed.account("101@abc.com").is_none());
        let sets = [&before, &added, &replaced, &removed].map(|one| one.account_set("abc.com"));
        assert_eq!([sets[2], sets[3]], [sets[1], sets[0]]);
        assert_ne!(sets[0], sets[1], "one account more");
        assert_eq!(
            removed.without_account(&aor("101")).unwrap_err(),
            AccountFault::NoAccount(aor("101"))
        );
    }

    /// An account with a user, and a name to authenticate by, if that is another.
    fn named(auth_id: Option<&str>) -> StoredAccount {
        StoredAccount {
            auth_id: auth_id.map(Into::into),
            ..account(auth_id.unwrap_or("x"), "secret")
        }
    }

    /// An edit that the configuration makes impossible is kept: the configuration may be corrected.
    #[test]
    fn edits_wait_for_their_domain() {
        let edited = directory().with_account(&aor("101"), &account("101", "x"));
        let edited = edited
            .and_then(|edited| edited.without_account(&aor("100")))
            .unwrap();
        let mut slip = Directory::default();
        slip.add_domain(Domain::new("abd.com"), &[]).unwrap();
        let (slip, over) = slip.with_edits(edited.edits());
        assert_eq!((over, slip.waiting_edits()), (vec![], 2));
        assert_eq!(slip.edits(), edited.edits());
        let (mended, over) = directory().with_edits(slip.edits());
        assert_eq!((over, mended.waiting_edits()), (vec![], 0));
        assert!(is_right(&mended, "101", "x") && !is_right(&mended, "100", "secret"));
        // Once the configuration of an account changes, the edit is over.
        let mut newer = directory();
        newer.add_account("101", "abc.com", "other").unwrap();
        let (newer, over) = newer.with_edits(slip.edits());
        assert_eq!(over, [aor("101")]);
        assert!(is_right(&newer, "101", "other"));
    }

    /// One edit may be possible only after another, in any order of their addresses.
    #[test]
    fn edits_are_applied_in_an_order_that_works() {
        let mut configured = directory();
        let old = configured.add_account("400", "abc.com", "x");
        assert!(old.is_some() && configured.set_auth_id(&aor("400"), "zz", "x"));
        let edited = configured
            .with_account(&aor("400"), &named(Some("yy")))
            .and_then(|edited| edited.with_account(&aor("350"), &named(Some("zz"))))
            .unwrap();
        let (again, over) = configured.with_edits(edited.edits());
        assert_eq!((over, again.waiting_edits()), (vec![], 0));
        assert_eq!(again.edits(), edited.edits());
        // An account takes the address of a removed list.
        let mut configured = directory();
        let list = StoredList {
            name: None,
            style: ListStyle::Rfc,
            owner: None,
            members: Vec::new(),
        };
        configured.add_list(&aor("team"), list).unwrap();
        let without = configured.without_list(&aor("team")).unwrap();
        let edited = without.with_account(&aor("team"), &named(None)).unwrap();
        let (again, over) = configured.with_edits(edited.edits());
        assert_eq!((over, again.waiting_edits()), (vec![], 0));
        assert!(again.account("team@abc.com").is_some() && !again.is_list(&aor("team")));
    }

    #[test]
    fn impossible_accounts_are_refused() {
        let directory = directory();
        let refused =
            |aor: Aor, account: &StoredAccount| directory.with_account(&aor, account).unwrap_err();
        let good = account("700", "x");
        let orbit = refused(aor("700"), &good);
        assert_eq!(orbit, AccountFault::Taken(aor("700"), "an orbit"));
        let elsewhere = refused(Aor::new("1", "xyz.com"), &good);
        assert_eq!(elsewhere, AccountFault::NoDomain("xyz.com".into()));
        let taken = StoredAccount {
            auth_id: Some("100".into()),
            ..good.clone()
        };
        let taken = refused(aor("101"), &taken);
        assert_eq!(taken, AccountFault::AuthIdTaken("100".into()));
        let with_name = directory
            .with_account(&aor("101"), &named(Some("dev")))
            .unwrap();
        let user = with_name.with_account(&aor("dev"), &named(None));
        assert_eq!(user.unwrap_err(), AccountFault::UserTaken("dev".into()));
        let hashes = |plain: &[&str]| StoredAccount {
            secrets: StoredSecrets::Digest {
                plain: plain.iter().map(|hash| (*hash).into()).collect(),
                with_domain: Vec::new(),
            },
            ..good.clone()
        };
        for wrong in [&[][..], &["12"], &["0123456789abcdef0123456789abcdef"; 2]] {
            let fault = refused(aor("101"), &hashes(wrong));
            assert!(matches!(fault, AccountFault::Hashes(_)), "{wrong:?}");
        }
    }
}
