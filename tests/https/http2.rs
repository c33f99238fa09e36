//! A client of HTTP/2 for tests (RFC 9113): it writes its frames itself, so that it can send wrong ones.

use std::io::{ErrorKind, Read, Write};

use crate::authority::Tls;

/// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

/// Flags of frames.
pub(crate) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A connection.
pub(crate) struct Http2 {
    pub(crate) stream: Tls,
    unread: Vec<u8>,
    last: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code in RST_STREAM or GOAWAY.
    pub(crate) fn error(&self) -> u32 {
        let code = &self.payload[if self.kind == GOAWAY { 4 } else { 0 }..][..4];
        u32::from_be_bytes(code.try_into().unwrap())
    }
}

impl Http2 {
    pub(crate) fn new(stream: Tls) -> Self {
        let mut client = Self {
            stream,
            unread: Vec::new(),
            last: 0,
        };
        client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // SETTINGS_HEADER_TABLE_SIZE: no header refers to an earlier one.
        client.send(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
        client
    }

    /// A server that has cut the connection off shows it when it is read.
    fn write(&mut self, octets: &[u8]) {
        let _ = self
            .stream
            .write_all(octets)
            .and_then(|()| self.stream.flush());
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.write(&frame(kind, flags, stream, payload));
    }

    /// The same frame many times.
    pub(crate) fn flood(&mut self, count: usize, frame: &[u8]) {
        for _ in 0..count / 100 {
            self.write(&frame.repeat(100));
        }
    }

    /// Sends the head of a request, with its end if it has no body.
    pub(crate) fn request(&mut self, method: &str, path: &str, flags: u8) -> u32 {
        self.request_with(method, path, &[], flags)
    }

    pub(crate) fn request_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        flags: u8,
    ) -> u32 {
        let stream = self.next();
        let head = head(method, path, headers);
        self.send(HEADERS, flags | END_HEADERS, stream, &head);
        stream
    }

    /// The number of the next request.
    pub(crate) fn next(&mut self) -> u32 {
        self.last = if self.last == 0 { 1 } else { self.last + 2 };
        self.last
    }

    /// The response to a request: its status and body. Other frames are skipped.
    pub(crate) fn response(&mut self, stream: u32) -> (u16, String) {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let frame = self.read().expect("a response");
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS => status = status_of(&frame.payload),
                DATA => body.extend_from_slice(&frame.payload),
                kind => panic!("frame {kind} instead of a response: {:?}", frame.payload),
            }
            if frame.flags & END_STREAM != 0 {
                return (status, String::from_utf8(body).unwrap());
            }
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        let stream = self.request("GET", path, END_STREAM);
        self.response(stream)
    }

    /// The next frame; acknowledges settings and pings. None at the end.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                match (frame.kind, frame.flags) {
                    (SETTINGS | PING, ACK) => {}
                    (SETTINGS, _) => self.send(SETTINGS, ACK, 0, &[]),
                    (PING, _) => self.send(PING, ACK, 0, &frame.payload),
                    _ => return Some(frame),
                }
                continue;
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
                Err(error) => match error.kind() {
                    ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::BrokenPipe => return None,
                    _ => panic!("it goes on: {error}"),
                },
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *self.unread.first_chunk::<9>()?;
        let end = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = self.unread.get(9..end)?.to_vec();
        self.unread.drain(..end);
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            payload,
        })
    }
}

/// A frame as it is sent.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The head of a request in HPACK: literals without indexing and without Huffman (RFC 7541 §6.2.2).
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "pbx.example"),
        (":path", path),
    ];
    let mut octets = Vec::new();
    for (name, value) in pseudo.iter().chain(headers) {
        octets.push(0);
        text(name, &mut octets);
        text(value, &mut octets);
    }
    octets
}

/// A string with its length (RFC 7541 §5.2).
fn text(text: &str, octets: &mut Vec<u8>) {
    match text.len().checked_sub(127) {
        None => octets.push(text.len() as u8),
        Some(mut rest) => {
            octets.push(127);
            while rest >= 128 {
                octets.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            octets.push(rest as u8);
        }
    }
    octets.extend_from_slice(text.as_bytes());
}

/// The status at the beginning of a response's head.
fn status_of(head: &[u8]) -> u16 {
    // A change of the table's size comes first.
    let size = head.iter().take_while(|octet| **octet & 0xe0 == 0x20);
    let head = &head[size.count()..];
    match head {
        [indexed @ 0x88..=0x8e, ..] => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]
        }
        // A literal with the name of index 8, in Huffman's code.
        [0x48 | 0x08, length, rest @ ..] if length & 0x80 != 0 => {
            digits(&rest[..usize::from(length & 0x7f)])
        }
        [0x48 | 0x08, length, rest @ ..] => {
            let text = str::from_utf8(&rest[..usize::from(*length)]).unwrap();
            text.parse().unwrap()
        }
        _ => panic!("no status in {head:x?}"),
    }
}

/// Three digits in the code of RFC 7541, appendix B: five bits for 0 to 2, six for the others.
fn digits(octets: &[u8]) -> u16 {
    let bits = octets
        .iter()
        .fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
    let (mut left, mut number) = (octets.len() * 8, 0);
    for _ in 0..3 {
        let five = (bits >> (left - 5)) as u16 & 31;
        let (digit, length) = match five {
            0..=2 => (five, 5),
            _ => ((bits >> (left - 6)) as u16 % 64 - 0x19 + 3, 6),
        };
        left -= length;
        number = number * 10 + digit;
    }
    number
}

#[test]
fn a_status_is_read() {
    assert_eq!(status_of(&[0x88]), 200);
    assert_eq!(status_of(&[0x20, 0x8c]), 400);
    // As RFC 7541, C.6.1 has it.
    assert_eq!(status_of(&[0x48, 0x82, 0x64, 0x02]), 302);
    assert_eq!(status_of(&[0x48, 0x83, 0x64, 0x0e, 0xff]), 307);
}
