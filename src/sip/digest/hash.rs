//! The hashes of digest authentication (RFC 7616 §3.4), always as lower-case hexadecimal digits,
//! which is how the RFC chains them.

use md5::{Digest, Md5};
use sha2::Sha256;

use super::Algorithm;

/// Digits of the longest hash.
const DIGITS_MAX: usize = 64;

/// A hash in hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct HexHash {
    digits: [u8; DIGITS_MAX],
    length: usize,
}

impl HexHash {
    /// The digits.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }

    fn new(octets: &[u8]) -> Self {
        let mut hash = Self {
            digits: [0; DIGITS_MAX],
            length: 2 * octets.len(),
        };
        write_hex(octets, &mut hash.digits);
        hash
    }
}

/// H of the parts, joined with colons.
pub(super) fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> HexHash {
    match algorithm {
        Algorithm::Md5 => HexHash::new(&digest::<Md5>(parts)),
        Algorithm::Sha256 => HexHash::new(&digest::<Sha256>(parts)),
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> md5::digest::Output<D> {
    let mut hasher = D::new();
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    hasher.finalize()
}

/// Writes two lower-case digits per octet, until `digits` is full.
pub(super) fn write_hex(octets: &[u8], digits: &mut [u8]) {
    for (octet, pair) in octets.iter().zip(digits.chunks_exact_mut(2)) {
        for (digit, nibble) in pair.iter_mut().zip([octet >> 4, octet & 15]) {
            *digit = b"0123456789abcdef"[usize::from(nibble)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_by_colons() {
        let user = hash(
            Algorithm::Md5,
            &[b"Mufasa", b"testrealm@host.com", b"Circle Of Life"],
        );
        assert_eq!(user.as_bytes(), b"939e7578ed9e3c518a452acee763bce9");
        let nothing = hash(Algorithm::Sha256, &[]);
        assert_eq!(
            nothing.as_bytes(),
            b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
