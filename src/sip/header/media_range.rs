//! Media types and ranges: Accept and Content-Type (RFC 3261 §20.1, §20.15).

use crate::sip::header::octets::Cursor;
use crate::sip::header::{Parameters, octets};

/// `application/pidf+xml;q=0.5`
#[derive(Clone, Copy, Debug)]
pub struct MediaRange<'a> {
    /// `application` or `*`.
    pub kind: &'a [u8],
    /// `pidf+xml` or `*`.
    pub subtype: &'a [u8],
    /// Parameters, including `q`.
    pub parameters: Parameters<'a>,
}

impl<'a> MediaRange<'a> {
    /// Reads one media type or range.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(octets::trim(value));
        let kind = cursor.take(&octets::TOKEN);
        cursor.skip_blanks();
        if kind.is_empty() || !cursor.eat(b'/') {
            return None;
        }
        cursor.skip_blanks();
        let subtype = cursor.take(&octets::TOKEN);
        cursor.skip_blanks();
        let tail = cursor.rest();
        let is_whole = !subtype.is_empty() && matches!(tail.first(), None | Some(b';'));
        is_whole.then_some(Self {
            kind,
            subtype,
            parameters: Parameters(tail),
        })
    }

    /// How specifically it matches `kind/subtype` (ignoring case): 3 by name, 2 as `kind/*`, 1 as
    /// `*/*`; None if it does not match.
    #[must_use]
    pub fn precision(&self, kind: &str, subtype: &str) -> Option<u8> {
        let is_kind = self.kind.eq_ignore_ascii_case(kind.as_bytes());
        if self.kind == b"*" && self.subtype == b"*" {
            Some(1)
        } else if is_kind && self.subtype == b"*" {
            Some(2)
        } else if is_kind && self.subtype.eq_ignore_ascii_case(subtype.as_bytes()) {
            Some(3)
        } else {
            None
        }
    }

    /// Returns whether it marks its types as not acceptable: a q of 0.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.parameters.get("q").is_some_and(is_zero)
    }
}

/// Returns whether a list of ranges accepts `kind/subtype`: the most specific matching range
/// decides (RFC 9110 §12.5.1).
#[must_use]
pub fn accepts<'a>(
    ranges: impl Iterator<Item = MediaRange<'a>>,
    kind: &str,
    subtype: &str,
) -> bool {
    let ranked =
        ranges.filter_map(|range| Some((range.precision(kind, subtype)?, !range.is_refusal())));
    ranked.max().is_some_and(|(_, is_accepted)| is_accepted)
}

/// `0`, `0.`, `0.000`: not acceptable. A value that is not a number counts as 1, like a missing q.
fn is_zero(q: &[u8]) -> bool {
    match q {
        [b'0'] => true,
        [b'0', b'.', decimals @ ..] => decimals.iter().all(|&digit| digit == b'0'),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover() {
        let covers = |list: &str| {
            let ranges = list
                .split(',')
                .filter_map(|range| MediaRange::parse(range.as_bytes()));
            accepts(ranges, "application", "pidf+xml")
        };
        for range in [
            "application/pidf+xml",
            "APPLICATION / PIDF+XML ;charset=\"x\"",
            "application/*",
            "*/*",
            "*/*;q=0.1",
            "application/pidf+xml;q=x",
        ] {
            assert!(covers(range), "{range}");
        }
        for range in [
            "application/xpidf+xml",
            "text/*",
            "text/pidf+xml",
            "*/*;q=0",
            "application/pidf+xml ; Q = 0.000",
        ] {
            assert!(!covers(range), "{range}");
        }
    }

    #[test]
    fn invalid_ranges() {
        for range in [
            "",
            "*",
            "application",
            "application/",
            "/xml",
            "a/b c",
            "a b/c",
        ] {
            assert!(MediaRange::parse(range.as_bytes()).is_none(), "{range}");
        }
    }
}
