//! The little of DER that reading a certificate needs (X.690 §8.1).

/// Tags.
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// The first element, if it has that tag, and what is behind it.
pub(super) fn take(tag: u8, octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, element, rest) = next(octets)?;
    (found == tag).then_some((element, rest))
}

/// The tag of the first element, the element, and what is behind it.
pub(super) fn next(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = octets.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // The length follows, in that many octets.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let number = |sum: usize, octet: &u8| sum << 8 | usize::from(*octet);
            (length.iter().fold(0, number), rest)
        }
        _ => return None,
    };
    let (element, rest) = rest.split_at_checked(length)?;
    Some((*tag, element, rest))
}

/// What is behind the first element, if it has that tag; all of it otherwise.
pub(super) fn skip(tag: u8, octets: &[u8]) -> &[u8] {
    take(tag, octets).map_or(octets, |(_, rest)| rest)
}
