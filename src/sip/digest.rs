//! Digest access authentication as a server (RFC 7616, 8760, RFC 3261 §22; W:A7). Nonces are stateless: a time, a MAC.
//! The nonce counts already seen are kept by [`ReplayWindow`]s.

use std::time::Duration;

use crate::sip::Message;

/// A hash algorithm of RFC 7616.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, what every phone knows.
    Md5,
    /// `SHA-256`.
    Sha256,
}

/// H(user:realm:password) for each algorithm, so that no password stays in memory.
#[derive(Clone, Debug)]
pub struct Secret { /* private */ }

impl Secret {
    /// Hashes a password once.
    #[must_use]
    pub fn new(user: &str, realm: &str, password: &str) -> Self {
        todo!()
    }

    /// Whether `password` is the one, in constant time (for HTTP, W:D1.8).
    #[must_use]
    pub fn matches(&self, user: &str, realm: &str, password: &str) -> bool {
        todo!()
    }
}

/// Why a request is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No Authorization for this realm, or of a scheme or algorithm we do not know: challenge.
    NoCredentials,
    /// The response is right but the nonce is too old or its count was used before: challenge with stale=true.
    Stale,
    /// Wrong response, unknown user, foreign or forged nonce: challenge.
    Wrong,
    /// The credentials cannot be read, or their uri is not the request's (W:A7.5).
    Malformed,
}

/// The keys and limits of a server's challenges; the same on every shard, so that any of them can verify.
#[derive(Clone, Debug)]
pub struct Authenticator { /* private: MAC key, nonce life */ }

impl Authenticator {
    /// `key` signs the nonces; `nonce_life` should not be shorter than the longest granted expiry (W: PEERS 31).
    #[must_use]
    pub fn new(key: [u8; 32], nonce_life: Duration) -> Self {
        todo!()
    }

    /// Appends the WWW-Authenticate header lines of a 401, one per algorithm, most preferred first. `uptime` is the time since the
    /// server's epoch, `salt` makes two nonces of one instant differ.
    pub fn write_challenge(&self, out: &mut Vec<u8>, realm: &str, algorithms: &[Algorithm], stale: bool, uptime: Duration, salt: u64) {
        todo!()
    }

    /// Verifies the request's Authorization for `realm`. `secret_of` looks up the user; an unknown one takes the same path and time.
    /// Returns the authenticated user name (unescaped).
    pub fn verify<'s>(
        &self, request: &Message<'_>, realm: &str, secret_of: impl FnOnce(&str) -> Option<&'s Secret>, replay: &mut ReplayWindows,
        uptime: Duration,
    ) -> Result<String, Denied> {
        todo!()
    }
}

/// The nonce counts seen, a window of 64 per nonce (W:A7.4); bounded, the oldest nonce is forgotten first, and a forgotten
/// nonce counts as stale.
#[derive(Debug)]
pub struct ReplayWindows { /* private */ }

impl ReplayWindows {
    /// Room for `nonces_max` nonces.
    #[must_use]
    pub fn new(nonces_max: usize) -> Self {
        todo!()
    }
}
