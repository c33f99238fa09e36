//! Stateless nonces (RFC 7616 §5.4; W:A7.6): a time and a salt in the clear, and a MAC that binds
//! both to the realm, and to nothing else: not to a process, a shard or an address. Every process with the
//! key can check them: all shards, all nodes, the next process. They are short, so that a
//! challenge does not amplify (W:E3.8): the letters are those of base64url (RFC 4648 §5).

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// Octets of the time of issue: milliseconds since 1970 UTC, which lasts almost nine thousand years.
const ISSUED_OCTETS: usize = 6;
const SALT_OCTETS: usize = 4;
const MAC_OCTETS: usize = 8;
const NONCE_OCTETS: usize = ISSUED_OCTETS + SALT_OCTETS + MAC_OCTETS;

/// Letters of a nonce: four per three octets.
pub(super) const NONCE_LETTERS: usize = NONCE_OCTETS / 3 * 4;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const _: () = assert!(NONCE_OCTETS.is_multiple_of(3));

/// The unique part of a nonce. Ordered by the time of issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NonceId {
    /// Milliseconds since 1970 UTC.
    pub(super) issued_millis: u64,
    pub(super) salt: u32,
}

/// Issues nonces and recognises its own.
#[derive(Clone, Debug)]
pub(super) struct NonceKey(Hmac<Sha256>);

impl NonceId {
    /// Issues the nonce with that salt at that time.
    pub(super) fn new(time: Duration, salt: u32) -> Self {
        let millis_max = (1 << (8 * ISSUED_OCTETS)) - 1;
        Self {
            issued_millis: u64::try_from(time.as_millis())
                .unwrap_or(millis_max)
                .min(millis_max),
            salt,
        }
    }

    fn clear_part(self) -> [u8; ISSUED_OCTETS + SALT_OCTETS] {
        let mut octets = [0; ISSUED_OCTETS + SALT_OCTETS];
        let (issued, salt) = octets.split_at_mut(ISSUED_OCTETS);
        issued.copy_from_slice(&self.issued_millis.to_be_bytes()[8 - ISSUED_OCTETS..]);
        salt.copy_from_slice(&self.salt.to_be_bytes());
        octets
    }
}

impl NonceKey {
    /// A key of 256 bits; HMAC fills it up to its block with zeros.
    pub(super) fn new(key: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&key);
        Self(Hmac::new(&block.into()))
    }

    /// The nonce as written on the wire.
    pub(super) fn write(&self, id: NonceId, realm: &str) -> [u8; NONCE_LETTERS] {
        let mut octets = [0; NONCE_OCTETS];
        let (clear, mac) = octets.split_at_mut(ISSUED_OCTETS + SALT_OCTETS);
        clear.copy_from_slice(&id.clear_part());
        mac.copy_from_slice(&self.mac(id, realm));
        to_letters(&octets)
    }

    /// Parses a nonce. Returns its unique part and whether we issued it for that realm; None if it
    /// does not have the form of our nonces.
    pub(super) fn read(&self, nonce: &[u8], realm: &str) -> Option<(NonceId, Choice)> {
        let octets = from_letters(nonce)?;
        let (clear, mac) = octets.split_at_checked(ISSUED_OCTETS + SALT_OCTETS)?;
        let (issued, salt) = clear.split_at_checked(ISSUED_OCTETS)?;
        let id = NonceId {
            issued_millis: big_endian(issued),
            salt: big_endian(salt) as u32,
        };
        Some((id, self.mac(id, realm).ct_eq(mac)))
    }

    fn mac(&self, id: NonceId, realm: &str) -> [u8; MAC_OCTETS] {
        let mac = self
            .0
            .clone()
            .chain_update(id.clear_part())
            .chain_update(realm)
            .finalize()
            .into_bytes();
        let mut octets = [0; MAC_OCTETS];
        octets.copy_from_slice(&mac[..MAC_OCTETS]);
        octets
    }
}

fn big_endian(octets: &[u8]) -> u64 {
    octets
        .iter()
        .fold(0, |number, octet| number << 8 | u64::from(*octet))
}

fn to_letters(octets: &[u8; NONCE_OCTETS]) -> [u8; NONCE_LETTERS] {
    let mut letters = [0; NONCE_LETTERS];
    for (four, three) in letters.chunks_exact_mut(4).zip(octets.chunks_exact(3)) {
        let bits = big_endian(three);
        for (letter, shift) in four.iter_mut().zip([18, 12, 6, 0]) {
            *letter = LETTERS[(bits >> shift & 63) as usize];
        }
    }
    letters
}

fn from_letters(letters: &[u8]) -> Option<[u8; NONCE_OCTETS]> {
    if letters.len() != NONCE_LETTERS {
        return None;
    }
    let mut octets = [0; NONCE_OCTETS];
    for (three, four) in octets.chunks_exact_mut(3).zip(letters.chunks_exact(4)) {
        let mut bits = 0;
        for letter in four {
            let value = LETTERS.iter().position(|known| known == letter)?;
            bits = bits << 6 | value as u32;
        }
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(octets)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn is_ours(key: &NonceKey, nonce: &[u8], realm: &str) -> bool {
        key.read(nonce, realm)
            .is_some_and(|(_, ours)| bool::from(ours))
    }

    #[test]
    fn a_nonce_comes_back_as_it_was() {
        let key = NonceKey::new([3; 32]);
        let id = NonceId::new(Duration::from_millis(0x1234_5678_9abc), 0xfedc_ba98);
        let nonce = key.write(id, "abc.com");
        // base64url of 12 34 56 78 9a bc fe dc ba
        assert!(nonce.starts_with(b"EjRWeJq8_ty6"), "{nonce:?}");
        let (read, ours) = key.read(&nonce, "abc.com").unwrap();
        assert_eq!(read, id);
        assert!(bool::from(ours));
    }

    #[test]
    fn a_changed_digit_another_realm_or_key_is_not_ours() {
        let key = NonceKey::new([3; 32]);
        let nonce = key.write(NonceId::new(Duration::from_secs(9), 77), "abc.com");
        for position in 0..nonce.len() {
            let mut changed = nonce;
            changed[position] = if changed[position] == b'0' {
                b'1'
            } else {
                b'0'
            };
            assert!(!is_ours(&key, &changed, "abc.com"), "letter {position}");
        }
        assert!(!is_ours(&key, &nonce, "abc.org"));
        assert!(!is_ours(&NonceKey::new([4; 32]), &nonce, "abc.com"));
    }

    #[test]
    fn arbitrary_text_is_not_our_nonce() {
        let key = NonceKey::new([3; 32]);
        for nonce in [
            &b""[..],
            b"00",
            &[b'='; NONCE_LETTERS],
            &[0xff; NONCE_LETTERS],
            &[b'0'; NONCE_LETTERS + 1],
        ] {
            assert!(key.read(nonce, "abc.com").is_none());
        }
        assert!(!is_ours(&key, &[b'0'; NONCE_LETTERS], "abc.com"));
    }

    #[test]
    fn a_time_beyond_the_field_is_clamped() {
        assert_eq!(NonceId::new(Duration::MAX, 0).issued_millis, (1 << 48) - 1);
    }
}
