//! What accounts, and the phones that ask for parked calls, prove themselves by: the one place that
//! knows their secrets.
//!
//! Digest authentication (RFC 7616 §3.4) looks up H(username:realm:password). The username is the
//! account's `auth_id` if it has one, otherwise its user; either may be followed by `@` and the domain
//! name, which some phones send. Each form has a secret of its own, because the username is hashed into
//! it. HTTP names the user, and its password is compared with the first of these secrets.
//!
//! An account with a password hash has no such secret: only HTTP authenticates it, and the caller
//! verifies the hash, because that takes long.

use std::sync::Arc;

use crate::directory::{Account, Directory, Domain};
use crate::presence::Aor;
use crate::sip::digest::{Realm, Secret};

/// What an account proves itself by, as configured.
#[derive(Clone, Debug)]
pub enum Proof<'p> {
    /// The password.
    Password(&'p str),
    /// H(username:realm:password), and H(username@domain:realm:password) if phones may write it so.
    Digest {
        /// Of the username.
        plain: Secret,
        /// Of the username with the domain.
        with_domain: Option<Secret>,
    },
    /// A password hash in the PHC string format, for HTTP alone.
    PasswordHash(&'p str),
}

impl<'p> From<&'p str> for Proof<'p> {
    fn from(password: &'p str) -> Self {
        Self::Password(password)
    }
}

/// How a password that is presented by HTTP is checked.
#[derive(Clone, Copy, Debug)]
pub enum PasswordCheck<'d> {
    /// By this secret of that username.
    Secret(&'d Secret, &'d str),
    /// By this password hash.
    Hash(&'d str),
}

/// The credentials of an account.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    auth_id: Option<Box<str>>,
    secrets: Secrets,
}

#[derive(Clone, Debug)]
pub(super) enum Secrets {
    Digest {
        /// H(name:realm:password).
        plain: Secret,
        /// H(name@domain:realm:password).
        with_domain: Option<Secret>,
    },
    PasswordHash(Box<str>),
}

/// The tokens by which phones prove that they may see the parked calls of a domain. Without any, the domain
/// has no page of parked calls.
#[derive(Clone, Debug, Default)]
pub struct ParksTokens(Vec<Secret>);

/// What is hashed with a token, in place of a user.
const PARKS: &str = "parks";

impl ParksTokens {
    /// Those of a domain.
    pub fn new<'t>(domain: &str, tokens: impl Iterator<Item = &'t str>) -> Self {
        Self(
            tokens
                .map(|token| Secret::new(PARKS, domain, token))
                .collect(),
        )
    }

    /// Returns whether `token` is one of them, compared in constant time.
    #[must_use]
    pub fn accept(&self, domain: &str, token: &str) -> bool {
        // Without any, the work is that of a wrong one.
        let none = [Secret::default()];
        let secrets = match self.0.as_slice() {
            [] => &none,
            secrets => secrets,
        };
        let matches = secrets.iter().map(|it| it.matches(PARKS, domain, token));
        matches.fold(false, |accepts, matches| accepts | matches)
    }
}

impl Credentials {
    /// The credentials of an account without `auth_id`.
    pub(super) fn new(user: &str, domain: &str, proof: &Proof<'_>) -> Self {
        let secrets = match proof {
            Proof::Password(password) => Secrets::Digest {
                plain: Secret::new(user, domain, password),
                with_domain: Some(Secret::new(&format!("{user}@{domain}"), domain, password)),
            },
            Proof::Digest { plain, with_domain } => Secrets::Digest {
                plain: plain.clone(),
                with_domain: with_domain.clone(),
            },
            Proof::PasswordHash(hash) => Secrets::PasswordHash((*hash).into()),
        };
        Self {
            auth_id: None,
            secrets,
        }
    }

    /// The secrets.
    pub(super) const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The username, if it differs from the user.
    pub(super) fn auth_id(&self) -> Option<&str> {
        self.auth_id.as_deref()
    }

    /// How the password of `user`, whose account has these credentials, is checked.
    pub(super) fn check<'d>(&'d self, user: &'d str) -> PasswordCheck<'d> {
        match &self.secrets {
            Secrets::Digest { plain, .. } => {
                PasswordCheck::Secret(plain, self.auth_id.as_deref().unwrap_or(user))
            }
            Secrets::PasswordHash(hash) => PasswordCheck::Hash(hash),
        }
    }

    fn secret(&self, has_domain: bool) -> Option<&Secret> {
        match &self.secrets {
            Secrets::Digest { plain, .. } if !has_domain => Some(plain),
            Secrets::Digest { with_domain, .. } => with_domain.as_ref(),
            Secrets::PasswordHash(_) => None,
        }
    }
}

/// The accounts of one domain, as looked up by digest authentication.
#[derive(Debug)]
pub(crate) struct DomainRealm<'d> {
    /// The directory that contains the accounts.
    pub(crate) directory: &'d Directory,
    /// The domain; its name is the realm.
    pub(crate) domain: &'d Domain,
}

impl Realm for DomainRealm<'_> {
    fn name(&self) -> &str {
        &self.domain.name
    }

    fn secret_of(&self, username: &str) -> Option<&Secret> {
        let (name, has_domain) = self.plain_name(username);
        let user = self.directory.user_by_auth_id(name, &self.domain.name);
        let aor = Aor::new(user.unwrap_or(name), &self.domain.name);
        let credentials = &self.directory.account(aor.as_str())?.credentials;
        // An account with an `auth_id` does not authenticate with its user.
        let is_name = credentials.auth_id.as_deref() == user.map(|_| name);
        credentials.secret(has_domain).filter(|_| is_name)
    }

    fn is_named(&self, host: &str) -> bool {
        self.directory
            .domain(host)
            .is_some_and(|domain| domain.name == self.domain.name)
    }
}

impl DomainRealm<'_> {
    /// The user of the account that authenticates with that username.
    pub(crate) fn user_of(&self, username: String) -> String {
        let (name, _) = self.plain_name(&username);
        let user = self.directory.user_by_auth_id(name, &self.domain.name);
        user.unwrap_or(name).to_owned()
    }

    /// Splits off `@domain`. Returns the rest of the username, and whether it had that suffix.
    fn plain_name<'n>(&self, username: &'n str) -> (&'n str, bool) {
        match username.rsplit_once('@') {
            Some((name, domain)) if domain == self.domain.name => (name, true),
            _ => (username, false),
        }
    }
}

impl Directory {
    /// Sets the username of an account for authentication, and what it proves itself by under that
    /// name. Returns false if another account of the domain already uses it. Has no effect if the
    /// account does not exist.
    #[must_use]
    pub fn set_auth_id<'p>(
        &mut self,
        aor: &Aor,
        auth_id: &str,
        proof: impl Into<Proof<'p>>,
    ) -> bool {
        let domain = aor.domain();
        let key = Aor::new(auth_id, domain);
        if self.is_auth_id_taken(aor, auth_id) {
            return false;
        }
        let accounts = Arc::make_mut(&mut self.accounts);
        if let Some(account) = accounts.get_mut(aor.as_str()) {
            account.credentials = Credentials {
                auth_id: Some(auth_id.into()),
                ..Credentials::new(auth_id, domain, &proof.into())
            };
            let users = Arc::make_mut(&mut self.users_by_auth_id);
            users.insert(key.as_str().into(), aor.user().into());
        }
        true
    }

    /// Whether an account other than that of `aor` authenticates by `auth_id`.
    pub(super) fn is_auth_id_taken(&self, aor: &Aor, auth_id: &str) -> bool {
        let key = Aor::new(auth_id, aor.domain());
        let user = self.user_by_auth_id(auth_id, aor.domain());
        user.is_some_and(|user| user != aor.user())
            || key != *aor && self.account(key.as_str()).is_some_and(Self::goes_by_user)
    }

    /// Whether the user of an address is the `auth_id` of another account. An account with that user could not
    /// authenticate.
    #[must_use]
    pub fn is_auth_id_of_another(&self, aor: &Aor) -> bool {
        let user = self.user_by_auth_id(aor.user(), aor.domain());
        user.is_some_and(|user| user != aor.user())
    }

    fn goes_by_user(account: &Account) -> bool {
        account.credentials.auth_id.is_none()
    }

    fn user_by_auth_id(&self, auth_id: &str, domain: &str) -> Option<&str> {
        if self.users_by_auth_id.is_empty() {
            return None;
        }
        let key = Aor::new(auth_id, domain);
        self.users_by_auth_id.get(key.as_str()).map(|user| &**user)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_auth_id_with_and_without_domain() {
        let mut directory = Directory::default();
        let aliases = ["pbx.abc.com".to_owned()];
        directory
            .add_domain(Domain::new("abc.com"), &aliases)
            .unwrap();
        directory.add_account("100", "abc.com", "secret").unwrap();
        directory.add_account("101", "abc.com", "other").unwrap();
        let aor = Aor::new("101", "abc.com");
        assert!(!directory.set_auth_id(&aor, "100", "other"), "taken");
        assert!(directory.set_auth_id(&aor, "device7", "other"));
        assert!(!directory.set_auth_id(&Aor::new("100", "abc.com"), "device7", "secret"));
        let realm = DomainRealm {
            directory: &directory,
            domain: directory.domain("abc.com").unwrap(),
        };
        let table = [
            ("100", Some(("100", "secret"))),
            ("100@abc.com", Some(("100", "secret"))),
            ("100@pbx.abc.com", None),
            ("100@xyz.com", None),
            ("device7", Some(("101", "other"))),
            ("device7@abc.com", Some(("101", "other"))),
            ("101", None),
            ("101@abc.com", None),
            ("", None),
            ("@abc.com", None),
        ];
        for (name, known) in table {
            let secret = realm.secret_of(name);
            assert_eq!(secret.is_some(), known.is_some(), "{name}");
            if let Some((user, password)) = known {
                assert!(secret.unwrap().matches(name, "abc.com", password), "{name}");
                assert_eq!(realm.user_of(name.to_owned()), user);
            }
        }
        assert!(realm.is_named("pbx.abc.com") && !realm.is_named("xyz.com"));
        // HTTP names the user, whatever its auth_id.
        let device = directory.account("101@abc.com").unwrap();
        let PasswordCheck::Secret(secret, name) = device.password_check("101") else {
            unreachable!()
        };
        assert_eq!(name, "device7");
        assert!(secret.matches(name, "abc.com", "other"));
    }

    #[test]
    fn a_token_is_of_its_domain() {
        let tokens = ParksTokens::new("abc.com", ["one", "two"].into_iter());
        assert!(tokens.accept("abc.com", "one") && tokens.accept("abc.com", "two"));
        assert!(!tokens.accept("abc.com", "three") && !tokens.accept("xyz.com", "one"));
        assert!(!ParksTokens::default().accept("abc.com", ""));
        assert!(!format!("{tokens:?}").contains("one"));
    }

    #[test]
    fn an_account_proves_itself_by_hashes() {
        let mut directory = Directory::default();
        directory.add_domain(Domain::new("abc.com"), &[]).unwrap();
        let bare = Proof::Digest {
            plain: Secret::new("100", "abc.com", "secret"),
            with_domain: None,
        };
        directory.add_account("100", "abc.com", bare).unwrap();
        let hash = "$argon2id$v=19$...";
        let hashed = Proof::PasswordHash(hash);
        directory.add_account("app", "abc.com", hashed).unwrap();
        let realm = DomainRealm {
            directory: &directory,
            domain: directory.domain("abc.com").unwrap(),
        };
        let secret = realm.secret_of("100").unwrap();
        assert!(secret.matches("100", "abc.com", "secret"));
        // What was not configured is not known: the form with the domain, a digest of a hash.
        for name in ["100@abc.com", "app", "app@abc.com"] {
            assert!(realm.secret_of(name).is_none(), "{name}");
        }
        let app = directory.account("app@abc.com").unwrap();
        let PasswordCheck::Hash(found) = app.password_check("app") else {
            unreachable!()
        };
        assert_eq!(found, hash);
    }
}
