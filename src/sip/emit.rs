//! Writing our own messages, straight into the caller's buffer, with no allocation of its own.

use std::net::SocketAddr;

use crate::sip::Message;
use crate::sip::Status;

/// Starts a response: status line, all Vias (the topmost with `received`/`rport` filled in from `source`, W:A6.1),
/// From, To (with `to_tag` added when the request's had none), Call-ID, CSeq. Values are copied unfolded.
/// Add further headers with [`header`], then end with [`body`].
/// `reason` overrides the standard phrase when given.
pub fn response_head(
    out: &mut Vec<u8>, request: &Message<'_>, status: Status, reason: Option<&str>, to_tag: &[u8], source: SocketAddr,
) {
    todo!()
}

/// Appends `name: value CRLF`. CR and LF in `value` are written as spaces: a header can never be injected (W:E2.12).
pub fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    todo!()
}

/// Appends `name: number CRLF`.
pub fn header_number(out: &mut Vec<u8>, name: &str, value: u64) {
    todo!()
}

/// Ends the head and appends the body: Content-Type only when there is a body (W:A3.11, G9), Content-Length always.
pub fn body(out: &mut Vec<u8>, content_type: &str, body: &[u8]) {
    todo!()
}

/// Appends a decimal number.
pub fn decimal(out: &mut Vec<u8>, value: u64) {
    todo!()
}

/// Appends a value with folds replaced by one space and other CR, LF, NUL dropped.
pub fn unfolded(out: &mut Vec<u8>, value: &[u8]) {
    todo!()
}
