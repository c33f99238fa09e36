//! Telling the header lines of a head apart: the one place that knows line ends and folds, for messages and for framing, so
//! that both always agree on where a header ends (W:A5.1, E2.6, E2.12).

use memchr::memchr;

use crate::sip::HeaderName;
use crate::sip::header::octets;
use crate::sip::name::NameWords;

/// Walks over the header lines up to and with the blank line.
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
    /// Behind its last octet, the line end excluded.
    pub(crate) end: usize,
}

impl<'a> Lines<'a> {
    /// Starts at the front of `bytes`, with the start line.
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            is_complete: false,
            is_clean: true,
        }
    }

    /// The text of the start line, to be called first; None when it does not end.
    #[inline]
    pub(crate) fn start_line(&mut self) -> Option<&'a [u8]> {
        let end = self.cut()?;
        Some(&self.bytes[..end])
    }

    /// Where the next line starts; behind the blank line, once that has been seen.
    #[inline]
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Whether the blank line has been seen.
    #[inline]
    pub(crate) const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether no line so far had a CR that ends no line, or a NUL (W:E2.9, E2.12). A NUL behind a backslash passes: as a
    /// quoted pair it is legal in a quoted string (W:E1.2).
    #[inline]
    pub(crate) const fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// The next header field line; None at the blank line, and where the buffer ends in the middle of a line.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Line> {
        let start = self.at;
        let mut end = self.cut()?;
        if end == start {
            self.is_complete = true;
            return None;
        }
        while let Some(b' ' | b'\t') = self.bytes.get(self.at) {
            end = self.cut()?;
        }
        Some(Line { start, end })
    }

    /// Moves behind the next line end; returns where the line's text ends.
    #[inline]
    fn cut(&mut self) -> Option<usize> {
        let mut from = self.at;
        loop {
            let at = next_control(self.bytes, from)?;
            match self.bytes[at] {
                b'\r' if self.bytes.get(at + 1) == Some(&b'\n') => {
                    self.at = at + 2;
                    return Some(at);
                }
                b'\n' => {
                    self.at = at + 1;
                    return Some(at);
                }
                b'\r' => self.is_clean = false,
                0 => self.is_clean &= at > 0 && self.bytes[at - 1] == b'\\',
                _ => {}
            }
            from = at + 1;
        }
    }
}

/// Every octet of a word as one.
const ONES: u64 = u64::from_le_bytes([1; 8]);

/// The highest bit of every octet of a word.
const HIGHS: u64 = ONES << 7;

/// Marks the highest bit of every octet that is not above CR: NUL, HT, LF, CR and the controls between them. Exact, because
/// no sum carries into the next octet.
#[inline]
const fn controls(octets: [u8; 8]) -> u64 {
    let octets = u64::from_le_bytes(octets);
    let above = (octets & !HIGHS) + ONES * (0x80 - 0x0e);
    !(above | octets) & HIGHS
}

/// The first octet at or behind `from` that may end a line. Looks at eight octets at once.
#[inline]
fn next_control(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(octets) = bytes.get(at..)?.first_chunk::<8>() {
        let marked = controls(*octets);
        if marked != 0 {
            return Some(at + marked.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..]
        .iter()
        .position(|&octet| octet <= b'\r')
        .map(|found| at + found)
}

impl Line {
    /// The header it names and where its value starts; None without a colon or a token in front of it.
    #[inline]
    pub(crate) fn name(self, bytes: &[u8]) -> Option<(HeaderName, usize)> {
        let text = &bytes[self.start..self.end];
        if let Some((words, colon)) = leading_words(&bytes[self.start..])
            && colon < text.len()
        {
            let name = HeaderName::from_words(words);
            if name != HeaderName::Other {
                return Some((name, self.start + colon + 1));
            }
        }
        Self::odd_name(text).map(|(name, colon)| (name, self.start + colon + 1))
    }

    /// A name we do not know, a very long one, or one with white space in front of its colon.
    #[cold]
    fn odd_name(text: &[u8]) -> Option<(HeaderName, usize)> {
        let colon = memchr(b':', text)?;
        let name = octets::trim_end(&text[..colon]);
        octets::is_token(name).then(|| (HeaderName::from_wire(name), colon))
    }
}

/// What stands in front of the first colon as [`HeaderName::from_words`] takes it, and where the colon is; None when it is not
/// among the first 16 octets, or there are fewer than 16.
#[inline]
fn leading_words(text: &[u8]) -> Option<(NameWords, usize)> {
    let front = text.first_chunk::<16>()?;
    let (first, second) = (word(front, 0), word(front, 8));
    let (in_first, in_second) = (colons(first), colons(second));
    if in_first != 0 {
        let bits = in_first.trailing_zeros() & !7;
        let kept = lower(first) & ((1 << bits) - 1);
        Some(([kept, 0, 0], bits as usize / 8))
    } else if in_second != 0 {
        let bits = in_second.trailing_zeros() & !7;
        let kept = lower(second) & ((1 << bits) - 1);
        Some(([lower(first), kept, 0], 8 + bits as usize / 8))
    } else {
        None
    }
}

#[inline]
fn word(front: &[u8; 16], at: usize) -> u64 {
    front[at..]
        .first_chunk::<8>()
        .map_or(0, |octets| u64::from_le_bytes(*octets))
}

#[inline]
const fn lower(word: u64) -> u64 {
    word | (ONES * 0x20)
}

/// Marks the highest bit of the first colon, and perhaps of octets above it, where a borrow went.
#[inline]
const fn colons(word: u64) -> u64 {
    let differences = word ^ (ONES * b':' as u64);
    differences.wrapping_sub(ONES) & !differences & HIGHS
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<(HeaderName, &str)> {
        let line = Lines::new(text.as_bytes()).next().unwrap();
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
        // The colon of the next line is none of this one.
        assert_eq!(name("Event\r\nTo: a line of its own, long enough"), None);
    }

    #[test]
    fn folds_belong_to_their_line() {
        let text = "X\r\nA: b\r\n c\n\td\r\nE: f\n\r\nbody";
        let mut lines = Lines::new(text.as_bytes());
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
        // Every control, at every place of a word, with high octets around it.
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
    fn what_no_line_should_hold() {
        let is_clean = |text: &str| {
            let mut lines = Lines::new(text.as_bytes());
            while lines.next().is_some() {}
            lines.is_clean()
        };
        assert!(is_clean("a\tb\x07\r\n\n"));
        assert!(is_clean("\"\\\0\"\r\n\r\n"));
        assert!(!is_clean("a\rb\r\n\r\n"));
        assert!(!is_clean("a\r\r\n\r\n"));
        assert!(!is_clean("a\0\r\n\r\n"));
        assert!(!is_clean("\0\r\n\r\n"));
        // The body may hold anything.
        assert!(is_clean("a\r\n\r\n\0\r"));
    }
}
