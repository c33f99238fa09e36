//! Telling the header lines of a head apart: the one place that knows line ends and folds, for messages and for framing, so
//! that both always agree on where a header ends (W:A5.1, E2.6, E2.12).

use memchr::memchr;

use crate::sip::HeaderName;
use crate::sip::header::octets;

/// Walks over the header lines up to and with the blank line.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Line ends that were CRLF, not LF alone.
    crlf_count: usize,
    is_complete: bool,
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
    /// Starts at `at`, the first octet behind the start line.
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            crlf_count: 0,
            is_complete: false,
        }
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

    /// How many of the line ends so far were CRLF.
    #[inline]
    pub(crate) const fn crlf_count(&self) -> usize {
        self.crlf_count
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
        let newline = self.at + memchr(b'\n', &self.bytes[self.at..])?;
        let is_crlf = newline > self.at && self.bytes[newline - 1] == b'\r';
        self.crlf_count += usize::from(is_crlf);
        self.at = newline + 1;
        Some(newline - usize::from(is_crlf))
    }
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

/// Every octet of a word as one.
const ONES: u64 = u64::from_le_bytes([1; 8]);

/// What stands in front of the first colon as [`HeaderName::from_words`] takes it, and where the colon is; None when it is not
/// among the first 24 octets, or there are fewer than 24. Looks at eight octets at once.
#[inline]
fn leading_words(text: &[u8]) -> Option<([u64; 3], usize)> {
    let front = text.first_chunk::<24>()?;
    let mut words = [0; 3];
    for (index, (octets, word)) in front.chunks_exact(8).zip(&mut words).enumerate() {
        let octets = u64::from_le_bytes(octets.try_into().ok()?);
        let lower = octets | (ONES * 0x20);
        // The lowest marked octet is the first colon: a borrow marks only octets above it.
        let differences = octets ^ (ONES * u64::from(b':'));
        let colons = differences.wrapping_sub(ONES) & !differences & (ONES * 0x80);
        if colons != 0 {
            let bits = colons.trailing_zeros() & !7;
            *word = lower & ((1 << bits) - 1);
            return Some((words, index * 8 + bits as usize / 8));
        }
        *word = lower;
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<(HeaderName, &str)> {
        let mut lines = Lines::new(text.as_bytes(), 0);
        let line = lines.next().unwrap();
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
    fn folds_belong_to_their_line_and_counts_are_kept() {
        let text = "A: b\r\n c\n\td\r\nE: f\n\r\nbody";
        let mut lines = Lines::new(text.as_bytes(), 0);
        let line = lines.next().unwrap();
        assert_eq!(&text[line.start..line.end], "A: b\r\n c\n\td");
        let line = lines.next().unwrap();
        assert_eq!(&text[line.start..line.end], "E: f");
        assert!(lines.next().is_none());
        assert!(lines.is_complete());
        assert_eq!(&text[lines.position()..], "body");
        assert_eq!(lines.crlf_count(), 3);
    }
}
