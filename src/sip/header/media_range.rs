//! Media types and ranges: Accept and Content-Type (RFC 3261 §20.1, §20.15).

use crate::sip::header::Parameters;
use crate::sip::header::octets;
use crate::sip::header::octets::Cursor;

/// `application/pidf+xml;q=0.5`
#[derive(Clone, Copy, Debug)]
pub struct MediaRange<'a> {
    /// `application` or `*`.
    pub kind: &'a [u8],
    /// `pidf+xml` or `*`.
    pub subtype: &'a [u8],
    /// Parameters, `q` among them.
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

    /// Whether it names or covers `kind/subtype` (without case) with a q above 0.
    #[must_use]
    pub fn covers(&self, kind: &str, subtype: &str) -> bool {
        let matches = if self.kind == b"*" {
            self.subtype == b"*"
        } else {
            self.kind.eq_ignore_ascii_case(kind.as_bytes())
                && (self.subtype == b"*" || self.subtype.eq_ignore_ascii_case(subtype.as_bytes()))
        };
        matches && !self.parameters.get("q").is_some_and(is_zero)
    }
}

/// `0`, `0.`, `0.000`: not acceptable. What is no number counts as 1, like no q at all.
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
        let covers = |range: &str| {
            MediaRange::parse(range.as_bytes())
                .unwrap()
                .covers("application", "pidf+xml")
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
    fn what_is_no_range() {
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
