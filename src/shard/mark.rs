//! The marks in what we mint: every To-tag and Via branch of ours names its shard and place, so
//! that any shard can hand a message on and the right one finds its record by index. 64 random bits
//! beside it make a mark unguessable and a stale one harmless.

use crate::shard::flow::ShardId;
use crate::sip::random::Random;

/// Octets of a mark.
pub(crate) const OCTETS: usize = 28;

/// The magic cookie every branch begins with (RFC 3261 §8.1.1.7).
pub(crate) const BRANCH_COOKIE: &[u8] = b"z9hG4bK";

/// Where a record lives: `ssssiiiiiiiinnnnnnnnnnnnnnnn` in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) shard: ShardId,
    pub(crate) index: u32,
    pub(crate) nonce: u64,
}

impl Mark {
    pub(crate) fn mint(shard: ShardId, index: u32, random: &mut Random) -> Self {
        Self {
            shard,
            index,
            nonce: random.next_u64(),
        }
    }

    pub(crate) fn octets(self) -> [u8; OCTETS] {
        let mut octets = [0; OCTETS];
        let value = (u128::from(self.shard.0) << 96)
            | (u128::from(self.index) << 64)
            | u128::from(self.nonce);
        for (place, octet) in octets.iter_mut().rev().enumerate() {
            *octet = b"0123456789abcdef"[(value >> (4 * place)) as usize & 15];
        }
        octets
    }

    /// The mark a tag is; None for a tag that is none of ours.
    pub(crate) fn of_tag(tag: &[u8]) -> Option<Self> {
        let octets: &[u8; OCTETS] = tag.try_into().ok()?;
        let (place, nonce) = octets.split_at(OCTETS - 16);
        let place = hexadecimal(place)?;
        Some(Self {
            shard: ShardId((place >> 32) as u16),
            index: place as u32,
            nonce: hexadecimal(nonce)?,
        })
    }

    /// The mark in a branch of ours.
    pub(crate) fn of_branch(branch: &[u8]) -> Option<Self> {
        Self::of_tag(branch.strip_prefix(BRANCH_COOKIE)?)
    }
}

/// The number that at most 16 lower-case digits say.
#[inline]
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, octet| {
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_the_wire() {
        let mut random = Random::new([1; 32]);
        for index in [0, 1, 77, u32::MAX] {
            let mark = Mark::mint(ShardId(513), index, &mut random);
            assert_eq!(Mark::of_tag(&mark.octets()), Some(mark));
        }
        assert_eq!(Mark::of_tag(b"0001"), None);
        assert_eq!(Mark::of_tag(&[b'g'; OCTETS]), None);
        assert_eq!(Mark::of_branch(b"z9hG4bKabc"), None);
    }
}
