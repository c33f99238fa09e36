//! Name and password of an account.

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::sip::digest::Secret;

/// What a password is compared with. There is always something: the account's secret, or the
/// decoy's where domain or user are unknown, so that the same work is done whatever is wrong
/// (W:D1.8).
pub(super) struct CredentialCheck<'d> {
    aor: Aor,
    realm: &'d str,
    secret: &'d Secret,
    /// The account's domain; None when there is no account.
    domain: Option<&'d Domain>,
}

impl<'d> CredentialCheck<'d> {
    /// For the account of `user` in `domain`, whether or not there is one.
    pub(super) fn new(
        directory: &'d Directory,
        decoy: &'d Secret,
        domain: &'d str,
        user: &str,
    ) -> Self {
        let found = directory.domain(&domain.to_ascii_lowercase());
        let realm = found.map_or(domain, |domain| domain.name.as_str());
        let aor = Aor::new(user, realm);
        let account = directory.account(aor.as_str());
        let secret = account.map_or(decoy, |account| &account.secret);
        Self {
            realm,
            secret,
            domain: found.filter(|_| account.is_some()),
            aor,
        }
    }

    /// The domain, in the name it has in the configuration.
    pub(super) fn realm(&self) -> &'d str {
        self.realm
    }

    /// The presentity and its domain when the password is right. The comparison always runs.
    pub(super) fn accept(self, user: &str, password: &str) -> Option<(Aor, &'d Domain)> {
        let is_right = self.secret.matches(user, self.realm, password);
        self.domain
            .filter(|_| is_right)
            .map(|domain| (self.aor, domain))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Whatever is wrong, the work is the same: one comparison, with the account's secret or with
    /// the decoy's.
    #[test]
    fn there_is_always_a_secret_to_compare_with() {
        let mut directory = Directory::default();
        let domain = Domain {
            open: true,
            ..Domain::new("abc.com")
        };
        directory.add_domain(domain, &[]).unwrap();
        directory.add_account("123", "abc.com", "right").unwrap();
        let decoy = Secret::new("nobody", "invalid", "");
        let check = |domain, user| CredentialCheck::new(&directory, &decoy, domain, user);
        let account = &directory.account("123@abc.com").unwrap().secret;
        assert!(std::ptr::eq(check("ABC.com", "123").secret, account));
        for (domain, user) in [
            ("abc.com", "999"),
            ("nowhere", "123"),
            ("", ""),
            ("invalid", "nobody"),
        ] {
            assert!(std::ptr::eq(check(domain, user).secret, &decoy));
            assert!(check(domain, user).accept(user, "").is_none());
        }
        assert!(check("abc.com", "123").accept("123", "wrong").is_none());
        assert_eq!(
            check("abc.com", "123")
                .accept("123", "right")
                .unwrap()
                .0
                .as_str(),
            "123@abc.com"
        );
    }
}
