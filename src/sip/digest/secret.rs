//! The secret that is stored instead of a password.

use std::fmt;

use subtle::ConstantTimeEq;

use super::Algorithm;
use super::hash::hash;

/// H(user:realm:password) for each algorithm, so that no password stays in memory. Within its realm
/// it is equivalent to the password, so it is never printed.
#[derive(Clone)]
pub struct Secret {
    md5: [u8; 32],
    sha256: [u8; 64],
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Secret {
    /// Hashes a password once.
    #[must_use]
    pub fn new(user: &str, realm: &str, password: &str) -> Self {
        Self::of_realm(user, realm.as_bytes(), password)
    }

    /// Hashes a password once, for a realm that is not necessarily UTF-8.
    pub(super) fn of_realm(user: &str, realm: &[u8], password: &str) -> Self {
        let parts = [user.as_bytes(), realm, password.as_bytes()];
        let mut secret = Self {
            md5: [0; 32],
            sha256: [0; 64],
        };
        secret
            .md5
            .copy_from_slice(hash(Algorithm::Md5, &parts).as_bytes());
        secret
            .sha256
            .copy_from_slice(hash(Algorithm::Sha256, &parts).as_bytes());
        secret
    }

    /// Returns whether `password` is the user's, compared in constant time (for HTTP; W:D1.8).
    #[must_use]
    pub fn matches(&self, user: &str, realm: &str, password: &str) -> bool {
        let other = Self::new(user, realm, password);
        (self.md5.ct_eq(&other.md5) & self.sha256.ct_eq(&other.sha256)).into()
    }

    /// The hash of user, realm and password in hexadecimal digits.
    pub(super) fn of(&self, algorithm: Algorithm) -> &[u8] {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_accepts_its_password() {
        let secret = Secret::new("123", "abc.com", "geheim");
        assert!(secret.matches("123", "abc.com", "geheim"));
        assert!(!secret.matches("123", "abc.com", "Geheim"));
        assert!(!secret.matches("124", "abc.com", "geheim"));
        assert!(!secret.matches("123", "abc.org", "geheim"));
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(
            format!("{:?}", Secret::new("123", "abc.com", "geheim")),
            "Secret { .. }"
        );
    }
}
