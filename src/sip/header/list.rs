//! Comma-separated values and the numbers of Expires and Retry-After (RFC 3261 §7.3.1, §20.19,
//! §20.33).

use std::time::Duration;

use crate::sip::header::octets;

/// Maximum Retry-After that is respected.
const RETRY_AFTER_SECS_MAX: u64 = 3600;

/// The items of a comma-separated value: commas inside quotes and angle brackets do not split.
/// Empty items are skipped.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    Items { rest: value }
}

struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = item_end(self.rest);
            let item = octets::trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !item.is_empty() {
                return Some(item);
            }
        }
        None
    }
}

/// The end of the first item: a comma or the end of the value. An unclosed quote or bracket runs to
/// the end.
fn item_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        at = match octet {
            b',' => return at,
            b'"' => octets::skip_quoted(text, at).unwrap_or(text.len()),
            b'<' => match memchr::memchr(b'>', &text[at..]) {
                Some(close) => at + close + 1,
                None => text.len(),
            },
            _ => at + 1,
        };
    }
    text.len()
}

/// Parses Expires and Min-Expires: `3600`, `3600;foo`. A number that is too large becomes
/// `u32::MAX`; None for anything else (RFC 3261 §20.19).
#[must_use]
pub fn delta_seconds(value: &[u8]) -> Option<u32> {
    let digits = memchr::memchr(b';', value).map_or(value, |end| &value[..end]);
    let seconds = octets::number(octets::trim(digits))?;
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// Parses Retry-After: `18000;duration=3600`, `5 (busy)`. At most 3600 s; None if malformed (RFC
/// 3261 §20.33).
#[must_use]
pub fn retry_after(value: &[u8]) -> Option<Duration> {
    let value = octets::trim(value);
    let end = value
        .iter()
        .position(|octet| !octet.is_ascii_digit())
        .unwrap_or(value.len());
    let seconds = octets::number(&value[..end])?;
    let tail = octets::trim_start(&value[end..]);
    let tail = if tail.first() == Some(&b'(') {
        octets::trim_start(&tail[comment_end(tail)?..])
    } else {
        tail
    };
    matches!(tail.first(), None | Some(b';'))
        .then(|| Duration::from_secs(seconds.min(RETRY_AFTER_SECS_MAX)))
}

/// The position after a comment that starts at 0; comments nest, and a backslash escapes one octet.
fn comment_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    #[test]
    fn items_split_at_bare_commas_alone() {
        let items: Vec<&[u8]> = list_items(b"a , \"b,c\\\",\" <sip:d,e>;x ,, \r\n f,").collect();
        assert_eq!(items, [&b"a"[..], b"\"b,c\\\",\" <sip:d,e>;x", b"f"]);
        assert_eq!(list_items(b" , ,").count(), 0);
        assert_eq!(list_items(b"").count(), 0);
        assert_eq!(list_items(b"\"a,b").collect::<Vec<_>>(), [&b"\"a,b"[..]]);
        assert_eq!(
            list_items(b"a,<b,c").collect::<Vec<_>>(),
            [&b"a"[..], b"<b,c"]
        );
    }

    #[test]
    fn expiries() {
        assert_eq!(delta_seconds(b"3600"), Some(3600));
        assert_eq!(delta_seconds(b"0"), Some(0));
        assert_eq!(delta_seconds(b"3600;foo"), Some(3600));
        assert_eq!(delta_seconds(b"4294967295"), Some(u32::MAX));
        assert_eq!(delta_seconds(b"4294967296"), Some(u32::MAX));
        assert_eq!(delta_seconds(b"99999999999999999999"), Some(u32::MAX));
        for value in ["", "-1", "1e3", "+1", "1 2", ";foo", "0x10", "3600,60"] {
            assert_eq!(delta_seconds(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn retries() {
        let seconds = |value: &str| retry_after(value.as_bytes()).map(|wait| wait.as_secs());
        assert_eq!(seconds("5"), Some(5));
        assert_eq!(seconds("18000;duration=3600"), Some(3600));
        assert_eq!(seconds("120;duration=60"), Some(120));
        assert_eq!(seconds("5 (busy (very) \\) so)"), Some(5));
        assert_eq!(seconds("5(in a meeting) ;duration=9"), Some(5));
        assert_eq!(seconds("4294967295"), Some(3600));
        for value in ["", "-5", "5 busy", "5 (busy", "(busy)", "1.5"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn joined_items_come_back(items in vec("[a-z;=]{1,8}|\"([^\"\\\\]|\\\\.){0,8}\"|<[^>]{0,8}>", 0..8)) {
            let joined = items.join(" ,\r\n ");
            let found: Vec<&[u8]> = list_items(joined.as_bytes()).collect();
            let expected: Vec<&[u8]> = items.iter().map(String::as_bytes).collect();
            assert_eq!(found, expected);
        }

        #[test]
        fn seconds_saturate(seconds in any::<u64>()) {
            let clamped = u32::try_from(seconds).unwrap_or(u32::MAX);
            assert_eq!(delta_seconds(seconds.to_string().as_bytes()), Some(clamped));
        }

        #[test]
        fn arbitrary_input_does_not_panic(value in vec(any::<u8>(), 0..60)) {
            assert!(list_items(&value).all(|item| !item.is_empty()));
            let _ = (delta_seconds(&value), retry_after(&value));
        }
    }
}
