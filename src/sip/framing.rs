//! Cutting a byte stream into SIP messages (W:A6.5, A6.7, E2.6, E2.7). Pure: bytes in, a verdict out.

use crate::sip::Fault;

/// What the front of a stream's buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Nothing complete yet; read more.
    Incomplete,
    /// `\r\n\r\n` between messages: a keepalive, answer one CRLF (RFC 5626 §4.4.1). Drop that many octets.
    Ping(usize),
    /// A lone CRLF (the answer to our ping, or filler): drop that many octets.
    Filler(usize),
    /// A whole message of that many octets.
    Message(usize),
}

/// Limits of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of start line and headers.
    pub head_octets_max: usize,
    /// Octets of a whole message.
    pub message_octets_max: usize,
}

/// Looks at the front of `buffer`. `Err` means the stream is out of step or over its limits: answer the fault if the head can
/// be parsed, then close.
pub fn next_frame(buffer: &[u8], limits: &Limits) -> Result<Frame, Fault> {
    todo!()
}
