//! What arrives on a stream, cut into messages with as little copying as can be.
//!
//! Octets come in a buffer all connections of a shard share. Messages that are whole there are handed on from there; only the beginning of one
//! that is not whole is kept. A connection with nothing begun keeps nothing.

use std::time::Duration;
use std::time::Instant;

use crate::net::Limits;
use crate::sip::Fault;
use crate::sip::framing;
use crate::sip::framing::Frame;

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
    limits: framing::Limits,
    timeout: Duration,
}

impl Inbound {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let framing = framing::Limits { head_octets_max: limits.head_octets_max, message_octets_max: limits.message_octets_max };
        Self { begun: Vec::new(), begun_at: None, limits: framing, timeout: limits.message_timeout }
    }

    /// Takes what was read and tells what is complete. After an error the stream is out of step and must be closed.
    pub fn take(&mut self, fresh: &[u8], now: Instant, mut each: impl FnMut(Arrival<'_>)) -> Result<(), Fault> {
        if self.begun.is_empty() {
            let used = cut(fresh, &self.limits, &mut each)?;
            self.begun.extend_from_slice(&fresh[used..]);
            self.begun_at = (used < fresh.len()).then_some(now);
            return Ok(());
        }
        self.begun.extend_from_slice(fresh);
        let used = cut(&self.begun, &self.limits, &mut each)?;
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
fn cut(octets: &[u8], limits: &framing::Limits, each: &mut impl FnMut(Arrival<'_>)) -> Result<usize, Fault> {
    let mut used = 0;
    while let Some(rest) = octets.get(used..).filter(|rest| !rest.is_empty()) {
        let length = match framing::next_frame(rest, limits)? {
            Frame::Incomplete => break,
            Frame::Ping(length) => {
                each(Arrival::Ping);
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
