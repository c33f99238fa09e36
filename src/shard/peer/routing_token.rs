//! Routing tokens: every To-tag and every Via branch that we mint names its kind, node and place, so
//! that any shard can forward a message to the right one, which finds the entry without a search.
//!
//! A token ends with 64 random bits. They make it unguessable, and a token of a removed entry
//! matches no later one.

use crate::shard::contract::flow::{Address, NodeId};
use crate::shard::contract::options::Options;
use crate::shard::contract::place::Place;
use crate::sip::random::Random;

/// Octets of a token.
pub(crate) const OCTETS: usize = 28;

/// The magic cookie that begins every branch (RFC 3261 §8.1.1.7).
pub(crate) const BRANCH_COOKIE: &str = "z9hG4bK";

/// Bits of the node's number; the kind is written before them.
const NODE_BITS: u32 = 12;

/// What a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A dialog in which we are the notifier.
    NotifierDialog = 0,
    /// A dialog in which we are the subscriber.
    SubscriberDialog = 1,
    /// A client transaction.
    ClientTransaction = 2,
}

impl Kind {
    fn of_digit(digit: u32) -> Option<Self> {
        match digit {
            0 => Some(Self::NotifierDialog),
            1 => Some(Self::SubscriberDialog),
            2 => Some(Self::ClientTransaction),
            _ => None,
        }
    }
}

/// Kind, node, place and nonce of a dialog or transaction, written `knnnppppppppxxxxxxxxxxxxxxxx`
/// in lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoutingToken {
    pub(crate) kind: Kind,
    pub(crate) node: NodeId,
    pub(crate) place: Place,
    pub(crate) nonce: u64,
}

impl RoutingToken {
    /// A token with a new random nonce for the entry at `index` of a table of this shard.
    pub(crate) fn mint(kind: Kind, index: u32, options: &Options, random: &mut Random) -> Self {
        debug_assert!(
            options.node.0 >> NODE_BITS == 0,
            "a node has three hexadecimal digits"
        );
        Self {
            kind,
            node: options.node,
            place: Place::of(index, options),
            nonce: random.next_u64(),
        }
    }

    /// Another token for the same place, with a new nonce.
    pub(crate) fn renewed(self, random: &mut Random) -> Self {
        Self {
            nonce: random.next_u64(),
            ..self
        }
    }

    /// The shard that holds what the token names, if nodes have that many shards.
    pub(crate) fn holder(self, shards: u16) -> Address {
        Address {
            node: self.node,
            shard: self.place.shard(shards),
        }
    }

    /// The token as written in a To-tag.
    #[inline]
    pub(crate) fn octets(self) -> [u8; OCTETS] {
        let mut octets = [0; OCTETS];
        let (head, rest) = octets.split_at_mut(4);
        let (words, _) = rest.as_chunks_mut::<8>();
        let kind_and_node = (self.kind as u32) << NODE_BITS | u32::from(self.node.0);
        head.copy_from_slice(&digits(kind_and_node)[4..]);
        words[0] = digits(self.place.0);
        words[1] = digits((self.nonce >> 32) as u32);
        words[2] = digits(self.nonce as u32);
        octets
    }

    /// Parses a tag; None if we did not mint it.
    pub(crate) fn of_tag(tag: &[u8]) -> Option<Self> {
        let octets: &[u8; OCTETS] = tag.try_into().ok()?;
        let (head, rest) = octets.split_at(4);
        let (words, _) = rest.as_chunks::<8>();
        let mut padded = [b'0'; 8];
        padded[4..].copy_from_slice(head);
        let kind_and_node = value(padded);
        let token = Self {
            kind: Kind::of_digit(kind_and_node >> NODE_BITS)?,
            node: NodeId((kind_and_node & ((1 << NODE_BITS) - 1)) as u16),
            place: Place(value(words[0])),
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

    /// The place in a branch of ours, without a check of the rest. For any other branch the value
    /// is arbitrary.
    #[inline]
    pub(crate) fn place_in(branch: &[u8]) -> Option<Place> {
        let place = branch.get(BRANCH_COOKIE.len() + 4..)?.first_chunk::<8>()?;
        Some(Place(value(*place)))
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
    use std::time::Instant;

    use super::*;
    use crate::shard::contract::flow::ShardId;

    fn options(id: u16, shards: u16) -> Options {
        Options {
            node: NodeId(0xa1f),
            ..Options::new(ShardId(id), shards, Instant::now(), [0; 32])
        }
    }

    #[test]
    fn a_token_survives_the_wire() {
        let mut random = Random::new([1; 32]);
        let options = options(3, 8);
        let mut mint = |kind, index| RoutingToken::mint(kind, index, &options, &mut random);
        for index in [0, 1, 77, u32::MAX / 8] {
            for kind in [
                Kind::NotifierDialog,
                Kind::SubscriberDialog,
                Kind::ClientTransaction,
            ] {
                let token = mint(kind, index);
                assert_eq!(RoutingToken::of_tag(&token.octets()), Some(token));
                assert_eq!(token.holder(8), options.address());
                let branch = [BRANCH_COOKIE.as_bytes(), &token.octets()].concat();
                assert_eq!(RoutingToken::of_branch(&branch), Some(token));
                assert_eq!(RoutingToken::place_in(&branch), Some(token.place));
                assert_eq!(token.place.index(8), index);
                let other = mint(kind, index);
                assert!(token.is_in(&branch) && !other.is_in(&branch));
                assert!(!token.is_in(&token.octets()));
                assert!(!token.is_in(&branch[..branch.len() - 1]));
            }
        }
    }

    #[test]
    fn a_tag_that_we_do_not_mint_is_no_token() {
        let token = RoutingToken {
            kind: Kind::SubscriberDialog,
            node: NodeId(0xa1f),
            place: Place(0x0123_4567),
            nonce: 0x89ab_cdef_fedc_ba98,
        };
        assert_eq!(&token.octets(), b"1a1f0123456789abcdeffedcba98");
        for at in 0..OCTETS {
            for octet in (0..=u8::MAX).filter(|octet| !b"0123456789abcdef".contains(octet)) {
                let mut octets = token.octets();
                octets[at] = octet;
                assert_eq!(RoutingToken::of_tag(&octets), None, "{octet} at {at}");
            }
        }
        for kind in b"3456789abcdef" {
            let mut octets = token.octets();
            octets[0] = *kind;
            assert_eq!(RoutingToken::of_tag(&octets), None);
        }
        assert_eq!(RoutingToken::of_tag(b"0001"), None);
        assert_eq!(RoutingToken::of_tag(&[b'g'; OCTETS]), None);
        assert_eq!(RoutingToken::of_branch(b"z9hG4bKabc"), None);
    }
}
