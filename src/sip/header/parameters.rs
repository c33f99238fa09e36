//! `;name=value;flag` after a header value or a URI.

use crate::sip::header::octets;

/// `;name=value;flag` after a header value or URI, parsed on demand. The first semicolon may be
/// missing, as it is in [`crate::sip::Uri::parameters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters<'a>(pub &'a [u8]);

impl<'a> Parameters<'a> {
    /// A parameter's value, including quotes: None if absent, empty for a flag. Names are compared
    /// ignoring case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.named(name).next()
    }

    /// The number of occurrences of the name (a repeated tag is malformed; RFC 3261 §7.3.1).
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.named(name).count()
    }

    /// All parameters in order, flags with an empty value. Empty ones (`;;`) are skipped.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        Iter { rest: self.0 }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let start = self
            .rest
            .iter()
            .position(|&octet| octet != b';' && !octets::is_blank(octet))?;
        let text = &self.rest[start..];
        let mut equals = None;
        let mut at = 0;
        while let Some(&octet) = text.get(at) {
            match octet {
                b';' => break,
                // An unterminated quote runs to the end.
                b'"' => at = octets::skip_quoted(text, at).unwrap_or(text.len()),
                _ => {
                    if octet == b'=' && equals.is_none() {
                        equals = Some(at);
                    }
                    at += 1;
                }
            }
        }
        self.rest = &text[at..];
        Some(match equals {
            Some(equals) => (
                octets::trim_end(&text[..equals]),
                octets::trim(&text[equals + 1..at]),
            ),
            None => (octets::trim_end(&text[..at]), b""),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(&[u8], &[u8])> {
        Parameters(text).iter().collect()
    }

    #[test]
    fn names_values_and_flags() {
        assert_eq!(
            all(b";tag=a;LR; x = \"1;2\" ;y="),
            [
                (&b"tag"[..], &b"a"[..]),
                (b"LR", b""),
                (b"x", b"\"1;2\""),
                (b"y", b""),
            ]
        );
        assert_eq!(
            all(b"transport=tcp;lr"),
            [(&b"transport"[..], &b"tcp"[..]), (b"lr", b"")]
        );
        assert_eq!(all(b";a=b=c"), [(&b"a"[..], &b"b=c"[..])]);
        assert_eq!(all(b";;; ;"), []);
        assert_eq!(all(b";x=\"a;b"), [(&b"x"[..], &b"\"a;b"[..])]);
        assert_eq!(
            all(b"\r\n ;\r\n tag\r\n = 1\r\n "),
            [(&b"tag"[..], &b"1"[..])]
        );
    }

    #[test]
    fn lookups_ignore_case_and_count() {
        let parameters = Parameters(b";Tag=a;x;TAG=b");
        assert_eq!(parameters.get("tag"), Some(&b"a"[..]));
        assert_eq!(parameters.get("x"), Some(&b""[..]));
        assert_eq!(parameters.get("y"), None);
        assert_eq!(parameters.count("tag"), 2);
    }
}
