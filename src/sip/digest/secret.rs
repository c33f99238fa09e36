//! The secret that is stored instead of a password.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use super::Algorithm;
use super::hash::hash;

/// H(user:realm:password) (RFC 7616 §3.4.2) for each algorithm of which it is known, so that no
/// password stays in memory. Within its realm it is equivalent to the password, so it is never
/// printed.
#[derive(Clone, Default)]
pub struct Secret {
    md5: Option<[u8; 32]>,
    sha256: Option<[u8; 64]>,
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
        Self {
            md5: digits(hash(Algorithm::Md5, &parts).as_bytes()),
            sha256: digits(hash(Algorithm::Sha256, &parts).as_bytes()),
        }
    }

    /// Adds a hash that was computed elsewhere, in hexadecimal digits: 32 are MD5, 64 are SHA-256.
    /// None if it is neither, or if that hash is known already.
    #[must_use]
    pub fn with_hash(mut self, hash: &str) -> Option<Self> {
        if !hash.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return None;
        }
        let hash = hash.to_ascii_lowercase().into_bytes();
        match (digits(&hash), digits(&hash)) {
            (md5 @ Some(_), None) if self.md5.is_none() => self.md5 = md5,
            (None, sha256 @ Some(_)) if self.sha256.is_none() => self.sha256 = sha256,
            _ => return None,
        }
        Some(self)
    }

    /// Returns whether `password` is the user's, compared in constant time (for HTTP; W:D1.8).
    #[must_use]
    pub fn matches(&self, user: &str, realm: &str, password: &str) -> bool {
        let other = Self::new(user, realm, password);
        let is_md5 = is_equal(self.md5.as_ref(), other.md5.as_ref());
        let is_sha256 = is_equal(self.sha256.as_ref(), other.sha256.as_ref());
        let is_known = self.md5.is_some() | self.sha256.is_some();
        bool::from(is_md5 & is_sha256) & is_known
    }

    /// The hash of user, realm and password in hexadecimal digits; None if it is not known of that
    /// algorithm.
    #[must_use]
    pub fn hash(&self, algorithm: Algorithm) -> Option<&[u8]> {
        match algorithm {
            Algorithm::Md5 => self.md5.as_ref().map(<[u8; 32]>::as_slice),
            Algorithm::Sha256 => self.sha256.as_ref().map(<[u8; 64]>::as_slice),
        }
    }
}

/// The digits, if there are `N` of them.
fn digits<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    digits.try_into().ok()
}

/// Whether a presented hash is the stored one, in constant time. Without a stored one it is not
/// wrong.
fn is_equal<const N: usize>(stored: Option<&[u8; N]>, presented: Option<&[u8; N]>) -> Choice {
    match (stored, presented) {
        (Some(stored), Some(presented)) => stored.ct_eq(presented),
        (stored, _) => Choice::from(u8::from(stored.is_none())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
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
    fn a_hash_made_elsewhere_is_as_good_as_the_password() {
        let whole = Secret::new("123", "abc.com", "geheim");
        let digits = |algorithm| std::str::from_utf8(whole.hash(algorithm).unwrap()).unwrap();
        let (md5, sha256) = (digits(Algorithm::Md5), digits(Algorithm::Sha256));
        assert_eq!((md5.len(), sha256.len()), (32, 64));
        for hashes in [&[md5][..], &[sha256], &[sha256, md5]] {
            let secret = hashes.iter().try_fold(Secret::default(), |secret, hash| {
                secret.with_hash(&hash.to_ascii_uppercase())
            });
            let secret = secret.unwrap();
            assert!(secret.matches("123", "abc.com", "geheim"), "{hashes:?}");
            assert!(!secret.matches("123", "abc.com", "Geheim"), "{hashes:?}");
        }
        let one = Secret::default().with_hash(md5).unwrap();
        assert!(one.hash(Algorithm::Sha256).is_none());
        assert!(one.clone().with_hash(md5).is_none(), "given twice");
        for wrong in ["", "0123", "g".repeat(32).as_str(), &md5[1..]] {
            assert!(one.clone().with_hash(wrong).is_none(), "{wrong}");
        }
    }

    /// Without any hash no password is right.
    #[test]
    fn nothing_matches_an_empty_secret() {
        for password in ["", "geheim"] {
            assert!(!Secret::default().matches("", "", password));
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(
            format!("{:?}", Secret::new("123", "abc.com", "geheim")),
            "Secret { .. }"
        );
    }
}
