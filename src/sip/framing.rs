//! Splits a byte stream into SIP messages (RFC 3261 §18.3, §20.14, RFC 5626 §4.4.1, §5.4, RFC
//! 8489). It has no state: the result depends only on the octets.

use crate::sip::header::octets;
use crate::sip::message::PlainResponse;
use crate::sip::message::lines::Lines;
use crate::sip::{Fault, HeaderName, StartLine};

/// The magic cookie of STUN.
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Octets of a STUN header.
const STUN_HEADER_OCTETS: usize = 20;

/// What is at the front of a stream's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Nothing complete yet: more octets are needed.
    Incomplete,
    /// `\r\n\r\n` between messages: a keepalive of that many octets; the response is one CRLF (RFC
    /// 5626 §4.4.1).
    Ping(usize),
    /// A lone CRLF (the response to our keepalive, or padding) of that many octets, to be dropped.
    Filler(usize),
    /// A STUN message of that many octets (RFC 8489 §6.2.2).
    Stun(usize),
    /// A complete message of that many octets.
    Message(usize),
    /// A plain 200 to a NOTIFY, of that many octets. Nearly all responses to a fan-out are plain
    /// 200s.
    Response(usize, PlainResponse<'a>),
}

/// Limits of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum octets of start line and headers.
    pub head_octets_max: usize,
    /// Maximum octets of a complete message.
    pub message_octets_max: usize,
}

/// Examines the front of `buffer`. `Err` means that the stream is out of sync or over its limits:
/// respond with the fault if the head can be parsed, then close the connection. Octets that cannot
/// become a SIP message are refused as early as possible, so that a body mistaken for a message
/// (RFC 3261 §18.3) or another protocol does not occupy the connection.
pub fn next_frame<'a>(buffer: &'a [u8], limits: &Limits) -> Result<Frame<'a>, Fault> {
    match buffer {
        [] | [b'\r'] | [b'\r', b'\n', b'\r'] => return Ok(Frame::Incomplete),
        [b'\r', b'\n', b'\r', b'\n', ..] => return Ok(Frame::Ping(4)),
        [b'\r', b'\n', ..] => return Ok(Frame::Filler(2)),
        [b'\n', ..] => return Ok(Frame::Filler(1)),
        [0..=3, ..] => return stun(buffer, limits),
        // Every start line begins with a token.
        [first, ..] if !octets::TOKEN[usize::from(*first)] => return Err(Fault::StartLine),
        _ => {}
    }
    if let Some((response, octets)) = PlainResponse::cut(buffer)
        && octets <= limits.head_octets_max.min(limits.message_octets_max)
    {
        return Ok(Frame::Response(octets, response));
    }
    let mut lines = Lines::new(buffer, 0);
    let Some(start_line) = lines.start_line() else {
        return incomplete(buffer, limits);
    };
    let (start_line, _) = StartLine::parse(start_line)?;
    let is_response = matches!(start_line, StartLine::Response { .. });
    let content_length = content_length(buffer, &mut lines, is_response)?;
    if !lines.is_complete() {
        return incomplete(buffer, limits);
    }
    let head = lines.position();
    if head > limits.head_octets_max {
        return Err(Fault::TooLarge);
    }
    let content_length = content_length.ok_or(Fault::ContentLength)?;
    let total = usize::try_from(content_length)
        .ok()
        .and_then(|body| head.checked_add(body))
        .filter(|&total| total <= limits.message_octets_max)
        .ok_or(Fault::TooLarge)?;
    Ok(if buffer.len() < total {
        Frame::Incomplete
    } else {
        Frame::Message(total)
    })
}

/// STUN begins with two zero bits, which SIP never does, and has a header that says its length.
fn stun<'a>(buffer: &[u8], limits: &Limits) -> Result<Frame<'a>, Fault> {
    let cookie = buffer.get(4..buffer.len().min(8)).unwrap_or_default();
    if !STUN_COOKIE.starts_with(cookie) {
        return Err(Fault::StartLine);
    }
    let Some(header) = buffer.first_chunk::<STUN_HEADER_OCTETS>() else {
        return Ok(Frame::Incomplete);
    };
    let length = u16::from_be_bytes([header[2], header[3]]);
    let total = STUN_HEADER_OCTETS + usize::from(length);
    if total > limits.message_octets_max {
        return Err(Fault::TooLarge);
    }
    Ok(match buffer.len() < total {
        true => Frame::Incomplete,
        false => Frame::Stun(total),
    })
}

/// The head is incomplete; more octets are awaited up to its limit.
fn incomplete<'a>(buffer: &[u8], limits: &Limits) -> Result<Frame<'a>, Fault> {
    if buffer.len() > limits.head_octets_max.min(limits.message_octets_max) {
        return Err(Fault::TooLarge);
    }
    Ok(Frame::Incomplete)
}

/// The only Content-Length among the lines. With two of them, or anything other than digits, we and
/// a proxy in front could split the stream at different positions (RFC 3261 §20.14). In a response, which
/// requests nothing, repeated equal values count as one: some gateways add their own.
fn content_length(
    buffer: &[u8],
    lines: &mut Lines<'_>,
    is_response: bool,
) -> Result<Option<u64>, Fault> {
    let mut found = None;
    while let Some(line) = lines.next() {
        let Some((HeaderName::ContentLength, value)) = line.name(buffer) else {
            continue;
        };
        // Its value may be on the next line (RFC 3261 §7.3.1).
        if lines.position() == buffer.len() {
            break;
        }
        let number = octets::number(octets::trim(&buffer[value..line.end]))
            .ok_or(Fault::Invalid(HeaderName::ContentLength))?;
        let before = found.replace(number);
        if before.is_some_and(|before| !is_response || before != number) {
            return Err(Fault::Repeated(HeaderName::ContentLength));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        head_octets_max: 200,
        message_octets_max: 300,
    };

    fn frame(text: &str) -> Result<Frame<'_>, Fault> {
        next_frame(text.as_bytes(), &LIMITS)
    }

    /// A request with these header lines, followed by these octets.
    fn request(headers: &str, rest: &str) -> String {
        format!("OPTIONS sip:a@b SIP/2.0\r\n{headers}\r\n{rest}")
    }

    #[test]
    fn between_messages() {
        assert_eq!(frame(""), Ok(Frame::Incomplete));
        assert_eq!(frame("\r"), Ok(Frame::Incomplete));
        assert_eq!(frame("\r\n"), Ok(Frame::Filler(2)));
        assert_eq!(frame("\r\n\r"), Ok(Frame::Incomplete));
        assert_eq!(frame("\r\n\r\n\r\n"), Ok(Frame::Ping(4)));
        assert_eq!(frame("\r\nOPTIONS"), Ok(Frame::Filler(2)));
        assert_eq!(frame("\n"), Ok(Frame::Filler(1)));
    }

    #[test]
    fn content_lengths_in_every_spelling() {
        for header in [
            "Content-Length: 4\r\n",
            "l:4\r\n",
            "CONTENT-LENGTH \t:\r\n 0004 \r\n",
            "X: y\nL : 4\n",
        ] {
            let text = request(header, "bodyOPTIONS");
            assert_eq!(frame(&text), Ok(Frame::Message(text.len() - 7)), "{header}");
        }
    }

    #[test]
    fn every_prefix_of_a_message_is_incomplete() {
        for headers in [
            "Via: x\r\nl: 4\r\n",
            "l:\r\n \r\n 4\r\nVia: x\r\n",
            "l:\n\t4\n",
        ] {
            let text = request(headers, "body");
            for end in 0..text.len() {
                assert_eq!(frame(&text[..end]), Ok(Frame::Incomplete), "{end}");
            }
            assert_eq!(frame(&text), Ok(Frame::Message(text.len())));
        }
    }

    #[test]
    fn lengths_that_could_smuggle() {
        assert_eq!(frame(&request("", "body")), Err(Fault::ContentLength));
        let invalid = Err(Fault::Invalid(HeaderName::ContentLength));
        for value in ["-1", "+5", "0x5", "5 5", "5,5", "", "5;x", "\u{665}"] {
            assert_eq!(
                frame(&request(&format!("l: {value}\r\n"), "bodybody")),
                invalid,
                "{value}"
            );
        }
        let repeated = Err(Fault::Repeated(HeaderName::ContentLength));
        assert_eq!(
            frame(&request("l: 4\r\nContent-Length: 4\r\n", "body")),
            repeated
        );
        let response = |lengths: &str| format!("SIP/2.0 200 OK\r\n{lengths}\r\nbody");
        let equal = response("l: 4\r\nContent-Length: 04\r\n");
        assert_eq!(frame(&equal), Ok(Frame::Message(equal.len())));
        assert_eq!(frame(&response("l: 4\r\nl: 3\r\n")), repeated);
        assert_eq!(
            frame(&request("l: 9223372036854775808\r\n", "")),
            Err(Fault::TooLarge)
        );
        assert_eq!(
            frame(&request("l: 99999999999999999999999\r\n", "")),
            Err(Fault::TooLarge)
        );
    }

    #[test]
    fn non_sip_octets_are_refused_at_once() {
        for text in [
            "<?xml",
            "\u{16}\u{3}\u{1}",
            " OPTIONS",
            "GET / HTTP/1.1\r\n",
            "body\r\n",
            "SIP/2.0 9 x\r\n",
        ] {
            assert_eq!(frame(text), Err(Fault::StartLine), "{text}");
        }
    }

    #[test]
    fn a_stun_message_is_as_long_as_its_header_says() {
        let message = [
            &[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42][..],
            &[7; 12],
            &[0x80, 0x22, 0, 4, b'n', b'a', b'm', b'e'],
        ];
        let message = message.concat();
        let frame = |octets: &[u8]| next_frame(octets, &LIMITS).map(|frame| format!("{frame:?}"));
        for end in 1..message.len() {
            assert_eq!(frame(&message[..end]), Ok("Incomplete".to_owned()), "{end}");
        }
        let behind = [&message[..], b"OPTIONS"].concat();
        assert_eq!(frame(&behind), Ok("Stun(28)".to_owned()));
        assert_eq!(frame(&[0, 1, 0, 0, 0x21, 0x13]), Err(Fault::StartLine));
        let mut long = message;
        long[2] = 2;
        assert_eq!(frame(&long), Err(Fault::TooLarge));
    }

    #[test]
    fn limits_hold() {
        let long_head = request(&format!("X: {}\r\nl: 0\r\n", "y".repeat(200)), "");
        assert_eq!(frame(&long_head), Err(Fault::TooLarge));
        assert_eq!(frame(&long_head[..200]), Ok(Frame::Incomplete));
        assert_eq!(frame(&long_head[..201]), Err(Fault::TooLarge));
        assert_eq!(frame(&"A".repeat(201)), Err(Fault::TooLarge));
        assert_eq!(frame(&request("l: 299\r\n", "")), Err(Fault::TooLarge));
    }
}
