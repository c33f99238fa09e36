//! Suppress-If-Match: conditional notification (RFC 5839).

use crate::sip::{HeaderName, Message};

/// `Suppress-If-Match`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suppress {
    /// `*`: whatever the state is.
    Any,
    /// The state of that entity tag.
    Tag(u64),
    /// A tag that we did not issue.
    Foreign,
}

impl Suppress {
    /// The value of Suppress-If-Match, if present.
    pub(crate) fn of(message: &Message<'_>) -> Option<Self> {
        let value = message.header(HeaderName::SuppressIfMatch)?.trim_ascii();
        if value == b"*" {
            return Some(Self::Any);
        }
        let tag = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.len() == 16)
            .and_then(|text| u64::from_str_radix(text, 16).ok());
        Some(tag.map_or(Self::Foreign, Self::Tag))
    }

    /// Whether the state with this hash is suppressed.
    pub(crate) fn matches(self, hash: u64) -> bool {
        self == Self::Any || self == Self::Tag(hash)
    }
}

/// The entity tag of a body by its hash: 16 lower-case hexadecimal digits.
pub(crate) fn entity_tag(hash: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|index| DIGITS[(hash >> (60 - 4 * index)) as usize & 0xf])
}
