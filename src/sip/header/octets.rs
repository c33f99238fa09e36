//! Character classes and scanning functions shared by all decoders. White space is LWS: CR and LF
//! of a fold count as blanks.

use memchr::{memchr, memchr3};

use crate::sip::simd::{Block, find};

/// The octets of one class of the grammar.
pub(crate) type Class = [bool; 256];

/// The class with additional octets.
const fn with(mut class: Class, members: &[u8]) -> Class {
    let mut index = 0;
    while index < members.len() {
        class[members[index] as usize] = true;
        index += 1;
    }
    class
}

/// The class without some octets.
const fn without(mut class: Class, members: &[u8]) -> Class {
    let mut index = 0;
    while index < members.len() {
        class[members[index] as usize] = false;
        index += 1;
    }
    class
}

/// Letters and digits.
const ALPHANUMERIC: Class = with(
    [false; 256],
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
);

/// `token` of RFC 3261 §25.1.
pub(crate) static TOKEN: Class = with(ALPHANUMERIC, b"-.!%*_+`'~");

/// Decimal digits.
pub(crate) static DIGIT: Class = with([false; 256], b"0123456789");

/// The characters of an IPv6 address; its last four octets may be written as IPv4.
pub(crate) static IPV6: Class = with([false; 256], b"0123456789abcdefABCDEF:.");

/// Characters allowed unescaped in the user part of a URI: unreserved and user-unreserved (RFC 3261
/// §25.1).
pub(crate) static USER: Class = with(ALPHANUMERIC, b"-_.!~*'()&=+$,;?/");

/// Host names and IPv4 addresses (RFC 3261 §25.1), and the underscore, which DNS allows.
pub(crate) static HOST: Class = with(ALPHANUMERIC, b".-_");

/// Characters accepted anywhere in a URI. Wider than the grammar, because phones send `#` and raw
/// UTF-8; characters that delimit URIs (blanks, controls, quotes, angle brackets) are never
/// included.
pub(crate) static URI: Class = URI_CLASS;

const URI_CLASS: Class = {
    let mut class = [true; 256];
    let mut octet = 0;
    while octet <= b' ' as usize {
        class[octet] = false;
        octet += 1;
    }
    class[0x7f] = false;
    class[b'<' as usize] = false;
    class[b'>' as usize] = false;
    class[b'"' as usize] = false;
    class
};

/// The unquoted value of a parameter, up to the octet that ends it.
pub(crate) static PARAMETER: Class = without([true; 256], b";,\" \t\r\n\0");

/// The front of a URI, up to an octet that may end its user or host.
pub(crate) static URI_FRONT: Class = without(URI_CLASS, b"@:;?");

/// Returns whether every octet is in the class; true for an empty text.
#[inline]
pub(crate) fn all_in(class: &Class, text: &[u8]) -> bool {
    skip_class(class, text, 0) == text.len()
}

/// Returns whether the text is a token: at least one octet, all in the class.
#[inline]
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && all_in(&TOKEN, text)
}

/// Linear white space, including folds.
#[inline]
pub(crate) const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// Returns whether the text can be one word: no space, no tab (every fold contains one of them), no
/// NUL. A NUL after a backslash is accepted earlier (RFC 4475 §3.1.1.2) and could not be echoed in
/// a response.
#[inline]
pub(crate) fn is_one_word(text: &[u8]) -> bool {
    let is_suspect = find(text, 0, |octets| octets.up_to(b' ')) < text.len();
    !is_suspect || memchr3(b' ', b'\t', 0, text).is_none()
}

/// The text without leading white space.
#[inline]
pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    text
}

/// The text without trailing white space.
#[inline]
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// The text without surrounding white space.
#[inline]
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// The first position at or after `at` that is not white space.
#[inline]
pub(crate) fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|&octet| is_blank(octet)) {
        at += 1;
    }
    at
}

/// The first position at or after `at` whose octet is not in the class; `at` must not be past the
/// end. Reads four octets per iteration, because most of a message's octets are scanned here.
#[inline]
pub(crate) fn skip_class(class: &Class, text: &[u8], at: usize) -> usize {
    let mut rest = &text[at..];
    while let [first, second, third, fourth, behind @ ..] = rest {
        let at = text.len() - rest.len();
        if !class[*first as usize] {
            return at;
        }
        if !class[*second as usize] {
            return at + 1;
        }
        if !class[*third as usize] {
            return at + 2;
        }
        if !class[*fourth as usize] {
            return at + 3;
        }
        rest = behind;
    }
    let inside = rest
        .iter()
        .take_while(|&&octet| class[octet as usize])
        .count();
    text.len() - rest.len() + inside
}

/// Returns whether the text from `at` to its end is the value of a single parameter without quotes,
/// blanks and controls.
#[inline]
pub(crate) fn is_plain_value(text: &[u8], at: usize) -> bool {
    let is_ended = |octets: Block| {
        let separators = octets.equal(b';').or(octets.equal(b'"'));
        octets.up_to(b' ').or(separators)
    };
    at < text.len() && find(text, at, is_ended) == text.len()
}

/// [`skip_class`] for [`PARAMETER`], which includes controls other than blanks.
#[inline]
pub(crate) fn skip_parameter(text: &[u8], at: usize) -> usize {
    let at = find(text, at, |octets| {
        let separators = octets.equal(b';').or(octets.equal(b','));
        octets.up_to(b' ').or(separators).or(octets.equal(b'"'))
    });
    skip_class(&PARAMETER, text, at)
}

/// [`skip_class`] for [`URI`].
#[inline]
pub(crate) fn skip_uri(text: &[u8], at: usize) -> usize {
    find(text, at, |octets| {
        let controls = octets.up_to(b' ').or(octets.equal(0x7f));
        let brackets = octets.equal(b'<').or(octets.equal(b'>'));
        controls.or(brackets).or(octets.equal(b'"'))
    })
}

/// [`skip_class`] for the octets of a quoted string that need no escape.
#[inline]
fn skip_plain_quoted(text: &[u8], at: usize) -> usize {
    find(text, at, |octets| {
        octets.equal(b'"').or(octets.equal(b'\\'))
    })
}

/// The position after the quoted string that opens at `at`; None if it is not closed. A backslash
/// escapes one octet.
#[inline]
pub(crate) fn skip_quoted(text: &[u8], at: usize) -> Option<usize> {
    let mut at = skip_plain_quoted(text, at + 1);
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            // The escaped octet may be missing.
            _ => at = skip_plain_quoted(text, (at + 2).min(text.len())),
        }
    }
}

/// Returns whether every quoted string is closed.
pub(crate) fn are_quotes_closed(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(open) = memchr(b'"', &text[at..]) {
        match skip_quoted(text, at + open) {
            Some(close) => at = close,
            None => return false,
        }
    }
    true
}

/// A position in a value, which advances as the value is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { text, rest: text }
    }

    /// The number of octets read.
    #[inline]
    pub(crate) const fn position(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    /// The octets not read yet.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next octet, without consuming it.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Consumes the next octet if it is this one. Returns whether it was.
    #[inline]
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Consumes this text if it is next. Returns whether it was.
    #[inline]
    pub(crate) fn take_known(&mut self, text: &[u8]) -> Option<&'a [u8]> {
        let (found, rest) = self.rest.split_at_checked(text.len())?;
        (found == text).then(|| {
            self.rest = rest;
            found
        })
    }

    /// Consumes octets as long as they are in the class, and returns them.
    #[inline]
    pub(crate) fn take(&mut self, class: &Class) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(skip_class(class, self.rest, 0));
        self.rest = rest;
        taken
    }

    /// Consumes an unquoted parameter value, and returns it.
    #[inline]
    pub(crate) fn take_parameter(&mut self) -> &'a [u8] {
        let length = skip_parameter(self.text, self.position()) - self.position();
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Consumes a quoted string, and returns it with its quotes; None if it is not closed.
    #[inline]
    pub(crate) fn take_quoted(&mut self) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at(skip_quoted(self.rest, 0)?);
        self.rest = rest;
        Some(taken)
    }

    /// Consumes white space. Returns whether there was any.
    #[inline]
    pub(crate) fn skip_blanks(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = trim_start(self.rest);
        self.rest.len() < before
    }

    /// Everything read since `start`.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.text[start..self.position()]
    }
}

/// The content of a quoted string, with its escapes; any other text unchanged.
#[inline]
pub(crate) fn without_quotes(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}

/// Parses a number that consists only of decimal digits, at least one. Saturates, so that the
/// caller's limit refuses numbers that are too large.
#[inline]
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    /// This many digits never overflow.
    const SAFE_DIGITS: usize = 19;
    let (front, rest) = text.split_at(text.len().min(SAFE_DIGITS));
    let mut value = 0;
    for &octet in front {
        value = value * 10 + u64::from(digit(octet)?);
    }
    for &octet in rest {
        value = value
            .saturating_mul(10)
            .saturating_add(u64::from(digit(octet)?));
    }
    (!text.is_empty()).then_some(value)
}

#[inline]
const fn digit(octet: u8) -> Option<u8> {
    match octet.wrapping_sub(b'0') {
        digit @ 0..=9 => Some(digit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_strings_end_at_the_unescaped_quote() {
        assert_eq!(skip_quoted(br#""a\"b"c"#, 0), Some(6));
        assert_eq!(skip_quoted(br#""""#, 0), Some(2));
        assert_eq!(skip_quoted(br#""a\"#, 0), None);
        assert_eq!(skip_quoted(br#"""#, 0), None);
    }

    #[test]
    fn uris_end_where_their_class_says() {
        for octet in 0..=u8::MAX {
            for at in 0..40 {
                let mut text = [b'a'; 48];
                text[at] = octet;
                text[47] = b'>';
                assert_eq!(
                    skip_uri(&text, 0),
                    skip_class(&URI, &text, 0),
                    "{octet} {at}"
                );
                assert_eq!(
                    skip_uri(&text, at),
                    skip_class(&URI, &text, at),
                    "{octet} {at}"
                );
            }
        }
    }

    #[test]
    fn parameters_end_where_their_class_says() {
        for octet in 0..=u8::MAX {
            for length in [5, 15, 16, 17, 40] {
                for at in 0..length {
                    let mut text = vec![b'a'; length];
                    text[at] = octet;
                    assert_eq!(
                        skip_parameter(&text, at / 2),
                        skip_class(&PARAMETER, &text, at / 2),
                        "{octet} {at} of {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn numbers_are_digits_alone_and_saturate() {
        assert_eq!(number(b"0005"), Some(5));
        assert_eq!(
            number(b"9999999999999999999"),
            Some(9_999_999_999_999_999_999)
        );
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), Some(u64::MAX));
        assert_eq!(number(b"000000000000000000000000000007"), Some(7));
        assert_eq!(number(b"99999999999999999999999"), Some(u64::MAX));
        assert_eq!(number(b"99999999999999999999999x"), None);
        for text in [&b""[..], b"+5", b"-1", b"0x5", b"5 5", b"5,5", b"1e3"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn folds_are_blanks() {
        assert_eq!(trim(b" \r\n\ta b\r\n "), b"a b");
        assert_eq!(trim(b"\r\n "), b"");
    }
}
