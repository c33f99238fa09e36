//! The entity tag of a publication (RFC 3903 §6).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A SIP-ETag that we issue (RFC 3903 §6): unguessable, never reused.
///
/// Its lower half is a hash of the request that it was issued for. So a stored publication tells a
/// retransmission of that request from a new one, also after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntityTag(pub u128);

impl EntityTag {
    /// That of contributions that are kept as publications, but that no PUBLISH names.
    pub const UNPUBLISHED: Self = Self(0);
}

impl EntityTag {
    /// The tag for a request with this hash. `random` makes it unguessable.
    #[must_use]
    pub fn new(random: u64, request: u64) -> Self {
        Self(u128::from(random) << 64 | u128::from(request))
    }

    /// Whether both are for one request.
    #[must_use]
    pub fn is_for_request_of(self, other: Self) -> bool {
        self.0 as u64 == other.0 as u64
    }

    /// Its format: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_token(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut token = [0; 32];
        for (pair, octet) in token.as_chunks_mut().0.iter_mut().zip(self.0.to_be_bytes()) {
            *pair = [octet >> 4, octet & 0xf].map(|digit| DIGITS[usize::from(digit)]);
        }
        token
    }

    /// The tag in a SIP-If-Match; None if we cannot have issued it.
    #[must_use]
    pub fn from_token(token: &[u8]) -> Option<Self> {
        let (digits, []) = token.as_chunks::<16>() else {
            return None;
        };
        let half = |digits: &[u8; 16]| {
            digits.iter().try_fold(0u64, |value, &octet| {
                let digit = match octet {
                    b'0'..=b'9' => octet - b'0',
                    b'a'..=b'f' => octet - b'a' + 10,
                    _ => return None,
                };
                Some(value << 4 | u64::from(digit))
            })
        };
        let [high, low] = digits else { return None };
        Some(Self(u128::from(half(high)?) << 64 | u128::from(half(low)?)))
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::EntityTag;

    #[test]
    fn an_entity_tag_reads_back_and_nothing_else_does() {
        for value in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            let token = EntityTag(value).to_token();
            assert_eq!(token.as_slice(), EntityTag(value).to_string().as_bytes());
            assert_eq!(EntityTag::from_token(&token), Some(EntityTag(value)));
        }
        for token in [
            "",
            "*",
            "etag281308",
            "\"00000000000000000000000000000000\"",
        ] {
            assert_eq!(EntityTag::from_token(token.as_bytes()), None);
        }
        assert_eq!(EntityTag::from_token(&[b'A'; 32]), None);
        assert_eq!(EntityTag::from_token(&vec![b'0'; 8192]), None);
    }
}
