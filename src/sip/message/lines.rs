//! Splits a head into header lines: the only code that handles line ends and folds, for messages
//! and for framing, so that both always agree on where a header ends (RFC 3261 §7.3.1, §18.3,
//! §25.1).

use memchr::memchr;

use crate::sip::HeaderName;
use crate::sip::header::octets;
use crate::sip::simd::{Block, Mask, find};

/// Iterates over the header lines up to and including the blank line.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    is_complete: bool,
    is_clean: bool,
}

/// One header field line, folds included, as positions in the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Its first octet.
    pub(crate) start: usize,
    /// The position after its last octet, excluding the line end.
    pub(crate) end: usize,
}

impl<'a> Lines<'a> {
    /// Starts at `at`, which must be the start of a line.
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            is_complete: false,
            is_clean: true,
        }
    }

    /// The next line without folds, for the start line; None if it is incomplete.
    #[inline]
    pub(crate) fn start_line(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let control = next_control(self.bytes, start)?;
        let end = self.cut(control)?;
        Some(&self.bytes[start..end])
    }

    /// The start of the next line; after the blank line, the position that follows it.
    #[inline]
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Continues at `at`, which must be the start of a line.
    pub(crate) fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Returns whether the blank line has been seen.
    #[inline]
    pub(crate) const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns whether no line so far contained a NUL or a CR that ends no line (RFC 3261 §25.1). A
    /// NUL after a backslash is accepted: as a quoted pair it is legal in a quoted string (RFC 4475
    /// §3.1.1.2).
    #[inline]
    pub(crate) const fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// The next header field line; None at the blank line, and if the buffer ends within a line.
    pub(crate) fn next(&mut self) -> Option<Line> {
        let start = self.at;
        // Nearly all heads end like this; comparing is cheaper than a search.
        if self.bytes.get(start..)?.starts_with(b"\r\n") {
            self.at += 2;
            self.is_complete = true;
            return None;
        }
        let control = next_control(self.bytes, start)?;
        let mut end = self.cut(control)?;
        if end == start {
            self.is_complete = true;
            return None;
        }
        while let Some(b' ' | b'\t') = self.bytes.get(self.at) {
            let control = next_control(self.bytes, self.at)?;
            end = self.cut(control)?;
        }
        Some(Line { start, end })
    }

    /// Moves past the next line end, which is at or after `control`, the next octet that may be
    /// one; returns where the line's text ends.
    fn cut(&mut self, control: usize) -> Option<usize> {
        let mut at = control;
        loop {
            match self.bytes.get(at..)? {
                [b'\r', b'\n', ..] => {
                    self.at = at + 2;
                    return Some(at);
                }
                [b'\n', ..] => {
                    self.at = at + 1;
                    return Some(at);
                }
                [b'\r', ..] => self.is_clean = false,
                [0, ..] => self.is_clean &= self.bytes[..at].last() == Some(&b'\\'),
                _ => {}
            }
            at = next_control(self.bytes, at + 1)?;
        }
    }
}

/// The first octet at or after `from` that may end a line.
#[inline]
pub(super) fn next_control(bytes: &[u8], from: usize) -> Option<usize> {
    if from > bytes.len() {
        return None;
    }
    let found = find(bytes, from, may_end_a_line);
    (found < bytes.len()).then_some(found)
}

/// NUL, HT, LF, CR or a control between them.
#[inline]
fn may_end_a_line(octets: Block) -> Mask {
    octets.up_to(b'\r')
}

impl Line {
    /// The header that the line names and the start of its value; None without a colon or without a
    /// token before it.
    pub(crate) fn name(self, bytes: &[u8]) -> Option<(HeaderName, usize)> {
        let text = &bytes[self.start..self.end];
        let colon = memchr(b':', text)?;
        let name = octets::trim_end(&text[..colon]);
        octets::is_token(name).then(|| (HeaderName::from_wire(name), self.start + colon + 1))
    }
}

/// A line of the most common form: a known name, a colon, an optional space, a value, CRLF, no
/// fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainLine<'a> {
    pub(crate) name: HeaderName,
    pub(crate) value: &'a [u8],
    /// The octets after the line.
    pub(crate) behind: &'a [u8],
}

impl<'a> PlainLine<'a> {
    /// Reads the line at the front; None if it is not plain. For a plain line, [`Lines`] gives the
    /// same result, but more slowly.
    #[inline(always)]
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        // Find the end first, so that finding the next line does not wait for this line's name.
        let (line, rest) = text.split_at(find(text, 0, may_end_a_line));
        let behind = rest.strip_prefix(b"\r\n")?;
        let (front, _) = Block::split_first(text)?;
        let colon = front.equal(b':').first()?;
        let name = HeaderName::from_front(front.words(), colon)?;
        let value = match line.get(colon + 1..)? {
            [b' ', value @ ..] => value,
            value => value,
        };
        let has_blanks_around = *value.first()? <= b' ' || *value.last()? <= b' ';
        if has_blanks_around || matches!(behind.first()?, b' ' | b'\t') {
            return None;
        }
        Some(Self {
            name,
            value,
            behind,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<(HeaderName, &str)> {
        let line = Lines::new(text.as_bytes(), 0).next().unwrap();
        let (name, value) = line.name(text.as_bytes())?;
        Some((name, &text[value..line.end]))
    }

    #[test]
    fn names_of_any_length_with_and_without_room_behind_them() {
        for room in [
            "",
            "and a long line behind it, for words to be read from\r\n",
        ] {
            let check = |line: &str, expected| {
                let text = format!("{line}\r\n{room}");
                assert_eq!(name(&text), expected, "{text}");
            };
            check("v:x", Some((HeaderName::Via, "x")));
            check("Call-ID: x", Some((HeaderName::CallId, " x")));
            check("SIP-ETag:x", Some((HeaderName::SipEtag, "x")));
            check("Max-Forwards:7:8", Some((HeaderName::MaxForwards, "7:8")));
            check("WWW-Authenticate:", Some((HeaderName::WwwAuthenticate, "")));
            check(
                "P-Asserted-Identity:x",
                Some((HeaderName::PAssertedIdentity, "x")),
            );
            check("X-A-Name-Of-Twenty-Three:x", Some((HeaderName::Other, "x")));
            check(
                "X-A-Name-Longer-Than-Twenty-Four:x",
                Some((HeaderName::Other, "x")),
            );
            check("Event\t :x", Some((HeaderName::Event, "x")));
            check("Event", None);
            check(":x", None);
            check(" :x", None);
            check("Ev ent:x", None);
        }
        // A colon in the next line must not be taken for a colon of this one.
        assert_eq!(name("Event\r\nTo: a line of its own, long enough"), None);
    }

    #[test]
    fn the_plain_line_reader_agrees_with_the_general_one() {
        let behind = "To: a line of its own, long enough\r\n\r\n";
        for line in [
            "v:x",
            "Via: x",
            "CALL-ID: a b",
            "Content-Length: 0",
            "Max-Forwards:7:8",
            "Via:  x",
            "Via: x ",
            "Via:",
            "Via: ",
            "Via : x",
            "X-Other: x",
            "Subscription-State: active",
            "Via: x\ty",
            "Via: x\r\n y",
            "Via: \0",
            "Via: x\ry",
            "Via",
        ] {
            for line_end in ["\r\n", "\n"] {
                let text = format!("{line}{line_end}{behind}");
                let bytes = text.as_bytes();
                let Some(plain) = PlainLine::read(bytes) else {
                    continue;
                };
                let mut lines = Lines::new(bytes, 0);
                let any = lines.next().unwrap();
                let (name, value) = any.name(bytes).unwrap();
                assert_eq!(plain.name, name, "{text}");
                assert_eq!(plain.behind, &bytes[lines.position()..], "{text}");
                let value = octets::trim(&bytes[value..any.end]);
                assert_eq!(plain.value, value, "{text}");
            }
        }
        let is_plain = |line: &str| PlainLine::read(format!("{line}{behind}").as_bytes()).is_some();
        assert!(
            is_plain("v:x\r\n")
                && is_plain("Content-Length: 0\r\n")
                && is_plain("Call-ID: a b\r\n")
        );
        assert!(
            !is_plain("v:x\n")
                && !is_plain("v: x \r\n")
                && !is_plain("v: x\r\n y\r\n")
                && !is_plain("v: \r\n")
        );
    }

    #[test]
    fn folds_belong_to_their_line() {
        let text = "X\r\nA: b\r\n c\n\td\r\nE: f\n\r\nbody";
        let mut lines = Lines::new(text.as_bytes(), 0);
        assert_eq!(lines.start_line(), Some(&b"X"[..]));
        let line = lines.next().unwrap();
        assert_eq!(&text[line.start..line.end], "A: b\r\n c\n\td");
        let line = lines.next().unwrap();
        assert_eq!(&text[line.start..line.end], "E: f");
        assert!(lines.next().is_none());
        assert!(lines.is_complete() && lines.is_clean());
        assert_eq!(&text[lines.position()..], "body");
    }

    #[test]
    fn lines_end_where_a_plain_search_says() {
        // Every control, at every position of a word, next to octets above 127.
        for octet in 0..=0x20_u8 {
            for at in 0..40 {
                let mut text = [0xff; 48];
                text[at] = octet;
                text[47] = b'\n';
                let expected = text.iter().position(|&octet| octet <= b'\r');
                assert_eq!(next_control(&text, 0), expected, "{octet} {at}");
                assert_eq!(
                    next_control(&text, at),
                    expected.filter(|_| octet <= b'\r').or(Some(47))
                );
            }
        }
        assert_eq!(next_control(b"12345678", 0), None);
        assert_eq!(next_control(b"", 0), None);
        assert_eq!(next_control(b"1", 2), None);
    }

    #[test]
    fn characters_not_allowed_in_a_line() {
        let is_clean = |text: &str| {
            let mut lines = Lines::new(text.as_bytes(), 0);
            while lines.next().is_some() {}
            lines.is_clean()
        };
        assert!(is_clean("a\tb\x07\r\n\n"));
        assert!(is_clean("\"\\\0\"\r\n\r\n"));
        assert!(!is_clean("a\rb\r\n\r\n"));
        assert!(!is_clean("a\r\r\n\r\n"));
        assert!(!is_clean("a\0\r\n\r\n"));
        assert!(!is_clean("\0\r\n\r\n"));
        // The body may contain any octets.
        assert!(is_clean("a\r\n\r\n\0\r"));
    }
}
