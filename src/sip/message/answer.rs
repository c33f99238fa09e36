//! A plain 200, read by what names its transaction alone: of the answers to a fan-out nearly all
//! are of this shape, and nothing else of them matters.
//!
//! Not a parser: whatever is not exactly the common shape (folds, compact names, several Vias, a
//! Contact, a body, another status) is left to [`Message::parse`](super::Message::parse), which
//! reads all and judges all.

use memchr::memchr;

use crate::sip::header::octets;
use crate::sip::message::lines::next_control;

/// What a plain 200 says about the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainAnswer<'a> {
    /// The branch of its one Via.
    pub branch: &'a [u8],
    /// The host of that Via.
    pub host: &'a [u8],
    /// The port of that Via.
    pub port: Option<u16>,
    /// The number of its CSeq.
    pub sequence: u32,
    /// The method of its CSeq.
    pub method: &'a [u8],
}

/// What a stream must know of an answer.
struct Head {
    /// How long it is.
    octets: usize,
    /// How often it says that nothing follows.
    lengths: usize,
}

const STATUS: &[u8] = b"SIP/2.0 200 ";

/// Headers that must be there, once each.
const NEEDED: usize = 5;

impl<'a> PlainAnswer<'a> {
    /// Reads a datagram, or a message that was cut from a stream; None when it is anything but a
    /// plain 200.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (answer, _) = Self::read_front(bytes)?;
        Some(answer)
    }

    /// Octets of the plain 200 at the front of a stream; None when there is anything else, or only
    /// a part of one. Like everything on a stream it must say how long it is, and once
    /// (RFC 3261 §18.3).
    #[must_use]
    pub fn measure(stream: &'a [u8]) -> Option<usize> {
        let (_, head) = Self::read_front(stream)?;
        (head.lengths == 1).then_some(head.octets)
    }

    /// Reads what is at the front, and how far it went.
    fn read_front(bytes: &'a [u8]) -> Option<(Self, Head)> {
        let mut rest = bytes.strip_prefix(STATUS)?;
        take_line(&mut rest)?;
        let mut found: [Option<&[u8]>; NEEDED] = [None; NEEDED];
        let mut lengths = 0;
        loop {
            let line = take_line(&mut rest)?;
            let Some(first) = line.first() else { break };
            if let Some((place, value)) = needed(line) {
                if found.get_mut(place)?.replace(value).is_some() {
                    return None;
                }
            } else {
                let is_harmless = match first | 0x20 {
                    b's' | b'u' | b'a' | b'd' => memchr(b':', line).is_some_and(|colon| colon > 1),
                    b'c' => {
                        lengths += 1;
                        line.get(..15)?.eq_ignore_ascii_case(b"Content-Length:")
                            && line.get(15..)?.trim_ascii() == b"0"
                    }
                    _ => false,
                };
                if !is_harmless {
                    return None;
                }
            }
        }
        let octets = bytes.len() - rest.len();
        let [Some(via), Some(_), Some(_), Some(_), Some(cseq)] = found else {
            return None;
        };
        let (branch, host, port) = read_via(via)?;
        let digits = cseq
            .iter()
            .take_while(|octet| octet.is_ascii_digit())
            .count();
        let (number, method) = cseq.split_at(digits);
        let number = octets::number(number).filter(|number| *number <= i32::MAX as u64)?;
        let answer = Self {
            branch,
            host,
            port,
            sequence: number as u32,
            method: method.strip_prefix(b" ")?,
        };
        Some((answer, Head { octets, lengths }))
    }
}

/// The next line, without its end; None when there is none, or it holds what may end a line.
#[inline]
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (line, behind) = rest.split_at_checked(next_control(rest, 0)?)?;
    *rest = behind.strip_prefix(b"\r\n")?;
    Some(line)
}

/// Which of the needed headers a line is, spelled exactly like this, and its value.
#[inline]
fn needed(line: &[u8]) -> Option<(usize, &[u8])> {
    // By prefixes whose length the compiler knows: each is one comparison of a word or two.
    let via = || Some((0, line.strip_prefix(b"Via: ")?));
    let from = || Some((1, line.strip_prefix(b"From: ")?));
    let to = || Some((2, line.strip_prefix(b"To: ")?));
    let call_id = || Some((3, line.strip_prefix(b"Call-ID: ")?));
    let cseq = || Some((4, line.strip_prefix(b"CSeq: ")?));
    via()
        .or_else(from)
        .or_else(to)
        .or_else(call_id)
        .or_else(cseq)
}

/// `SIP/2.0/UDP host:port;branch=...`, or TCP, in any order of plain parameters.
fn read_via(via: &[u8]) -> Option<(&[u8], &[u8], Option<u16>)> {
    let protocol = via.strip_prefix(b"SIP/2.0/")?;
    let udp = protocol.strip_prefix(b"UDP ");
    let rest = udp.or_else(|| protocol.strip_prefix(b"TCP "))?;
    // Without an early exit, so that sixteen octets are compared at once. A tab ended the line.
    let is_plain = rest.iter().fold(true, |is_plain, octet| {
        is_plain & !matches!(octet, b',' | b' ' | b'"' | b'[' | b'(')
    });
    if !is_plain {
        return None;
    }
    let (sent_by, mut parameters) = split_at_semicolon(rest);
    let (host, port) = match memchr(b':', sent_by) {
        Some(colon) => {
            let port = octets::number(sent_by.get(colon + 1..)?)?;
            (sent_by.get(..colon)?, Some(u16::try_from(port).ok()?))
        }
        None => (sent_by, None),
    };
    let mut branch = None;
    while !parameters.is_empty() {
        let (parameter, others) = split_at_semicolon(parameters);
        if let Some(value) = parameter.strip_prefix(b"branch=")
            && branch.replace(value).is_some()
        {
            return None;
        }
        parameters = others;
    }
    Some((branch?, host, port))
}

/// What stands before the first semicolon, and what behind it.
#[inline]
fn split_at_semicolon(text: &[u8]) -> (&[u8], &[u8]) {
    let at = memchr(b';', text).unwrap_or(text.len());
    (&text[..at], text.get(at + 1..).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::PlainAnswer;

    const PLAIN: &str = "SIP/2.0 200 OK\r\n\
        Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK77;rport=5060;received=10.0.0.1\r\n\
        From: <sip:1@a>;tag=x\r\nTo: <sip:2@a>;tag=y\r\nCall-ID: c@p\r\nCSeq: 7 NOTIFY\r\n\
        User-Agent: Phone\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_plain_200_is_read() {
        let answer = PlainAnswer::read(PLAIN.as_bytes()).unwrap();
        let expected = PlainAnswer {
            branch: b"z9hG4bK77",
            host: b"10.0.0.1",
            port: Some(5060),
            sequence: 7,
            method: b"NOTIFY",
        };
        assert_eq!(answer, expected);
    }

    #[test]
    fn on_a_stream_it_ends_where_it_says() {
        let plain = PLAIN.replace("UDP", "TCP");
        let stream = format!("{plain}{plain}");
        assert_eq!(PlainAnswer::measure(stream.as_bytes()), Some(plain.len()));
        for end in 0..plain.len() {
            assert_eq!(
                PlainAnswer::measure(&stream.as_bytes()[..end]),
                None,
                "{end}"
            );
        }
        let length = "Content-Length: 0\r\n";
        for lengths in [String::new(), length.repeat(2), format!("{length}l: 0\r\n")] {
            let text = plain.replace(length, &lengths);
            assert_eq!(PlainAnswer::measure(text.as_bytes()), None, "{lengths}");
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
            (";rport=5060", ";branch=2"),
            (";received=10.0.0.1", ", SIP/2.0/UDP b;branch=3"),
            ("From: <sip:1@a>;tag=x\r\n", ""),
            ("From: ", "f: "),
            ("To: <", "To: \r\n <"),
            ("Call-ID: c@p\r\n", "Call-ID: c@p\r\nCall-ID: c@p\r\n"),
            ("7 NOTIFY", "99999999999 NOTIFY"),
            ("User-Agent: Phone", "Contact: <sip:2@b>"),
            ("User-Agent: Phone", "m: <sip:2@b>"),
            ("User-Agent: Phone", "Retry-After: 5"),
            ("User-Agent: Phone", "User-Agent: Ph\u{1}ne"),
            ("Content-Length: 0", "Content-Length: 3"),
            ("\r\n\r\n", "\r\n"),
            ("Call-ID: c@p\r\n", "Call-ID: c@p\n"),
        ];
        for (from, to) in changes {
            let text = PLAIN.replacen(from, to, 1);
            assert_ne!(text, PLAIN, "{from}");
            assert_eq!(PlainAnswer::read(text.as_bytes()), None, "{from} -> {to}");
        }
        for end in 0..PLAIN.len() {
            assert_eq!(PlainAnswer::read(&PLAIN.as_bytes()[..end]), None, "{end}");
        }
    }
}
