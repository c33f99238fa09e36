//! Routing tokens: every To-tag and every Via branch that we mint names its shard and table index,
//! so that any shard can forward a message to the right one, which finds the entry without a
//! search.
//!
//! A token ends with 64 random bits. They make it unguessable, and a token of a removed entry
//! matches no later one.

use crate::shard::contract::flow::ShardId;
use crate::sip::random::Random;

/// Octets of a token.
pub(crate) const OCTETS: usize = 28;

/// The magic cookie that begins every branch (RFC 3261 §8.1.1.7).
pub(crate) const BRANCH_COOKIE: &str = "z9hG4bK";

/// Shard, index and nonce of a dialog or transaction, written `ssssiiiiiiiinnnnnnnnnnnnnnnn` in
/// lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoutingToken {
    pub(crate) shard: ShardId,
    pub(crate) index: u32,
    pub(crate) nonce: u64,
}

impl RoutingToken {
    /// A token with a new random nonce.
    pub(crate) fn mint(shard: ShardId, index: u32, random: &mut Random) -> Self {
        Self {
            shard,
            index,
            nonce: random.next_u64(),
        }
    }

    /// The token as written in a To-tag.
    #[inline]
    pub(crate) fn octets(self) -> [u8; OCTETS] {
        let mut octets = [0; OCTETS];
        let (shard, rest) = octets.split_at_mut(4);
        let (words, _) = rest.as_chunks_mut::<8>();
        shard.copy_from_slice(&digits(u32::from(self.shard.0))[4..]);
        words[0] = digits(self.index);
        words[1] = digits((self.nonce >> 32) as u32);
        words[2] = digits(self.nonce as u32);
        octets
    }

    /// Parses a tag; None if we did not mint it.
    pub(crate) fn of_tag(tag: &[u8]) -> Option<Self> {
        let octets: &[u8; OCTETS] = tag.try_into().ok()?;
        let (shard, rest) = octets.split_at(4);
        let (words, _) = rest.as_chunks::<8>();
        let mut padded = [b'0'; 8];
        padded[4..].copy_from_slice(shard);
        let token = Self {
            shard: ShardId(value(padded) as u16),
            index: value(words[0]),
            nonce: u64::from(value(words[1])) << 32 | u64::from(value(words[2])),
        };
        // A digit that we do not write, such as an upper-case one, does not survive writing the
        // token again.
        (token.octets() == *octets).then_some(token)
    }

    /// Parses a branch; None if we did not mint it.
    pub(crate) fn of_branch(branch: &[u8]) -> Option<Self> {
        Self::of_tag(branch.strip_prefix(BRANCH_COOKIE.as_bytes())?)
    }

    /// The index in a branch of ours, without a check of the rest. For any other branch the value
    /// is arbitrary.
    #[inline]
    pub(crate) fn index_in(branch: &[u8]) -> Option<u32> {
        let index = branch.get(BRANCH_COOKIE.len() + 4..)?.first_chunk::<8>()?;
        Some(value(*index))
    }

    /// Whether `branch` is the branch with this token.
    #[inline]
    pub(crate) fn is_in(self, branch: &[u8]) -> bool {
        branch.strip_prefix(BRANCH_COOKIE.as_bytes()) == Some(&self.octets())
    }
}

/// The eight lower-case hexadecimal digits of a number, computed in parallel in one 64-bit word.
#[inline]
fn digits(number: u32) -> [u8; 8] {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let number = u64::from(number);
    let number = (number | number << 16) & 0x0000_ffff_0000_ffff;
    let number = (number | number << 8) & 0x00ff_00ff_00ff_00ff;
    let number = (number | number << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let is_letter = ((number + ONES * 6) >> 4) & ONES;
    let digits = number + ONES * u64::from(b'0') + is_letter * u64::from(b'a' - b'0' - 10);
    digits.to_be_bytes()
}

/// The number that eight lower-case hexadecimal digits write. For any other octets the value is
/// arbitrary.
#[inline]
fn value(digits: [u8; 8]) -> u32 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let digits = u64::from_be_bytes(digits);
    let is_letter = (digits >> 6) & ONES;
    let number = ((digits & (ONES * 15)) + is_letter * 9) & (ONES * 15);
    let number = (number | number >> 4) & 0x00ff_00ff_00ff_00ff;
    let number = (number | number >> 8) & 0x0000_ffff_0000_ffff;
    (number | number >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_wire() {
        let mut random = Random::new([1; 32]);
        for index in [0, 1, 77, u32::MAX] {
            let token = RoutingToken::mint(ShardId(513), index, &mut random);
            assert_eq!(RoutingToken::of_tag(&token.octets()), Some(token));
            let branch = [BRANCH_COOKIE.as_bytes(), &token.octets()].concat();
            assert_eq!(RoutingToken::of_branch(&branch), Some(token));
            assert_eq!(RoutingToken::index_in(&branch), Some(index));
            let other = RoutingToken::mint(ShardId(513), index, &mut random);
            assert!(token.is_in(&branch) && !other.is_in(&branch));
            assert!(!token.is_in(&token.octets()) && !token.is_in(&branch[..branch.len() - 1]));
        }
        let token = RoutingToken {
            shard: ShardId(0x0a1f),
            index: 0x0123_4567,
            nonce: 0x89ab_cdef_fedc_ba98,
        };
        assert_eq!(&token.octets(), b"0a1f0123456789abcdeffedcba98");
        for at in 0..OCTETS {
            for octet in (0..=u8::MAX).filter(|octet| !b"0123456789abcdef".contains(octet)) {
                let mut octets = token.octets();
                octets[at] = octet;
                assert_eq!(RoutingToken::of_tag(&octets), None, "{octet} at {at}");
            }
        }
        assert_eq!(RoutingToken::of_tag(b"0001"), None);
        assert_eq!(RoutingToken::of_tag(&[b'g'; OCTETS]), None);
        assert_eq!(RoutingToken::of_branch(b"z9hG4bKabc"), None);
    }
}
