//! A fast reader of plain 200s to NOTIFYs, which reads only the headers that identify the
//! transaction. Nearly all responses to a fan-out have this form, and nothing else in them matters.
//!
//! It is not a parser: any response that does not have exactly this form (folds, compact names,
//! several Vias, a Contact, a body, another status or method) is left to
//! [`Message::parse`](super::Message::parse), which reads and checks everything. For a plain 200
//! both give the same result (`tests/parse/plain_responses.rs`).

use crate::sip::header::octets;
use crate::sip::message::lines::next_control;

/// Identifies the NOTIFY to which a plain 200 responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainResponse<'a> {
    /// The branch of its only Via.
    pub branch: &'a [u8],
    /// The host of that Via, and its port if there is one, as written.
    pub sent_by: &'a [u8],
    /// The number of its CSeq.
    pub sequence: u32,
}

const STATUS: &[u8] = b"SIP/2.0 200 ";

// Headers that must occur exactly once, as bits.
const VIA: u8 = 1;
const FROM: u8 = 2;
const TO: u8 = 4;
const CALL_ID: u8 = 8;
const CSEQ: u8 = 16;
const LENGTH: u8 = 32;
/// Headers without meaning in a response; any number of them is accepted.
const HARMLESS: u8 = 0;

impl<'a> PlainResponse<'a> {
    /// Reads a datagram, or a message from a stream; None if it is anything other than a plain 200
    /// to a NOTIFY.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        Some(Self::read_front(bytes)?.response)
    }

    /// Reads the plain 200 at the front of a stream. Returns it with its length; None if there is
    /// anything else, or only part of one. On a stream it must have a Content-Length (RFC 3261
    /// §18.3).
    #[must_use]
    pub fn cut(stream: &'a [u8]) -> Option<(Self, usize)> {
        let front = Self::read_front(stream)?;
        front.has_length.then_some((front.response, front.octets))
    }

    fn read_front(bytes: &'a [u8]) -> Option<Front<'a>> {
        let mut rest = bytes.strip_prefix(STATUS)?;
        take_line(&mut rest)?;
        let (mut via, mut cseq): (&[u8], &[u8]) = (b"", b"");
        let mut seen = 0;
        loop {
            let line = take_line(&mut rest)?;
            let Some(first) = line.first() else { break };
            // The prefixes have constant lengths: each is one comparison of a word or two.
            let header = match first {
                b'V' => {
                    via = line.strip_prefix(b"Via: ")?;
                    VIA
                }
                b'F' if line.starts_with(b"From: ") => FROM,
                b'T' if line.starts_with(b"To: ") => TO,
                b'C' => match line.strip_prefix(b"CSeq: ") {
                    Some(value) => {
                        cseq = value;
                        CSEQ
                    }
                    None if line.starts_with(b"Call-ID: ") => CALL_ID,
                    None if line == b"Content-Length: 0" => LENGTH,
                    None => return None,
                },
                b'A' | b'D' | b'S' | b'U' if is_named(line) => HARMLESS,
                _ => return None,
            };
            if seen & header != 0 {
                return None;
            }
            seen |= header;
        }
        if seen & !LENGTH != VIA | FROM | TO | CALL_ID | CSEQ {
            return None;
        }
        let (sent_by, branch) = read_via(via)?;
        let number = octets::number(cseq.strip_suffix(b" NOTIFY")?)?;
        Some(Front {
            response: Self {
                branch,
                sent_by,
                sequence: u32::try_from(number)
                    .ok()
                    .filter(|number| *number < 1 << 31)?,
            },
            octets: bytes.len() - rest.len(),
            has_length: seen & LENGTH != 0,
        })
    }
}

/// A plain 200 at the front of a buffer.
struct Front<'a> {
    response: PlainResponse<'a>,
    /// Its length.
    octets: usize,
    /// Whether it has a Content-Length, of 0.
    has_length: bool,
}

/// The next line, without its end; None if there is none, or if it contains an octet that may end a
/// line.
#[inline]
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (line, behind) = rest.split_at_checked(next_control(rest, 0)?)?;
    *rest = behind.strip_prefix(b"\r\n")?;
    Some(line)
}

/// Returns whether a header name of at least two letters, and therefore not a compact one, precedes
/// a colon.
#[inline]
fn is_named(line: &[u8]) -> bool {
    let length = find(line, b':');
    (2..line.len()).contains(&length)
}

/// Sent-by and branch of `SIP/2.0/UDP host:port;branch=...`, or TCP, in any order of plain
/// parameters.
#[inline]
fn read_via(via: &[u8]) -> Option<(&[u8], &[u8])> {
    let protocol = via.strip_prefix(b"SIP/2.0/")?;
    let udp = protocol.strip_prefix(b"UDP ");
    let rest = udp.or_else(|| protocol.strip_prefix(b"TCP "))?;
    if !is_plain(rest) {
        return None;
    }
    let (sent_by, mut parameters) = split_at_semicolon(rest);
    let mut branch = None;
    while !parameters.is_empty() {
        let (parameter, others) = split_at_semicolon(parameters);
        if let [b'b' | b'B', ..] = parameter {
            let is_second = branch
                .replace(parameter.strip_prefix(b"branch=")?)
                .is_some();
            if is_second {
                return None;
            }
        }
        parameters = others;
    }
    Some((sent_by, branch?))
}

/// Returns whether a text contains no octet that separates several Vias, and no blank, quote or
/// IPv6 bracket: no bracket, and no ASCII octet below the dash. Reads sixteen octets at once, and
/// the last ones twice.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let are_plain = |octets: &[u8; 16]| {
        octets.iter().fold(true, |are_plain, octet| {
            are_plain & (*octet >= b'-') & (*octet != b'[')
        })
    };
    let (chunks, _) = text.as_chunks();
    text.last_chunk().is_some_and(are_plain) && chunks.iter().all(are_plain)
}

/// The text before the first semicolon, and the text after it.
#[inline]
fn split_at_semicolon(text: &[u8]) -> (&[u8], &[u8]) {
    let at = find(text, b';');
    (&text[..at], text.get(at + 1..).unwrap_or_default())
}

/// The first position of an octet that is expected to be near; the text's length if there is none.
/// Compares eight octets at once.
#[inline]
fn find(text: &[u8], octet: u8) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (words, rest) = text.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let differences = u64::from_le_bytes(*word) ^ (ONES * u64::from(octet));
        let found = differences.wrapping_sub(ONES) & !differences & (ONES << 7);
        if found != 0 {
            return 8 * place + found.trailing_zeros() as usize / 8;
        }
    }
    let passed = text.len() - rest.len();
    let found = rest.iter().position(|other| *other == octet);
    passed + found.unwrap_or(rest.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::PlainResponse;

    const PLAIN: &str = "SIP/2.0 200 OK\r\n\
        Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK77;rport=5060;received=10.0.0.1\r\n\
        From: <sip:1@a>;tag=x\r\nTo: <sip:2@a>;tag=y\r\nCall-ID: c@p\r\nCSeq: 7 NOTIFY\r\n\
        User-Agent: Phone\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_plain_200_is_read() {
        let response = PlainResponse::read(PLAIN.as_bytes()).unwrap();
        let expected = PlainResponse {
            branch: b"z9hG4bK77",
            sent_by: b"10.0.0.1:5060",
            sequence: 7,
        };
        assert_eq!(response, expected);
    }

    #[test]
    fn on_a_stream_it_ends_where_it_says() {
        let plain = PLAIN.replace("UDP", "TCP");
        let stream = format!("{plain}{plain}");
        let response = PlainResponse::read(plain.as_bytes()).unwrap();
        let first = PlainResponse::cut(stream.as_bytes());
        assert_eq!(first, Some((response, plain.len())));
        for end in 0..plain.len() {
            assert_eq!(PlainResponse::cut(&stream.as_bytes()[..end]), None, "{end}");
        }
        let length = "Content-Length: 0\r\n";
        for lengths in [String::new(), length.repeat(2), format!("{length}l: 0\r\n")] {
            let text = plain.replace(length, &lengths);
            assert_eq!(PlainResponse::cut(text.as_bytes()), None, "{lengths}");
        }
    }

    #[test]
    fn anything_else_is_left_to_the_parser() {
        let changes = [
            ("200 OK", "202 OK"),
            ("200 OK", "481 Gone"),
            ("SIP/2.0 200", "SIP/2.0  200"),
            ("Via: ", "v: "),
            ("Via: ", "Via : "),
            ("SIP/2.0/UDP", "SIP/2.0/SCTP"),
            ("10.0.0.1:5060;", "[::1]:5060;"),
            ("10.0.0.1:5060;", "10.0.0.1 :5060;"),
            (";received=10.0.0.1", ";received=\"10.0.0.1\""),
            (";rport=5060", ";branch=2"),
            (";rport=5060", ";BRANCH=2"),
            (";received=10.0.0.1", ", SIP/2.0/UDP b;branch=3"),
            ("From: <sip:1@a>;tag=x\r\n", ""),
            ("From: ", "f: "),
            ("To: <", "To: \r\n <"),
            ("Call-ID: c@p\r\n", "Call-ID: c@p\r\nCall-ID: c@p\r\n"),
            ("7 NOTIFY", "99999999999 NOTIFY"),
            ("7 NOTIFY", "7 OPTIONS"),
            ("7 NOTIFY", "2147483648 NOTIFY"),
            ("User-Agent: Phone", "Contact: <sip:2@b>"),
            ("User-Agent: Phone", "m: <sip:2@b>"),
            ("User-Agent: Phone", "Retry-After: 5"),
            ("User-Agent: Phone", "s: 5"),
            ("User-Agent: Phone", "User-Agent"),
            ("User-Agent: Phone", "User-Agent: Ph\u{1}ne"),
            ("Content-Length: 0", "Content-Length: 3"),
            ("\r\n\r\n", "\r\n"),
            ("Call-ID: c@p\r\n", "Call-ID: c@p\n"),
        ];
        for (from, to) in changes {
            let text = PLAIN.replacen(from, to, 1);
            assert_ne!(text, PLAIN, "{from}");
            assert_eq!(PlainResponse::read(text.as_bytes()), None, "{from} -> {to}");
        }
        for end in 0..PLAIN.len() {
            assert_eq!(PlainResponse::read(&PLAIN.as_bytes()[..end]), None, "{end}");
        }
    }
}
