//! Passwords whose hash was verified, so that an application that reports every call pays for its password
//! hash once and not with each request.
//!
//! An entry is a MAC of the account's hash and the password under a key of this process: it tells nothing
//! of either, and once the account has another hash it is not found any more. Only right passwords are
//! remembered; wrong ones are limited by `attempts`. The table is bounded: the oldest entry is replaced.
//!
//! Verifications take turns: at most one runs, and [`WAITING_MAX`] wait.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

use glommio::sync::{Permit, Semaphore};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::directory::accounts::StoredSecrets;

/// Passwords remembered, 64 octets each.
const REMEMBERED_MAX: usize = 4096;
/// Requests that may wait for the verification of others; one more gets 503.
const WAITING_MAX: usize = 64;

/// The table, and the turns of those who are not in it.
pub(crate) struct VerifiedPasswords {
    key: Hmac<Sha256>,
    remembered: RefCell<Remembered>,
    turns: Semaphore,
    waiting: Cell<usize>,
}

#[derive(Default)]
struct Remembered {
    known: HashSet<Entry>,
    /// Oldest first.
    order: VecDeque<Entry>,
}

/// A MAC of a hash and a password.
type Entry = [u8; 32];

impl VerifiedPasswords {
    /// An empty table; `key` is random.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&key);
        Self {
            key: Hmac::new(&block.into()),
            remembered: RefCell::default(),
            turns: Semaphore::new(1),
            waiting: Cell::new(0),
        }
    }

    /// Whether this password was verified to have this hash.
    pub(crate) fn knows(&self, hash: &str, password: &str) -> bool {
        let entry = self.entry(hash, password);
        self.remembered.borrow().known.contains(&entry)
    }

    /// Remembers a password that was verified to have this hash.
    pub(crate) fn remember(&self, hash: &str, password: &str) {
        let entry = self.entry(hash, password);
        let mut remembered = self.remembered.borrow_mut();
        if !remembered.known.insert(entry) {
            return;
        }
        remembered.order.push_back(entry);
        if remembered.order.len() > REMEMBERED_MAX
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.known.remove(&oldest);
        }
    }

    /// Waits for the turn to verify a password; it ends when the permit is dropped. None if too many
    /// wait already.
    pub(crate) async fn turn(&self) -> Option<Permit<'_>> {
        if self.waiting.get() >= WAITING_MAX {
            return None;
        }
        let _waiting = Waiting::new(&self.waiting);
        self.turns.acquire_permit(1).await.ok()
    }

    /// Whether a name without an account takes the time of a password hash. It is the same each time for
    /// the same name, and peers cannot tell which names.
    pub(crate) fn is_dear_decoy(&self, name: &str) -> bool {
        self.entry("", name)[0] & 1 == 1
    }

    /// A mark of an account's secret, in hexadecimal. Another secret has another mark, as has the next process.
    pub(crate) fn mark(&self, secret: &StoredSecrets) -> String {
        let parts = match secret {
            StoredSecrets::PasswordHash(hash) => vec![&**hash],
            StoredSecrets::Digest { plain, with_domain } => {
                let hashes = plain.iter().chain(with_domain);
                hashes.map(|hash| &**hash).collect()
            }
        };
        let entry = self.entry("mark", &parts.join(" "));
        entry[..8]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect()
    }

    fn entry(&self, hash: &str, password: &str) -> Entry {
        let length = hash.len().to_be_bytes();
        let mac = self.key.clone().chain_update(length).chain_update(hash);
        mac.chain_update(password).finalize().into_bytes().into()
    }
}

/// Counts one that waits, also if its connection is closed meanwhile.
struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a Cell<usize>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_for_its_hash_only() {
        let passwords = VerifiedPasswords::new([7; 32]);
        passwords.remember("hash", "secret");
        assert!(passwords.knows("hash", "secret"));
        for (hash, password) in [
            ("hash", "Secret"),
            ("hash2", "secret"),
            ("hashs", "ecret"),
            ("", "hashsecret"),
        ] {
            assert!(!passwords.knows(hash, password), "{hash} {password}");
        }
    }

    #[test]
    fn the_oldest_is_replaced() {
        let passwords = VerifiedPasswords::new([7; 32]);
        for number in 0..=REMEMBERED_MAX {
            passwords.remember("hash", &number.to_string());
            passwords.remember("hash", &number.to_string());
        }
        assert!(!passwords.knows("hash", "0"));
        assert!(passwords.knows("hash", "1") && passwords.knows("hash", "4096"));
        assert_eq!(passwords.remembered.borrow().known.len(), REMEMBERED_MAX);
    }

    #[test]
    fn some_names_are_dear_and_always_the_same() {
        let passwords = VerifiedPasswords::new([7; 32]);
        let dear = |names: std::ops::Range<u32>| {
            names
                .map(|name| passwords.is_dear_decoy(&name.to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(dear(0..100), dear(0..100));
        let count = dear(0..100).iter().filter(|is_dear| **is_dear).count();
        assert!((25..75).contains(&count), "{count}");
    }
}
