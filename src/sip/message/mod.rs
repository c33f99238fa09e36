//! A zero-copy view of one SIP message: spans into the buffer; headers needed for routing are
//! decoded once, the rest on demand.
//!
//! Guarantees: linear time, at most [`HEADERS_MAX`] headers, no allocation for messages of up to 40
//! headers, never a panic. If the start line and the header lines can be separated, there is always
//! a view; a fault in them is reported by [`Message::fault`], which the caller must check, so that
//! the receiver can respond 400 with the headers that are intact (RFC 3261 §8.2, §18.3).
//!
//! Parsing is strict where a response is routed (start line, Via, CSeq, lengths) and where
//! addresses would have to be guessed (From, To, Contact); every other header is left to its
//! decoder.

mod fields;
pub(crate) mod lines;
mod plain_response;
mod read;
mod start_line;

pub use plain_response::PlainResponse;
pub use start_line::StartLine;

use crate::sip::header::{CSeq, NameAddr, Via};
use crate::sip::message::fields::Fields;
use crate::sip::{Fault, HeaderName, Method};

/// Maximum header fields in one message (W:E2.2); more are [`Fault::TooManyHeaders`].
pub const HEADERS_MAX: usize = 256;
/// Maximum Via entries in one message (W:E2.3).
pub const VIAS_MAX: usize = 70;
/// Maximum Record-Route entries in one message (W:E2.3).
pub const RECORD_ROUTES_MAX: usize = 32;
/// Maximum octets of a Request-URI (RFC 3261 §21.4.11, §21.4.12, §21.5.7).
pub const REQUEST_URI_OCTETS_MAX: usize = 8 * 1024;

/// How the end of a message was found; determines the meaning of a missing or short Content-Length
/// (RFC 3261 §18.3, §20.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The datagram is the message: surplus octets are ignored; without Content-Length, the rest is
    /// the body.
    Datagram,
    /// A frame cut by [`crate::sip::framing`]: Content-Length is mandatory and exact.
    Stream,
    /// A WebSocket message holds one SIP message and nothing else: without Content-Length, the rest is
    /// the body; otherwise it is exact (RFC 7118 §5).
    WebSocket,
}

/// The view.
#[derive(Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    start_line: StartLine<'a>,
    fields: Fields,
    body_at: usize,
    has_plain_lines: bool,
    fault: Option<Fault>,
    //
    // The fields needed for routing.
    //
    via: Option<Via<'a>>,
    from: Option<NameAddr<'a>>,
    to: Option<NameAddr<'a>>,
    call_id: &'a [u8],
    cseq: Option<CSeq<'a>>,
}

impl<'a> Message<'a> {
    /// Parses a message. `Err` means that it is not SIP, or that its header lines cannot be
    /// separated: drop it (datagram) or close the connection (stream), because no response can be
    /// written. Line ends before the message are skipped.
    pub fn parse(bytes: &'a [u8], framing: Framing) -> Result<Self, Fault> {
        read::message(bytes, framing)
    }

    /// The first fault of the message; None if it has none.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Returns whether a response to it can be written: Via, From, To, Call-ID and CSeq are
    /// present. If one is repeated, the first counts.
    #[must_use]
    pub fn is_answerable(&self) -> bool {
        const NEEDED: [HeaderName; 5] = [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ];
        NEEDED.iter().all(|&name| self.fields.contains(name))
    }

    /// The first line.
    #[must_use]
    pub fn start_line(&self) -> StartLine<'a> {
        self.start_line
    }

    /// The method of a request; for a response, the method in CSeq.
    #[must_use]
    pub fn method(&self) -> Method<'a> {
        match (self.start_line, self.cseq) {
            (StartLine::Request { method, .. }, _) => method,
            (StartLine::Response { .. }, Some(cseq)) => cseq.method,
            (StartLine::Response { .. }, None) => Method::Other(b""),
        }
    }

    /// All octets, including the body, without surplus octets.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The body; empty if there is none.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_at..]
    }

    /// The first field with that name: its value without surrounding white space, possibly folded
    /// (CRLF + white space inside counts as a space; every decoder of [`crate::sip::header`]
    /// accepts it).
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&'a [u8]> {
        Some(self.fields.first(name)?.value(self.bytes))
    }

    /// Whether no header line is folded or has a control character: values can be copied as they are.
    pub(crate) fn has_plain_lines(&self) -> bool {
        self.has_plain_lines
    }

    /// Every field with that name, in order.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.fields.named(name).map(|field| field.value(self.bytes))
    }

    /// Every field with a name outside [`HeaderName`], compared ignoring case.
    pub fn other_headers<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.all_headers()
            .filter(move |(known, spelling, _)| {
                *known == HeaderName::Other && spelling.eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|(_, _, value)| value)
    }

    /// Every field in order: its header, its name as written, its value.
    pub fn all_headers(&self) -> impl Iterator<Item = (HeaderName, &'a [u8], &'a [u8])> + '_ {
        self.fields.iter().map(|field| {
            (
                field.name,
                field.spelling(self.bytes),
                field.value(self.bytes),
            )
        })
    }

    /// The topmost Via, decoded. None only if the message has a fault.
    #[must_use]
    pub fn via(&self) -> Option<&Via<'a>> {
        self.via.as_ref()
    }

    /// The topmost Via if it is the only one: no proxy has forwarded the message.
    pub(crate) fn lone_via(&self) -> Option<&Via<'a>> {
        let is_lone = |via: &&Via<'_>| {
            let value = self.header(HeaderName::Via).unwrap_or_default();
            via.octets == value.len() && !self.fields.is_repeated(HeaderName::Via)
        };
        self.via.as_ref().filter(is_lone)
    }

    /// From. None only if the message has a fault.
    #[must_use]
    pub fn from(&self) -> Option<&NameAddr<'a>> {
        self.from.as_ref()
    }

    /// To. None only if the message has a fault.
    #[must_use]
    pub fn to(&self) -> Option<&NameAddr<'a>> {
        self.to.as_ref()
    }

    /// Call-ID; empty only if the message has a fault. Opaque octets, case-sensitive.
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        self.call_id
    }

    /// CSeq. None only if the message has a fault.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq<'a>> {
        self.cseq
    }
}

#[cfg(test)]
mod tests;
