//! A hash that is the same in every process: for what all shards must agree on, and where whoever
//! makes two texts alike gains nothing.

/// FNV-1a.
pub(crate) fn fnv1a(octets: &[u8]) -> u64 {
    fnv1a_of_parts(&[octets])
}

/// The same of several pieces one behind the other.
pub(crate) fn fnv1a_of_parts(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}
