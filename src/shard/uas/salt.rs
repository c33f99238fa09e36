//! The salt of a nonce, bound to the address that it was sent to.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::net::SocketAddr;

use crate::shard::contract::turn::Turn;

/// The salt of a nonce that goes to `peer`: half of it chance, half the address's mark.
pub(crate) fn salt_for(peer: SocketAddr, turn: &mut Turn<'_>) -> u32 {
    let chance = turn.random.next_u64() as u16;
    u32::from(chance) << 16 | u32::from(address_mark(peer, chance, turn))
}

/// Whether a nonce with that salt was made for `peer`.
pub(crate) fn is_salt_for(salt: u32, peer: SocketAddr, turn: &Turn<'_>) -> bool {
    let chance = (salt >> 16) as u16;
    address_mark(peer, chance, turn) == salt as u16
}

/// What nobody who lacks the key can guess of an address. It differs from nonce to nonce, so
/// that one address's are not another's for good.
fn address_mark(peer: SocketAddr, chance: u16, turn: &Turn<'_>) -> u16 {
    let mut hasher = DefaultHasher::new();
    (turn.options.key, "address", peer, chance).hash(&mut hasher);
    hasher.finish() as u16
}
