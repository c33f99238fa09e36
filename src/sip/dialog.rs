//! The dialog a SUBSCRIBE creates, as its notifier keeps it (RFC 3261 §12, RFC 6665 §4.4.1; W:A2).
//!
//! One allocation holds every octet the dialog must remember: identifiers, URIs, route set. Writing an in-dialog request
//! copies spans of it and allocates nothing.

use crate::sip::Fault;
use crate::sip::Message;
use crate::sip::Method;

/// A UAS dialog. CSeq numbers only go up, by one (W:A3.5).
#[derive(Clone, Debug)]
pub struct Dialog {
    text: Box<[u8]>, // + spans and numbers, private
    local_sequence: u32,
    remote_sequence: u32,
}

/// What an in-dialog request's CSeq means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Above the highest seen: take it.
    Next,
    /// Not above it: 500 (W:A2.3).
    OutOfOrder,
}

/// Where a request of ours comes from and how it is told apart.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// `UDP` or `TCP`.
    pub transport: &'a str,
    /// `host:port` of the local address that the peer knows.
    pub sent_by: &'a str,
    /// The branch, with its magic cookie.
    pub branch: &'a [u8],
    /// Our Contact, with angle brackets.
    pub contact: &'a [u8],
}

impl Dialog {
    /// The dialog an initial SUBSCRIBE asks for; `local_tag` is the To-tag of our 2xx. Fails when Contact is missing, `*`,
    /// several, or no sip/sips URI (W:A1.17), or the Record-Routes are unreadable.
    pub fn accept(request: &Message<'_>, local_tag: &[u8], local_sequence: u32) -> Result<Self, Fault> {
        todo!()
    }

    /// Our tag.
    #[must_use]
    pub fn local_tag(&self) -> &[u8] {
        todo!()
    }

    /// The peer's tag.
    #[must_use]
    pub fn remote_tag(&self) -> &[u8] {
        todo!()
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        todo!()
    }

    /// The peer's URI as it stood in From.
    #[must_use]
    pub fn remote_uri(&self) -> &[u8] {
        todo!()
    }

    /// The URI the peer wrote in To.
    #[must_use]
    pub fn local_uri(&self) -> &[u8] {
        todo!()
    }

    /// Where the peer wants our requests: the URI of its latest Contact.
    #[must_use]
    pub fn remote_target(&self) -> &[u8] {
        todo!()
    }

    /// The first URI of the route set.
    #[must_use]
    pub fn first_route(&self) -> Option<&[u8]> {
        todo!()
    }

    /// CSeq of the last request we sent.
    #[must_use]
    pub fn local_sequence(&self) -> u32 {
        self.local_sequence
    }

    /// Whether the request belongs to this dialog: Call-ID and both tags, octet by octet (W:A2.1, A5.15).
    #[must_use]
    pub fn matches(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> bool {
        todo!()
    }

    /// Checks an in-dialog request's CSeq and, when it is next, remembers it.
    pub fn take_sequence(&mut self, number: u32) -> Sequence {
        todo!()
    }

    /// Target refresh (W:A2.8): takes the Contact of a request or of a 2xx. Nothing changes, and nothing is allocated, when
    /// it is the same; an absent Contact changes nothing; an unusable one is the fault.
    pub fn refresh_target(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        todo!()
    }

    /// Appends the head of the next in-dialog request: request line, Via, Route set (strict first hop by swap, W:A2.9),
    /// Max-Forwards, From, To, Call-ID, CSeq (now one higher), Contact. The caller adds its headers and the body.
    pub fn write_request(&mut self, out: &mut Vec<u8>, method: Method<'_>, origin: &Origin<'_>) {
        todo!()
    }

    /// Octets on the heap, for the memory accounting.
    #[must_use]
    pub fn heap_octets(&self) -> usize {
        self.text.len()
    }
}
