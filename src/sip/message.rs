//! A zero-copy view of one SIP message: spans into the buffer, the headers routing needs decoded once, the rest on demand.
//!
//! Guarantees: linear time, at most [`HEADERS_MAX`] headers, no allocation for messages of up to 40 headers, never a panic.
//! A message whose start line and header lines can be told apart always gives a view; what is wrong inside is its
//! [`Message::fault`], so that the receiver can answer 400 with the headers that are intact (W:A1.1).

use crate::sip::Fault;
use crate::sip::HeaderName;
use crate::sip::Method;
use crate::sip::header::CSeq;
use crate::sip::header::NameAddr;
use crate::sip::header::Via;

/// Header fields in one message (W:E2.2); one more is [`Fault::TooManyHeaders`].
pub const HEADERS_MAX: usize = 256;
/// Via entries in one message (W:E2.3).
pub const VIAS_MAX: usize = 70;
/// Record-Route entries in one message (W:E2.3).
pub const RECORD_ROUTES_MAX: usize = 32;
/// Octets of a Request-URI (W:A1.23).
pub const REQUEST_URI_OCTETS_MAX: usize = 8 * 1024;

/// What a message's first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// `SUBSCRIBE sip:123@abc.com SIP/2.0`
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI, undecoded.
        uri: &'a [u8],
    },
    /// `SIP/2.0 200 OK`
    Response {
        /// 100 to 699.
        code: u16,
        /// May be empty (W:A5.10).
        reason: &'a [u8],
    },
}

/// How the end of a message was found; decides what a missing or short Content-Length means (W:A5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The datagram is the message: surplus octets are ignored, no Content-Length means "the rest".
    Datagram,
    /// A frame cut by [`crate::sip::framing`]: Content-Length is mandatory and exact.
    Stream,
}

/// The view.
#[derive(Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    // private: start line, SmallVec<[Field; 40]>, body span, fault, decoded Via/From/To/Call-ID/CSeq
}

impl<'a> Message<'a> {
    /// Reads a message. `Err` means it is not SIP at all, or not even the header lines can be told apart: drop it
    /// (datagram) or close (stream), there is nobody to answer.
    pub fn parse(bytes: &'a [u8], framing: Framing) -> Result<Self, Fault> {
        todo!()
    }

    /// The first thing wrong with it, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        todo!()
    }

    /// Whether a response to it can be written: Via, From, To, Call-ID and CSeq are there once each (Via at least once).
    #[must_use]
    pub fn is_answerable(&self) -> bool {
        todo!()
    }

    /// The first line.
    #[must_use]
    pub fn start_line(&self) -> StartLine<'a> {
        todo!()
    }

    /// The method of a request or, from CSeq, of the request a response answers.
    #[must_use]
    pub fn method(&self) -> Method<'a> {
        todo!()
    }

    /// All octets, body included, without surplus.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The body; empty when there is none.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        todo!()
    }

    /// The first field of that name: its value without surrounding white space, possibly folded (CRLF + white space inside
    /// counts as a space; every decoder of [`crate::sip::header`] takes it so).
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&'a [u8]> {
        todo!()
    }

    /// Every field of that name, in order.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + '_ {
        let _ = name;
        std::iter::empty() // replaced by the implementer
    }

    /// Every field of a name outside [`HeaderName`], compared without case.
    pub fn other_headers<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        let _ = name;
        std::iter::empty()
    }

    /// The topmost Via, decoded. None only when the message has a fault.
    #[must_use]
    pub fn via(&self) -> Option<&Via<'a>> {
        todo!()
    }

    /// From. None only when the message has a fault.
    #[must_use]
    pub fn from(&self) -> Option<&NameAddr<'a>> {
        todo!()
    }

    /// To. None only when the message has a fault.
    #[must_use]
    pub fn to(&self) -> Option<&NameAddr<'a>> {
        todo!()
    }

    /// Call-ID; empty only when the message has a fault. Opaque octets, case-sensitive.
    #[must_use]
    pub fn call_id(&self) -> &'a [u8] {
        todo!()
    }

    /// CSeq. None only when the message has a fault.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq<'a>> {
        todo!()
    }
}
