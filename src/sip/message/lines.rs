//! Telling the header lines of a head apart: the one place that knows line ends and folds, for messages and for framing, so
//! that both always agree on where a header ends (W:A5.1, E2.6, E2.12).

use memchr::memchr;

use crate::sip::HeaderName;

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
        let colon = memchr(b':', text)?;
        let name = crate::sip::header::octets::trim_end(&text[..colon]);
        if !crate::sip::header::octets::is_token(name) {
            return None;
        }
        Some((HeaderName::from_wire(name), self.start + colon + 1))
    }
}
