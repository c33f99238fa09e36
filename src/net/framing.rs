//! What arrives on a stream, cut into messages with as little copying as can be.
//!
//! Octets come in a buffer all connections of a shard share. Messages that are whole there are
//! handed on from there; only the beginning of one that is not whole is kept. A connection with
//! nothing begun keeps nothing.

use std::time::Duration;
use std::time::Instant;

use crate::net::Limits;
use crate::sip::Fault;
use crate::sip::framing;
use crate::sip::framing::Frame;

/// Two lone CRLFs this close together are one keepalive that was split on its way; further apart
/// they are two of the single kind, which want no answer.
const SPLIT_PING: Duration = Duration::from_secs(2);
/// Room that is kept for the next message; more is given back.
const KEPT_OCTETS: usize = 4 * 1024;

/// What was found on a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// A keepalive that wants one CRLF (RFC 5626 §4.4.1).
    Ping,
}

/// The receiving half of one stream.
#[derive(Debug)]
pub struct Inbound {
    begun: Vec<u8>,
    begun_at: Option<Instant>,
    /// When the last thing on the stream was half a keepalive.
    half_ping_at: Option<Instant>,
    limits: framing::Limits,
    timeout: Duration,
}

impl Inbound {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
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

    /// Takes what was read and tells what is complete. After an error the stream is out of step and
    /// must be closed.
    pub fn take(
        &mut self,
        fresh: &[u8],
        now: Instant,
        mut each: impl FnMut(Arrival<'_>),
    ) -> Result<(), Fault> {
        if self.begun.is_empty() {
            let used = cut(fresh, &self.limits, now, &mut self.half_ping_at, &mut each)?;
            self.begun.extend_from_slice(&fresh[used..]);
            self.begun_at = (used < fresh.len()).then_some(now);
            return Ok(());
        }
        self.begun.extend_from_slice(fresh);
        let used = cut(
            &self.begun,
            &self.limits,
            now,
            &mut self.half_ping_at,
            &mut each,
        )?;
        if used > 0 {
            self.begun.drain(..used);
            self.begun.shrink_to(KEPT_OCTETS);
            self.begun_at = (!self.begun.is_empty()).then_some(now);
        }
        if self.begun.is_empty() {
            self.begun = Vec::new();
        }
        Ok(())
    }

    /// When the message that has begun must be complete; None when none has.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.begun_at? + self.timeout)
    }
}

/// Hands on what is whole at the front, gives back how many octets that was.
fn cut(
    octets: &[u8],
    limits: &framing::Limits,
    now: Instant,
    half_ping_at: &mut Option<Instant>,
    each: &mut impl FnMut(Arrival<'_>),
) -> Result<usize, Fault> {
    let mut used = 0;
    while let Some(rest) = octets.get(used..).filter(|rest| !rest.is_empty()) {
        let frame = framing::next_frame(rest, limits)?;
        if frame == Frame::Incomplete {
            break;
        }
        let first_half = half_ping_at
            .take()
            .filter(|first_half| now.saturating_duration_since(*first_half) < SPLIT_PING);
        let length = match frame {
            Frame::Incomplete => 0,
            Frame::Ping(length) => {
                each(Arrival::Ping);
                length
            }
            Frame::Filler(length @ 2) => {
                match first_half {
                    Some(_) => each(Arrival::Ping),
                    None => *half_ping_at = Some(now),
                }
                length
            }
            Frame::Filler(length) => length,
            Frame::Message(length) => {
                each(Arrival::Message(rest.get(..length).unwrap_or(rest)));
                length
            }
        };
        if length == 0 {
            break;
        }
        used += length;
    }
    Ok(used.min(octets.len()))
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

    fn feed(inbound: &mut Inbound, octets: &[u8], now: Instant) -> Vec<String> {
        let mut seen = Vec::new();
        let each = |arrival: Arrival<'_>| match arrival {
            Arrival::Message(bytes) => seen.push(String::from_utf8(bytes.to_vec()).unwrap()),
            Arrival::Ping => seen.push(PING.to_owned()),
        };
        inbound.take(octets, now, each).unwrap();
        seen
    }

    #[test]
    fn however_a_stream_is_split_the_same_is_cut_from_it() {
        let expected = [
            message(0),
            PING.to_owned(),
            message(700),
            message(3),
            message(1),
        ];
        let stream = expected.concat();
        let now = Instant::now();
        for step in [1, 2, 3, 7, 100, 1000, stream.len()] {
            let mut inbound = Inbound::new(&Limits::default());
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
        let mut inbound = Inbound::new(&limits);
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
    fn single_line_ends_are_no_ping_unless_they_are_halves_of_one() {
        let mut inbound = Inbound::new(&Limits::default());
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
    fn what_comes_before_a_fault_is_not_lost() {
        let mut inbound = Inbound::new(&Limits::default());
        let stream = format!("{}<html>\r\n", message(2));
        let mut count = 0;
        let outcome = inbound.take(stream.as_bytes(), Instant::now(), |_| count += 1);
        assert_eq!((outcome, count), (Err(Fault::StartLine), 1));
    }
}
