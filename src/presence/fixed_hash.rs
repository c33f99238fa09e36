//! Hashes that are equal in every process, on every machine and after every upgrade: for values on
//! which the shards of a node must agree, and for values that outlive the process (entity tags, the
//! identity of a publisher).
//!
//! Neither hash has a secret key, so neither is for tables whose keys a peer can choose. The
//! standard library's hashers promise nothing from one release to the next, and the input that
//! `derive(Hash)` generates depends on the order of variants: use neither of them here.

use std::hash::{BuildHasherDefault, Hasher};

use siphasher::sip::SipHasher13;

/// FNV-1a of 64 bits: for short keys.
pub(crate) fn fnv1a(octets: &[u8]) -> u64 {
    fnv1a_of_parts(&[octets])
}

/// FNV-1a of several pieces, concatenated.
pub(crate) fn fnv1a_of_parts(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .copied()
        .flatten()
        .copied()
        .fold(FNV_BASIS, fnv1a_step)
}

/// FNV-1a of no octets.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of one more octet.
#[inline]
const fn fnv1a_step(hash: u64, octet: u8) -> u64 {
    (hash ^ octet as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// [`fnv1a`] as the hasher of a map: for few short keys that the operator chose.
pub(crate) type BuildFnv1a = BuildHasherDefault<Fnv1a>;

/// See [`BuildFnv1a`].
#[derive(Clone, Debug)]
pub(crate) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(FNV_BASIS)
    }
}

impl Hasher for Fnv1a {
    #[inline]
    fn write(&mut self, octets: &[u8]) {
        self.0 = octets.iter().copied().fold(self.0, fnv1a_step);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// SipHash-1-3 with the key zero: for documents, and for values of several fields. Different
/// documents have equal hashes only by chance.
#[derive(Clone, Debug)]
pub(crate) struct SipHash13(SipHasher13);

impl SipHash13 {
    /// A hash of no input so far.
    pub(crate) fn new() -> Self {
        Self(SipHasher13::new())
    }

    /// The hash of one field, see [`Self::field`].
    pub(crate) fn of(octets: &[u8]) -> u64 {
        let mut hash = Self::new();
        hash.field(octets);
        hash.finish()
    }

    /// Adds a field of any length: its length, then its octets, so that no octet can move from one
    /// field to the next.
    pub(crate) fn field(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.raw(octets);
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, number: u64) {
        self.0.write_u64(number.to_le());
    }

    /// Adds octets without their length.
    pub(crate) fn raw(&mut self, octets: &[u8]) {
        self.0.write(octets);
    }

    /// The hash of all input.
    pub(crate) fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::{Fnv1a, SipHash13, fnv1a, fnv1a_of_parts};

    /// Test vectors: entity tags that phones hold must mean the same after an upgrade.
    #[test]
    fn the_hashes_never_change() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(fnv1a_of_parts(&[b"foo", b"bar"]), fnv1a(b"foobar"));
        let mut hasher = Fnv1a::default();
        hasher.write(b"foo");
        hasher.write(b"bar");
        assert_eq!(hasher.finish(), fnv1a(b"foobar"));
        let octets: Vec<u8> = (0..=255).collect();
        let table = [
            (0, 0xd1fb_a762_150c_532c),
            (1, 0x68a9_1412_8e01_e473),
            (7, 0x2f09_8ab0_c751_325a),
            (8, 0xead4_11e6_7ebe_2eea),
            (15, 0xf30e_b725_bb91_c9ea),
            (255, 0x5dc1_f93e_a135_eb43),
        ];
        for (length, expected) in table {
            let mut hash = SipHash13::new();
            hash.raw(&octets[..length]);
            assert_eq!(hash.finish(), expected, "{length} octets");
        }
        assert_eq!(SipHash13::of(b"<dialog-info/>"), 0x3082_35ca_0164_385b);
    }

    #[test]
    fn a_hash_depends_on_the_fields_and_not_on_their_chunks() {
        let text = b"what is hashed in pieces of any length";
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut hash = SipHash13::new();
                hash.number(7);
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    hash.raw(piece);
                }
                let mut whole = SipHash13::new();
                whole.raw(&7u64.to_le_bytes());
                whole.raw(text);
                assert_eq!(hash.finish(), whole.finish(), "{first} {second}");
            }
        }
        let of_fields = |fields: [&[u8]; 2]| {
            let mut hash = SipHash13::new();
            fields.iter().for_each(|field| hash.field(field));
            hash.finish()
        };
        assert_ne!(of_fields([b"ab", b"c"]), of_fields([b"a", b"bc"]));
    }
}
