//! name-addr and addr-spec: From, To, Contact, Route, Record-Route (RFC 3261 §20.10).

use memchr::memchr;

use crate::sip::header::{Parameters, octets};
use crate::sip::uri::host_ip;

/// A name-addr or addr-spec with the header's parameters: From, To, Contact, Route.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as received, including quotes; empty if absent.
    pub display: &'a [u8],
    /// The URI, without angle brackets.
    pub uri: &'a [u8],
    /// Parameters of the header, not of the URI.
    pub parameters: Parameters<'a>,
    /// Whether the parameters are exactly one plain tag, as in nearly all messages.
    has_lone_tag: bool,
}

/// The text before a lone tag.
const TAG: &[u8] = b";tag=";

impl<'a> NameAddr<'a> {
    /// One address (the whole value, or one item of a list). The URI is only known to have a scheme
    /// and no blanks. An unquoted display name may contain characters outside tokens (RFC 4475
    /// §3.1.2.15): many phones send such names.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        Self::parse_trimmed(octets::trim(value))
    }

    /// Reads a value that has no white space around it.
    pub(crate) fn parse_trimmed(value: &'a [u8]) -> Option<Self> {
        let mut at = 0;
        loop {
            match value.get(at)? {
                b'<' => return Self::bracketed(value, at),
                b'"' => at = octets::skip_quoted(value, at)?,
                // A colon before any bracket ends a scheme.
                b':' => return Self::bare(value),
                b';' => return None,
                _ => at += 1,
            }
        }
    }

    /// `display <uri>;parameters`
    #[inline]
    fn bracketed(value: &'a [u8], open: usize) -> Option<Self> {
        let start = open + 1;
        let close = octets::skip_uri(value, start);
        if value.get(close) != Some(&b'>') {
            return None;
        }
        let uri = &value[start..close];
        let tail = octets::skip_blanks(value, close + 1);
        let is_whole = matches!(value.get(tail), None | Some(b';'));
        (is_whole && has_scheme(uri)).then(|| Self {
            display: octets::trim_end(&value[..open]),
            uri,
            parameters: Parameters(&value[tail..]),
            has_lone_tag: is_lone_tag(value, tail),
        })
    }

    /// `uri;parameters`: without brackets every semicolon belongs to the header, and commas and
    /// question marks are not allowed (RFC 3261 §20; RFC 4475 §3.1.2.13). A bracket behind it is
    /// refused, because others would take what it encloses for the address.
    fn bare(value: &'a [u8]) -> Option<Self> {
        let end = value
            .iter()
            .position(|&octet| octet == b';' || octets::is_blank(octet))
            .unwrap_or(value.len());
        let (uri, tail) = value.split_at(end);
        let tail = octets::trim_start(tail);
        let is_whole = matches!(tail.first(), None | Some(b';'));
        let is_plain = !uri.iter().any(|&octet| octet == b'?' || octet == b',')
            && octets::all_in(&octets::URI, uri);
        (is_whole && is_plain && has_scheme(uri) && !has_bracket(tail)).then(|| Self {
            display: b"",
            uri,
            parameters: Parameters(tail),
            has_lone_tag: is_lone_tag(value, value.len() - tail.len()),
        })
    }

    /// The `tag` parameter.
    #[must_use]
    #[inline]
    pub fn tag(&self) -> Option<&'a [u8]> {
        if self.has_lone_tag {
            return self.parameters.0.get(TAG.len()..);
        }
        self.parameters.get("tag")
    }

    /// Returns whether the host, if it is an IPv6 reference, is an address (RFC 5118 §4.10).
    #[inline]
    pub(crate) fn has_sound_reference(&self) -> bool {
        let Some(open) = memchr(b'[', self.uri) else {
            return true;
        };
        let (front, reference) = self.uri.split_at(open);
        if !matches!(front.last(), Some(b'@' | b':')) {
            return true;
        }
        let close = memchr(b']', reference);
        close.is_some_and(|close| host_ip(&reference[..=close]).is_some())
    }

    /// Returns whether there is at most one tag, which is one word, every quote is closed (RFC 3261
    /// §7.3.1), and an IPv6 reference is valid.
    #[inline]
    pub(crate) fn is_sound(&self) -> bool {
        self.has_sound_reference() && self.has_sound_parameters()
    }

    #[inline]
    fn has_sound_parameters(&self) -> bool {
        if self.has_lone_tag || self.parameters.0.is_empty() {
            return true;
        }
        let is_odd = |&octet: &u8| octets::is_blank(octet) || octet == 0;
        let is_sound_tag = |tag: &[u8]| !tag.is_empty() && !tag.iter().any(is_odd);
        self.tag().is_none_or(is_sound_tag)
            && self.parameters.count("tag") < 2
            && octets::are_quotes_closed(self.parameters.0)
    }
}

/// Returns whether the value from `at` on is exactly one tag of plain octets.
#[inline]
fn is_lone_tag(value: &[u8], at: usize) -> bool {
    value[at..].starts_with(TAG) && octets::is_plain_value(value, at + TAG.len())
}

/// Returns whether the text is a scheme and a colon with text after it.
#[inline]
fn has_scheme(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(b"sip:") {
        return !rest.is_empty();
    }
    let end = text
        .iter()
        .position(|octet| !(octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.')))
        .unwrap_or(text.len());
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.get(end) == Some(&b':')
        && text.len() > end + 1
}

/// Returns whether a `<` is in a text, outside of quotes.
fn has_bracket(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        at = match octet {
            b'<' => return true,
            b'"' => octets::skip_quoted(text, at).unwrap_or(text.len()),
            _ => at + 1,
        };
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(value: &str, display: &str, uri: &str, tag: Option<&str>) {
        let address = NameAddr::parse(value.as_bytes()).unwrap();
        assert_eq!(address.display, display.as_bytes());
        assert_eq!(address.uri, uri.as_bytes());
        assert_eq!(address.tag(), tag.map(str::as_bytes));
    }

    #[test]
    fn both_forms() {
        reads("<sip:a@b>;tag=1", "", "sip:a@b", Some("1"));
        reads("sip:a@b;tag=1", "", "sip:a@b", Some("1"));
        reads(
            "\"A \\\" <x> B\"<sip:a@b;lr?x=y,z> ; TAG = 1",
            "\"A \\\" <x> B\"",
            "sip:a@b;lr?x=y,z",
            Some("1"),
        );
        reads("Alice  <sip:a@b>", "Alice", "sip:a@b", None);
        reads("caller<sip:a@b>;tag=2", "caller", "sip:a@b", Some("2"));
        reads("sip:a@b;x=\"<\";tag=3", "", "sip:a@b", Some("3"));
        reads(
            "Bell, Alexander <sip:a@b>",
            "Bell, Alexander",
            "sip:a@b",
            None,
        );
        reads(
            "sip:a@b\r\n ;   tag    = 1918181833n",
            "",
            "sip:a@b",
            Some("1918181833n"),
        );
        reads("<name:John_Smith>", "", "name:John_Smith", None);
        reads("isbn:2983792873", "", "isbn:2983792873", None);
    }

    #[test]
    fn soundness() {
        let is_sound = |tail: &str| {
            let value = format!("<sip:a@b>{tail}");
            NameAddr::parse(value.as_bytes()).unwrap().is_sound()
        };
        for tail in [
            "",
            ";tag=a",
            ";tag=a;x",
            ";x;TAG = a",
            ";x=\"tag=;\";tag=a",
            ";tag=a=b",
            ";x",
        ] {
            assert!(is_sound(tail), "{tail}");
        }
        for tail in [
            ";tag=a b",
            ";tag=",
            ";tag",
            ";tag=a;tag=a",
            ";tag=a;x;Tag=b",
            ";x=\"",
            ";tag=\"a",
            ";tag=a;x=\"\\\"",
        ] {
            assert!(!is_sound(tail), "{tail}");
        }
    }

    #[test]
    fn invalid_addresses() {
        for value in [
            "",
            "*",
            "<",
            "<>",
            "<sip:>",
            "<sip>",
            "sip",
            "\"a <sip:a@b>",
            "<sip:a@b",
            "< sip:a@b>",
            "<sip:a@b >",
            "<sip:a b@c>",
            "<sip:a@b> x",
            "sip:a@b?x=y",
            "sip:a@b,sip:c@d",
            "sip:a@b c",
            "<:a>",
            "\"a\"",
            "a;b:c",
            "sip:a@b;x=<sip:c@d>",
            "sip:a@b;x=\"y\";tag=<sip:c@d>;tag=1",
        ] {
            assert!(NameAddr::parse(value.as_bytes()).is_none(), "{value}");
        }
    }
}
