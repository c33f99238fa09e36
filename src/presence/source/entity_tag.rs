//! The entity tag of a publication (RFC 3903 §6).

use std::fmt;

/// A SIP-ETag of ours (RFC 3903 §6): unguessable, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag(pub u128);

impl EntityTag {
    /// Its form on the wire: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_token(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        std::array::from_fn(|index| DIGITS[(self.0 >> (124 - 4 * index)) as usize & 0xf])
    }

    /// The tag in a SIP-If-Match; None if it cannot be one of ours.
    #[must_use]
    pub fn from_token(token: &[u8]) -> Option<Self> {
        if token.len() != 32 {
            return None;
        }
        token
            .iter()
            .try_fold(0u128, |value, &octet| {
                let digit = match octet {
                    b'0'..=b'9' => octet - b'0',
                    b'a'..=b'f' => octet - b'a' + 10,
                    _ => return None,
                };
                Some(value << 4 | u128::from(digit))
            })
            .map(Self)
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
