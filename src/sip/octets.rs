//! Octets as serde writes them at once, not one by one. For `#[serde(with = ...)]` of what is made from
//! a slice, or borrows it.

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(
    octets: &impl AsRef<[u8]>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(octets.as_ref())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<&'de [u8]>>(
    from: D,
) -> Result<T, D::Error> {
    <&[u8]>::deserialize(from).map(T::from)
}
