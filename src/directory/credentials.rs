//! The usernames and secrets of accounts for digest authentication (RFC 7616 §3.4).
//!
//! The username is the account's `auth_id` if it has one, otherwise its user; either may be followed by
//! `@` and the domain name, which some phones send. Each form has a secret of its own, because the
//! username is hashed into it. HTTP uses the user and its password.

use std::sync::Arc;

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::sip::digest::{Realm, Secret};

/// The secrets of an account for digest authentication.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    auth_id: Option<Box<str>>,
    /// H(name:realm:password).
    plain: Secret,
    /// H(name@domain:realm:password).
    with_domain: Secret,
}

impl Credentials {
    /// The secrets of an account without `auth_id`.
    pub(super) fn new(user: &str, domain: &str, password: &str) -> Self {
        Self {
            auth_id: None,
            plain: Secret::new(user, domain, password),
            with_domain: Secret::new(&format!("{user}@{domain}"), domain, password),
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
        let secret = match has_domain {
            true => &credentials.with_domain,
            false => &credentials.plain,
        };
        is_name.then_some(secret)
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
    /// Sets the username of an account for authentication. Returns false if another account of the
    /// domain already uses it. Has no effect if the account does not exist.
    #[must_use]
    pub fn set_auth_id(&mut self, aor: &Aor, auth_id: &str, password: &str) -> bool {
        let domain = aor.domain();
        let key = Aor::new(auth_id, domain);
        let is_taken = self.user_by_auth_id(auth_id, domain).is_some()
            || key != *aor && self.account(key.as_str()).is_some_and(Self::goes_by_user);
        if is_taken {
            return false;
        }
        let accounts = Arc::make_mut(&mut self.accounts);
        if let Some(account) = accounts.get_mut(aor.as_str()) {
            account.credentials = Credentials {
                auth_id: Some(auth_id.into()),
                ..Credentials::new(auth_id, domain, password)
            };
            let users = Arc::make_mut(&mut self.users_by_auth_id);
            users.insert(key.as_str().into(), aor.user().into());
        }
        true
    }

    fn goes_by_user(account: &super::Account) -> bool {
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
    }
}
