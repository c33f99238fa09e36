//! The frames of a WebSocket connection (RFC 6455 §5): messages in both directions, pings and their
//! pongs. Pure.
//!
//! A message that is whole in what was read is unmasked and handed on; only the beginning of an
//! incomplete one is kept. A peer that breaks a rule is closed with the code that says which.

use std::cell::Cell;
use std::io::Cursor;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::net::Limits;
use crate::net::stream::transport::{Arrival, Framing};
use crate::sip::Fault;

/// Octets of a ping, pong or close (RFC 6455 §5.5).
const CONTROL_OCTETS_MAX: usize = 125;

/// Appends a SIP message in a frame. It is text, because scripts expect text, unless it would be invalid
/// as such: then a browser would close the connection (RFC 6455 §8.1).
pub fn push_message(pieces: [&[u8]; 2], octets: &mut Vec<u8>) {
    let is_text = pieces.iter().all(|piece| str::from_utf8(piece).is_ok());
    let kind = if is_text { Data::Text } else { Data::Binary };
    push_head(
        OpCode::Data(kind),
        pieces[0].len() + pieces[1].len(),
        octets,
    );
    pieces
        .iter()
        .for_each(|piece| octets.extend_from_slice(piece));
}

/// The frame that closes a connection.
#[must_use]
pub fn close(code: CloseCode) -> Vec<u8> {
    control(Control::Close, &u16::from(code).to_be_bytes())
}

fn control(kind: Control, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    push_head(OpCode::Control(kind), payload.len(), &mut octets);
    octets.extend_from_slice(payload);
    octets
}

fn push_head(opcode: OpCode, length: usize, octets: &mut Vec<u8>) {
    let head = FrameHeader {
        opcode,
        ..FrameHeader::default()
    };
    let written = head.format(length as u64, octets);
    debug_assert!(written.is_ok(), "a Vec takes all that is written to it");
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct WebSocketFraming {
    /// The beginning of an incomplete frame.
    begun: Vec<u8>,
    /// A message whose last frame has not come: its kind, and what has come.
    message: Option<(Data, Vec<u8>)>,
    begun_at: Option<Instant>,
    octets_max: usize,
    timeout: Duration,
    /// With which the connection is closed.
    close_code: Rc<Cell<CloseCode>>,
}

/// A whole frame, unmasked.
struct Frame {
    opcode: OpCode,
    is_final: bool,
    payload: Vec<u8>,
    /// Its octets on the wire.
    octets: usize,
}

impl WebSocketFraming {
    /// A connection at its beginning. `close_code` is set once the peer ends it, or breaks a rule.
    #[must_use]
    pub fn new(limits: &Limits, close_code: Rc<Cell<CloseCode>>) -> Self {
        Self {
            begun: Vec::new(),
            message: None,
            begun_at: None,
            octets_max: limits.message_octets_max,
            timeout: limits.message_timeout,
            close_code,
        }
    }

    /// The frame at the front, if it is whole.
    fn cut(&self, octets: &[u8]) -> Result<Option<Frame>, CloseCode> {
        let mut cursor = Cursor::new(octets);
        // An error is an opcode that has no meaning.
        let head = FrameHeader::parse(&mut cursor).map_err(|_| CloseCode::Protocol)?;
        let Some((head, length)) = head else {
            return Ok(None);
        };
        let has_extension = head.rsv1 || head.rsv2 || head.rsv3;
        let mask = head.mask.filter(|_| !has_extension);
        let mask = mask.ok_or(CloseCode::Protocol)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.check_length(&head, length)?;
        let start = cursor.position() as usize;
        let Some(masked) = octets.get(start..start + length) else {
            return Ok(None);
        };
        let unmask = |(octet, mask): (&u8, &u8)| octet ^ mask;
        Ok(Some(Frame {
            opcode: head.opcode,
            is_final: head.is_final,
            payload: masked.iter().zip(mask.iter().cycle()).map(unmask).collect(),
            octets: start + length,
        }))
    }

    fn check_length(&self, head: &FrameHeader, length: usize) -> Result<(), CloseCode> {
        match head.opcode {
            OpCode::Control(_) if length > CONTROL_OCTETS_MAX || !head.is_final => {
                Err(CloseCode::Protocol)
            }
            OpCode::Control(_) => Ok(()),
            OpCode::Data(_) => {
                let before = self.message.as_ref().map_or(0, |(_, octets)| octets.len());
                match length <= self.octets_max.saturating_sub(before) {
                    true => Ok(()),
                    false => Err(CloseCode::Size),
                }
            }
        }
    }

    /// Serves a frame.
    fn serve(&mut self, frame: Frame, each: &mut dyn FnMut(Arrival<'_>)) -> Result<(), CloseCode> {
        match frame.opcode {
            OpCode::Control(Control::Ping) => {
                each(Arrival::Answer(&control(Control::Pong, &frame.payload)));
            }
            OpCode::Control(Control::Close) => {
                self.close_code.set(answer_to_close(&frame.payload)?);
                each(Arrival::Goodbye);
            }
            OpCode::Control(Control::Pong) => {}
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                return Err(CloseCode::Protocol);
            }
            OpCode::Data(kind) => return self.join(kind, frame, each),
        }
        Ok(())
    }

    /// Adds a frame to its message, and hands that on when it is whole.
    fn join(
        &mut self,
        kind: Data,
        frame: Frame,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), CloseCode> {
        let (kind, message) = match (self.message.take(), kind) {
            (None, Data::Text | Data::Binary) => (kind, frame.payload),
            (Some((kind, mut message)), Data::Continue) => {
                message.extend_from_slice(&frame.payload);
                (kind, message)
            }
            _ => return Err(CloseCode::Protocol),
        };
        if !frame.is_final {
            self.message = Some((kind, message));
            return Ok(());
        }
        self.begun_at = None;
        if kind == Data::Text && str::from_utf8(&message).is_err() {
            return Err(CloseCode::Invalid);
        }
        match message.as_slice() {
            // The keepalive of clients that cannot send a ping (RFC 7118 §6, RFC 5626 §4.4.1).
            b"\r\n\r\n" => each(Arrival::Ping),
            b"" | b"\r\n" => {}
            message => each(Arrival::Message(message)),
        }
        Ok(())
    }

    /// Serves the whole frames at the front; returns the octets of them.
    fn go_on(
        &mut self,
        octets: &[u8],
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<usize, CloseCode> {
        let mut taken = 0;
        while let Some(frame) = self.cut(octets.get(taken..).unwrap_or_default())? {
            taken += frame.octets;
            let is_last = frame.opcode == OpCode::Control(Control::Close);
            self.serve(frame, each)?;
            if is_last {
                // What follows a close is not read.
                return Ok(octets.len());
            }
        }
        Ok(taken)
    }
}

/// The code that answers a close: the same one, if it may be sent (RFC 6455 §5.5.1, §7.4).
fn answer_to_close(payload: &[u8]) -> Result<CloseCode, CloseCode> {
    let [high, low, reason @ ..] = payload else {
        return match payload.is_empty() {
            true => Ok(CloseCode::Normal),
            false => Err(CloseCode::Protocol),
        };
    };
    let code = CloseCode::from(u16::from_be_bytes([*high, *low]));
    match code.is_allowed() && str::from_utf8(reason).is_ok() {
        true => Ok(code),
        false => Err(CloseCode::Protocol),
    }
}

impl Framing for WebSocketFraming {
    fn take(
        &mut self,
        octets: &[u8],
        now: Instant,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Fault> {
        let mut begun = std::mem::take(&mut self.begun);
        let is_new = begun.is_empty();
        if !is_new {
            begun.extend_from_slice(octets);
        }
        let all = if is_new { octets } else { &begun };
        let taken = self.go_on(all, each).map_err(|code| {
            self.close_code.set(code);
            match code {
                CloseCode::Size => Fault::TooLarge,
                _ => Fault::StartLine,
            }
        })?;
        if is_new {
            begun.extend_from_slice(octets.get(taken..).unwrap_or_default());
        } else {
            begun.drain(..taken);
        }
        let is_within = !begun.is_empty() || self.message.is_some();
        self.begun_at = is_within.then(|| self.begun_at.unwrap_or(now));
        self.begun = if begun.is_empty() { Vec::new() } else { begun };
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

    /// A frame of a client: the first octet as given, the payload masked.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut octets = vec![first];
        match payload.len() {
            length @ 0..=125 => octets.push(0x80 | length as u8),
            length => {
                octets.push(0x80 | 126);
                octets.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        octets.extend_from_slice(&mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        octets.extend(masked.map(|(octet, mask)| octet ^ mask));
        octets
    }

    /// What comes of octets that arrive in pieces of that size, and the code of the close if it ends.
    fn read(octets: &[u8], size: usize) -> (Vec<String>, Option<u16>) {
        let limits = Limits {
            message_octets_max: 1000,
            ..Limits::default()
        };
        let code = Rc::new(Cell::new(CloseCode::Away));
        let mut framing = WebSocketFraming::new(&limits, Rc::clone(&code));
        let (mut found, mut is_over) = (Vec::new(), false);
        for piece in octets.chunks(size) {
            let taken = framing.take(piece, Instant::now(), &mut |arrival| {
                found.push(match arrival {
                    Arrival::Message(message) => format!("message {}", message.escape_ascii()),
                    Arrival::Answer(frame) => format!("answer {}", frame.escape_ascii()),
                    Arrival::Ping => "ping".to_owned(),
                    Arrival::Goodbye => {
                        is_over = true;
                        "goodbye".to_owned()
                    }
                    Arrival::Response(..) | Arrival::Stun(_) => unreachable!(),
                });
            });
            if taken.is_err() || is_over {
                return (found, Some(code.get().into()));
            }
        }
        assert!(framing.deadline().is_none() && framing.begun.capacity() == 0);
        (found, None)
    }

    #[test]
    fn messages_and_pings_come_however_they_are_split() {
        let octets = [
            frame(0x81, b"OPTIONS"),
            frame(0x01, b"SUB"),
            frame(0x89, b"are you there"),
            frame(0x00, b"SCR"),
            frame(0x8a, b""),
            frame(0x80, b"IBE"),
            frame(0x82, &[0xff, 0x00]),
            frame(0x81, b"\r\n\r\n"),
            frame(0x81, &[b'x'; 300]),
        ]
        .concat();
        let expected = [
            "message OPTIONS",
            "answer \\x8a\\rare you there",
            "message SUBSCRIBE",
            "message \\xff\\x00",
            "ping",
            &format!("message {}", "x".repeat(300)),
        ];
        for size in 1..octets.len() {
            let (found, close) = read(&octets, size);
            assert_eq!(found, expected, "in pieces of {size}");
            assert_eq!(close, None);
        }
    }

    #[test]
    fn a_broken_rule_has_its_code() {
        let unmasked = vec![0x81, 1, b'x'];
        let table: [(&str, Vec<u8>, u16); 12] = [
            ("unmasked", unmasked, 1002),
            ("an extension", frame(0xc1, b"x"), 1002),
            ("an opcode without meaning", frame(0x83, b"x"), 1002),
            ("a control opcode without meaning", frame(0x8b, b"x"), 1002),
            ("a ping in two", frame(0x09, b"x"), 1002),
            ("a long ping", frame(0x89, &[0; 126]), 1002),
            ("the rest of nothing", frame(0x80, b"x"), 1002),
            (
                "two messages at once",
                [frame(0x01, b"x"), frame(0x81, b"y")].concat(),
                1002,
            ),
            ("text that is none", frame(0x81, &[0xff]), 1007),
            ("too long", frame(0x81, &[b'x'; 1001]), 1009),
            (
                "too long in all",
                [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 401])].concat(),
                1009,
            ),
            ("a close of one octet", frame(0x88, &[3]), 1002),
        ];
        for (what, octets, code) in table {
            let (found, close) = read(&octets, octets.len());
            assert_eq!((found.len(), close), (0, Some(code)), "{what}");
        }
        // Before the octets come that it announces.
        let (_, close) = read(&frame(0x82, &[0; 1001])[..8], 8);
        assert_eq!(close, Some(1009));
    }

    #[test]
    fn a_close_is_answered_with_its_code() {
        let answer = |payload: &[u8]| read(&frame(0x88, payload), 1000);
        let goodbye = |code| (vec!["goodbye".to_owned()], Some(code));
        assert_eq!(answer(b""), goodbye(1000));
        assert_eq!(answer(b"\x03\xe9gone"), goodbye(1001));
        assert_eq!(answer(b"\x0f\xa0"), goodbye(4000));
        // 1005 must not be sent.
        assert_eq!(answer(b"\x03\xed"), (Vec::new(), Some(1002)));
        assert_eq!(close(CloseCode::Away), [0x88, 2, 0x03, 0xe9]);
        let late = [frame(0x88, b""), frame(0x81, b"x")].concat();
        assert_eq!(read(&late, 1000), goodbye(1000));
    }

    #[test]
    fn a_message_is_text_if_it_can_be() {
        let push = |message| {
            let mut octets = Vec::new();
            push_message(message, &mut octets);
            octets
        };
        assert_eq!(push([b"ab", b"\xc3\xa4"]), b"\x81\x04ab\xc3\xa4");
        assert_eq!(push([b"ab", b"\xff"]), b"\x82\x03ab\xff");
        let long = push([&[b'x'; 100], &[b'y'; 200]]);
        assert_eq!((&long[..4], long.len()), (&b"\x81\x7e\x01\x2c"[..], 304));
    }

    #[test]
    fn an_incomplete_message_has_a_deadline() {
        let limits = Limits::default();
        let code = Rc::new(Cell::new(CloseCode::Away));
        let mut framing = WebSocketFraming::new(&limits, code);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ignore = |_: Arrival<'_>| ();
        framing
            .take(&frame(0x01, b"x"), at(0), &mut ignore)
            .unwrap();
        framing.take(&frame(0x89, b""), at(5), &mut ignore).unwrap();
        framing
            .take(&frame(0x00, b"x"), at(9), &mut ignore)
            .unwrap();
        assert_eq!(framing.deadline(), Some(at(0) + limits.message_timeout));
        framing
            .take(&frame(0x80, b"x"), at(9), &mut ignore)
            .unwrap();
        assert_eq!(framing.deadline(), None);
        framing.take(&[0x81], at(11), &mut ignore).unwrap();
        assert_eq!(framing.deadline(), Some(at(11) + limits.message_timeout));
    }
}
