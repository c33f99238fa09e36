//! The salts of nonces, which are bound to the address of the peer: a nonce that returns proves its
//! path.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use crate::shard::contract::turn::Turn;

/// A salt for a nonce to `peer`: 16 random bits, and 16 bits of a keyed hash of them and the
/// address.
pub(crate) fn salt_for(peer: SocketAddr, turn: &mut Turn<'_>) -> u32 {
    let chance = turn.random.next_u64() as u16;
    u32::from(chance) << 16 | u32::from(address_mark(peer, chance, turn))
}

/// Whether a nonce with that salt was sent to `peer`.
pub(crate) fn is_salt_for(salt: u32, peer: SocketAddr, turn: &Turn<'_>) -> bool {
    let chance = (salt >> 16) as u16;
    address_mark(peer, chance, turn) == salt as u16
}

/// The keyed hash of an address and the random bits. It cannot be guessed without the key, and it
/// differs for each nonce, so one observed salt does not help to forge another.
fn address_mark(peer: SocketAddr, chance: u16, turn: &Turn<'_>) -> u16 {
    let mut hasher = DefaultHasher::new();
    (turn.options.nonce_key, "address", peer, chance).hash(&mut hasher);
    hasher.finish() as u16
}
