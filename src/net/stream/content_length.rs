//! Splits a byte stream into messages by Content-Length with minimal copying.
//!
//! Octets come in a buffer that all connections of a shard share. A message that is whole there is
//! handed on from there; only the beginning of an incomplete message is kept. Between messages
//! nothing is kept.

use std::time::{Duration, Instant};

use crate::net::Limits;
use crate::net::stream::{Arrival, Framing};
use crate::sip::framing::Frame;
use crate::sip::{Fault, framing};

/// Two lone CRLFs this close together are one keepalive that was split on its way; further apart
/// they are two separate single-CRLF keepalives, which need no response.
const SPLIT_PING: Duration = Duration::from_secs(2);
/// The least that is added to an incomplete message before it is parsed again: most messages are
/// complete then, and little of the next one is copied.
const STEP_OCTETS: usize = 1024;

/// The receiving half of a stream whose messages say how long they are (RFC 3261 §18.3).
#[derive(Debug)]
pub(super) struct ContentLengthFraming {
    /// The beginning of an incomplete message.
    begun: Vec<u8>,
    begun_at: Option<Instant>,
    /// When a lone CRLF, perhaps half a keepalive, was the last thing on the stream.
    half_ping_at: Option<Instant>,
    limits: framing::Limits,
    timeout: Duration,
}

impl ContentLengthFraming {
    /// A stream at its beginning.
    pub(super) fn new(limits: &Limits) -> Self {
        let framing = framing::Limits {
            head_octets_max: limits.head_octets_max,
            message_octets_max: limits.message_octets_max,
        };
        Self {
            begun: Vec::new(),
            begun_at: None,
            half_ping_at: None,
            limits: framing,
            timeout: limits.message_timeout,
        }
    }

    /// Adds octets to the incomplete message, not many more than it needs to become whole; returns
    /// the rest of `fresh`.
    fn go_on<'a>(
        &mut self,
        fresh: &'a [u8],
        now: Instant,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<&'a [u8], Fault> {
        let mut begun = std::mem::take(&mut self.begun);
        let before = begun.len();
        let (more, behind) = fresh.split_at(fresh.len().min(before.max(STEP_OCTETS)));
        begun.extend_from_slice(more);
        let cut = self.cut(&begun, now, each)?;
        let Some(length) = cut else {
            self.begun = begun;
            return Ok(behind);
        };
        self.begun_at = Some(now);
        match length.checked_sub(before) {
            Some(used) => Ok(&fresh[used..]),
            None => {
                // One CRLF and half of the next: only the first was consumed.
                begun.truncate(before);
                begun.drain(..length);
                self.begun = begun;
                Ok(fresh)
            }
        }
    }

    /// Hands on the message or keepalive at the front; returns its octets, None if it is
    /// incomplete.
    fn cut(
        &mut self,
        octets: &[u8],
        now: Instant,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<usize>, Fault> {
        let frame = framing::next_frame(octets, &self.limits)?;
        if frame == Frame::Incomplete {
            return Ok(None);
        }
        let first_half = self
            .half_ping_at
            .take()
            .filter(|first_half| now.saturating_duration_since(*first_half) < SPLIT_PING);
        let message = |length: usize| octets.get(..length).unwrap_or(octets);
        let length = match frame {
            Frame::Incomplete => return Ok(None),
            Frame::Ping(length) => {
                each(Arrival::Ping);
                length
            }
            Frame::Stun(length) => {
                each(Arrival::Stun(message(length)));
                length
            }
            Frame::Filler(length) => {
                match first_half {
                    Some(_) if length == 2 => each(Arrival::Ping),
                    None if length == 2 => self.half_ping_at = Some(now),
                    _ => {}
                }
                length
            }
            Frame::Message(length) => {
                each(Arrival::Message(message(length)));
                length
            }
            Frame::Response(length, response) => {
                each(Arrival::Response(message(length), response));
                length
            }
        };
        Ok(Some(length))
    }
}

impl Framing for ContentLengthFraming {
    fn take(
        &mut self,
        octets: &[u8],
        now: Instant,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Fault> {
        let mut fresh = octets;
        while !self.begun.is_empty() && !fresh.is_empty() {
            fresh = self.go_on(fresh, now, each)?;
        }
        if self.begun.is_empty() {
            self.begun = Vec::new();
            self.begun_at = None;
        }
        while let Some(length) = self.cut(fresh, now, each)? {
            fresh = fresh.get(length..).unwrap_or_default();
        }
        if !fresh.is_empty() {
            self.begun.extend_from_slice(fresh);
            self.begun_at = Some(now);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.begun_at? + self.timeout)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const PING: &str = "\r\n\r\n";

    fn message(number: usize) -> String {
        let body = "b".repeat(number);
        format!(
            "OPTIONS sip:{number}@example.com SIP/2.0\r\nContent-Length: {number}\r\n\r\n{body}"
        )
    }

    fn feed(inbound: &mut ContentLengthFraming, octets: &[u8], now: Instant) -> Vec<String> {
        let mut seen = Vec::new();
        let mut each = |arrival: Arrival<'_>| match arrival {
            Arrival::Message(bytes) | Arrival::Response(bytes, _) | Arrival::Stun(bytes) => {
                seen.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
            Arrival::Ping => seen.push(PING.to_owned()),
            Arrival::Answer(_) | Arrival::Goodbye => unreachable!("TCP has no frames"),
        };
        inbound.take(octets, now, &mut each).unwrap();
        seen
    }

    #[test]
    fn framing_does_not_depend_on_how_a_stream_is_split() {
        let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a;branch=b\r\nFrom: <sip:a@b>\r\n\
            To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\nContent-Length: 0\r\n\r\n";
        let expected = [
            message(0),
            PING.to_owned(),
            message(700),
            response.to_owned(),
            response.to_owned(),
            message(5000),
            message(3),
            message(1),
        ];
        let stream = expected.concat();
        let now = Instant::now();
        for step in [1, 2, 3, 7, 100, 1000, 1500, stream.len()] {
            let mut inbound = ContentLengthFraming::new(&Limits::default());
            let seen: Vec<String> = stream
                .as_bytes()
                .chunks(step)
                .flat_map(|part| feed(&mut inbound, part, now))
                .collect();
            assert_eq!(seen, expected, "in steps of {step}");
            assert_eq!(
                (inbound.deadline(), inbound.begun.capacity()),
                (None, 0),
                "nothing is kept between messages"
            );
        }
    }

    #[test]
    fn the_clock_runs_from_the_first_octet_of_a_message() {
        let limits = Limits::default();
        let mut inbound = ContentLengthFraming::new(&limits);
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let text = message(4);
        let (begin, end) = text.split_at(30);
        assert!(feed(&mut inbound, begin.as_bytes(), later(1)).is_empty());
        assert!(feed(&mut inbound, &end.as_bytes()[..1], later(20)).is_empty());
        assert_eq!(inbound.deadline(), Some(later(1) + limits.message_timeout));
        // The next message begins in the same read as this one ends.
        let rest = [&end.as_bytes()[1..], b"OPT"].concat();
        assert_eq!(feed(&mut inbound, &rest, later(25)), [message(4)]);
        assert_eq!(inbound.deadline(), Some(later(25) + limits.message_timeout));
    }

    #[test]
    fn a_single_crlf_is_no_ping_unless_it_is_half_of_one() {
        let mut inbound = ContentLengthFraming::new(&Limits::default());
        let start = Instant::now();
        assert!(feed(&mut inbound, b"\r\n", start).is_empty());
        assert!(feed(&mut inbound, b"\r\n", start + Duration::from_secs(25)).is_empty());
        assert_eq!(
            feed(&mut inbound, b"\r\n", start + Duration::from_secs(26)),
            [PING]
        );
        assert!(feed(&mut inbound, b"\r\n", start + Duration::from_secs(27)).is_empty());
        assert_eq!(
            feed(
                &mut inbound,
                message(0).as_bytes(),
                start + Duration::from_secs(27)
            ),
            [message(0)]
        );
        assert!(
            feed(&mut inbound, b"\r\n", start + Duration::from_secs(27)).is_empty(),
            "a message in between parts them"
        );
    }

    #[test]
    fn messages_before_a_framing_error_are_delivered() {
        let mut inbound = ContentLengthFraming::new(&Limits::default());
        let stream = format!("{}<html>\r\n", message(2));
        let mut count = 0;
        let outcome = inbound.take(stream.as_bytes(), Instant::now(), &mut |_| count += 1);
        assert_eq!((outcome, count), (Err(Fault::StartLine), 1));
    }
}
