//! The dialog created by a SUBSCRIBE, at the notifier or at the subscriber (RFC 3261 §12, RFC 6665
//! §4.4.1).
//!
//! One allocation holds all text of the dialog: identifiers, URIs, route set. Writing an in-dialog
//! request copies spans of it and allocates nothing.
//!
//! Values from the peer are kept as received, except for folds, so that the peer recognises its own
//! octets. No stored value can end a header line. Not here: the Event header, expiry, flows.

mod read;

use std::hint::black_box;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::sip::{Fault, HeaderName, Message, emit, octets};
use read::{Span, is_sips};

pub use read::{Contact, names_secure_hop};

/// CSeq numbers stay below 2^31 (RFC 3261 §8.1.1.5).
const SEQUENCE_MAX: u32 = (1 << 31) - 1;
const CACHE_LINE_OCTETS: usize = 64;
/// Maximum octets that a dialog keeps from its peer; a SUBSCRIBE with more gets 513.
pub const DIALOG_OCTETS_MAX: usize = 4096;
/// Maximum octets of a URI that is kept: a Contact, an asserted identity, a presentity.
pub const URI_OCTETS_MAX: usize = 1024;

/// One end of a dialog. CSeq numbers increase by one (RFC 3261 §12.2.1.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dialog {
    /// Call-ID, the peer's From, its To with our tag, the Record-Routes separated by commas, and
    /// the remote target, concatenated. Each extends to its `*_end`, the last to the end of the
    /// text.
    #[serde(with = "octets")]
    text: Box<[u8]>,
    call_id_end: u16,
    remote_end: u16,
    local_end: u16,
    routes_end: u16,

    // Spans within `text`.
    remote_uri: Span,
    remote_tag: Span,
    local_uri: Span,
    local_tag: Span,
    /// Empty if there is no route set.
    first_route: Span,
    /// Where the second route begins; the end of the routes if there is none.
    second_route: u16,
    /// The first route has no `lr`: it goes into the request line (RFC 3261 §12.2.1.1).
    first_route_is_strict: bool,

    local_sequence: u32,
    remote_sequence: u32,
}

const _: () = assert!(size_of::<Dialog>() <= 64);

/// How the CSeq of an in-dialog request compares with those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Higher than any seen: accept it.
    Next,
    /// Not higher: 500 (RFC 3261 §12.2.2).
    OutOfOrder,
}

/// The fields that identify us as the sender of a request: our Via and our Contact.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Our Via, up to and including the magic cookie of its branch: `SIP/2.0/UDP
    /// host:port;branch=z9hG4bK` with the local address that the peer knows.
    pub via: &'a [u8],
    /// The rest of the branch.
    pub branch: &'a [u8],
    /// Our Contact, with angle brackets.
    pub contact: &'a [u8],
}

impl Dialog {
    /// Creates the dialog for an initial SUBSCRIBE; `contact` is its Contact, and `local_tag` the
    /// To-tag of our 2xx. Returns a fault if it has several Contacts (RFC 3261 §12.1.1), if the
    /// Record-Routes cannot be parsed, if To already has a tag, or if a part or the whole exceeds
    /// its maximum length.
    pub fn accept(
        request: &Message<'_>,
        contact: &Contact<'_>,
        local_tag: &[u8],
        local_sequence: u32,
    ) -> Result<Self, Fault> {
        let to = request.to().ok_or(Fault::Missing(HeaderName::To))?;
        if to.tag().is_some() {
            return Err(Fault::Invalid(HeaderName::To));
        }
        Self::read(request, contact, Some(local_tag), local_sequence)
    }

    /// Creates the dialog from the first NOTIFY to our SUBSCRIBE (RFC 6665 §4.4.1). Its To-tag is
    /// the From-tag of our SUBSCRIBE, whose CSeq is `local_sequence`. Returns the faults of
    /// [`Self::accept`].
    pub fn of_notify(
        notify: &Message<'_>,
        contact: &Contact<'_>,
        local_sequence: u32,
    ) -> Result<Self, Fault> {
        Self::read(notify, contact, None, local_sequence)
    }

    /// The dialog of a request from the peer. Our tag is `added_tag`, or is already in To.
    fn read(
        request: &Message<'_>,
        contact: &Contact<'_>,
        added_tag: Option<&[u8]>,
        local_sequence: u32,
    ) -> Result<Self, Fault> {
        let cseq = request.cseq().ok_or(Fault::Missing(HeaderName::CSeq))?;
        let target = contact.target()?;
        let tag_octets = added_tag.unwrap_or_default();
        let mut text = Vec::with_capacity(read::text_octets(request, tag_octets, target));
        read::push_call_id(&mut text, request)?;
        let call_id_end = read::end_of(&text)?;
        let remote = read::push_address(&mut text, request, HeaderName::From)?;
        let remote_end = read::end_of(&text)?;
        let local = read::push_address(&mut text, request, HeaderName::To)?;
        let local_tag = match added_tag {
            Some(tag) => read::push_tag(&mut text, tag)?,
            None => local.tag,
        };
        let local_end = read::end_of(&text)?;
        let routes = read::push_routes(&mut text, request)?;
        let routes_end = read::end_of(&text)?;
        text.extend_from_slice(target);
        read::end_of(&text)?;
        if text.len() > DIALOG_OCTETS_MAX {
            return Err(Fault::TooLarge);
        }
        Ok(Self {
            text: text.into_boxed_slice(),
            call_id_end,
            remote_end,
            local_end,
            routes_end,
            remote_uri: remote.uri,
            remote_tag: remote.tag,
            local_uri: local.uri,
            local_tag,
            first_route: routes.first,
            second_route: routes.second,
            first_route_is_strict: routes.first_is_strict,
            local_sequence,
            remote_sequence: cseq.number,
        })
    }

    /// The octets that the dialog occupies on the heap.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.text.len()
    }

    /// Our tag.
    #[must_use]
    pub fn local_tag(&self) -> &[u8] {
        self.slice(self.local_tag)
    }

    /// The peer's tag; empty if it has none (RFC 3261 §12.1.1).
    #[must_use]
    pub fn remote_tag(&self) -> &[u8] {
        self.slice(self.remote_tag)
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.between(0, self.call_id_end)
    }

    /// The peer's URI in its From.
    #[must_use]
    pub fn remote_uri(&self) -> &[u8] {
        self.slice(self.remote_uri)
    }

    /// The URI in the peer's To.
    #[must_use]
    pub fn local_uri(&self) -> &[u8] {
        self.slice(self.local_uri)
    }

    /// The remote target: the URI of the peer's latest Contact.
    #[must_use]
    pub fn remote_target(&self) -> &[u8] {
        self.text
            .get(usize::from(self.routes_end)..)
            .unwrap_or_default()
    }

    /// The first URI of the route set.
    #[must_use]
    pub fn first_route(&self) -> Option<&[u8]> {
        Some(self.slice(self.first_route)).filter(|uri| !uri.is_empty())
    }

    /// Whether its first hop is reached by a `sips:` URI: its requests stay encrypted, and so must
    /// those that follow our Contact (RFC 3261 §12.1.1).
    #[must_use]
    pub fn is_secure(&self) -> bool {
        is_sips(self.first_route().unwrap_or_else(|| self.remote_target()))
    }

    /// CSeq of the last request we sent.
    #[must_use]
    pub fn local_sequence(&self) -> u32 {
        self.local_sequence
    }

    /// The highest CSeq of the peer's requests.
    #[must_use]
    pub fn remote_sequence(&self) -> u32 {
        self.remote_sequence
    }

    /// Returns whether the request belongs to this dialog: Call-ID and both tags are equal, octet
    /// by octet (RFC 6665 §4.4.1, RFC 3261 §19.3). The tags are compared in constant time, so that
    /// a hijacker cannot find them by timing (RFC 3261 §12.2.2).
    #[must_use]
    pub fn matches(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> bool {
        let tags_match = self.local_tag().ct_eq(local_tag) & self.remote_tag().ct_eq(remote_tag);
        self.call_id() == call_id && tags_match.into()
    }

    /// Continues after a restart: our next request has a CSeq beyond `sequence`. The peer may repeat
    /// its last request, as its response may be lost.
    pub fn continue_after(&mut self, sequence: u32) {
        self.remote_sequence = self.remote_sequence.saturating_sub(1);
        self.local_sequence = self.local_sequence.max(sequence).min(SEQUENCE_MAX);
    }

    /// Checks an in-dialog request's CSeq, and stores it if it is higher.
    pub fn take_sequence(&mut self, number: u32) -> Sequence {
        if number <= self.remote_sequence {
            return Sequence::OutOfOrder;
        }
        self.remote_sequence = number;
        Sequence::Next
    }

    /// The peer counts anew: requests after `number` are accepted.
    pub fn count_from(&mut self, number: u32) {
        self.remote_sequence = number;
    }

    /// Target refresh (RFC 6665 §4.4.1, RFC 3261 §12.2): stores the Contact of a request or of a
    /// 2xx, and returns whether it is another. An absent or equal Contact changes nothing and
    /// allocates nothing; an unusable Contact is a fault.
    pub fn refresh_target(&mut self, contact: Result<Contact<'_>, Fault>) -> Result<bool, Fault> {
        let target = match contact {
            Ok(contact) => contact.target()?,
            Err(Fault::Missing(_)) => return Ok(false),
            Err(fault) => return Err(fault),
        };
        if target == self.remote_target() {
            return Ok(false);
        }
        let kept = self.between(0, self.routes_end);
        let octets = kept.len() + target.len();
        if octets > DIALOG_OCTETS_MAX {
            return Err(Fault::TooLarge);
        }
        let mut text = Vec::with_capacity(octets);
        text.extend_from_slice(kept);
        text.extend_from_slice(target);
        self.text = text.into_boxed_slice();
        Ok(true)
    }

    /// Appends the head of the next NOTIFY: request line, Via, Route set (strict first hop moved to
    /// the request line; RFC 3261 §12.2.1.1), Max-Forwards, From, To, Call-ID, CSeq (increased by
    /// one), Contact. The caller adds its headers and the body.
    pub fn write_notify(&mut self, out: &mut Vec<u8>, origin: &Origin<'_>) {
        self.local_sequence = self.local_sequence.saturating_add(1).min(SEQUENCE_MAX);
        self.write_last_notify(out, origin);
    }

    /// Writes that head with the CSeq of the previous NOTIFY, to measure how long the next one will
    /// be.
    pub fn write_last_notify(&self, out: &mut Vec<u8>, origin: &Origin<'_>) {
        out.extend_from_slice(b"NOTIFY ");
        self.write_common_headers(out, origin);
        out.extend_from_slice(b" NOTIFY\r\nContact: ");
        out.extend_from_slice(origin.contact);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the head of our next SUBSCRIBE, as [`Self::write_notify`] does.
    pub fn write_subscribe(&mut self, out: &mut Vec<u8>, origin: &Origin<'_>) {
        self.local_sequence = self.local_sequence.saturating_add(1).min(SEQUENCE_MAX);
        out.extend_from_slice(b"SUBSCRIBE ");
        self.write_common_headers(out, origin);
        out.extend_from_slice(b" SUBSCRIBE\r\nContact: ");
        out.extend_from_slice(origin.contact);
        out.extend_from_slice(b"\r\n");
    }

    /// Everything between the method in the request line and the method in CSeq.
    #[inline(always)]
    fn write_common_headers(&self, out: &mut Vec<u8>, origin: &Origin<'_>) {
        out.extend_from_slice(self.request_uri());
        out.extend_from_slice(b" SIP/2.0\r\nVia: ");
        out.extend_from_slice(origin.via);
        out.extend_from_slice(origin.branch);
        out.extend_from_slice(b";rport\r\n");
        self.write_routes(out);
        out.extend_from_slice(b"Max-Forwards: 70\r\nFrom: ");
        out.extend_from_slice(self.between(self.remote_end, self.local_end));
        out.extend_from_slice(b"\r\nTo: ");
        out.extend_from_slice(self.between(self.call_id_end, self.remote_end));
        out.extend_from_slice(b"\r\nCall-ID: ");
        out.extend_from_slice(self.call_id());
        out.extend_from_slice(b"\r\nCSeq: ");
        emit::decimal(out, u64::from(self.local_sequence));
    }

    /// Touches the octets from which a NOTIFY is written, one per cache line, so that they are in
    /// the cache when it is written.
    #[inline]
    pub fn fetch(&self) {
        for octet in self.text.iter().step_by(CACHE_LINE_OCTETS) {
            black_box(*octet);
        }
    }

    /// The Request-URI of our next request.
    #[must_use]
    pub fn request_uri(&self) -> &[u8] {
        if self.first_route_is_strict {
            self.slice(self.first_route)
        } else {
            self.remote_target()
        }
    }

    /// A strict first route is in the request line: the Route header contains the other routes,
    /// then the remote target.
    fn write_routes(&self, out: &mut Vec<u8>) {
        if self.local_end == self.routes_end {
            return;
        }
        out.extend_from_slice(b"Route: ");
        if self.first_route_is_strict {
            let rest = self.between(self.second_route, self.routes_end);
            out.extend_from_slice(rest);
            out.extend_from_slice(if rest.is_empty() { b"<" } else { b",<" });
            out.extend_from_slice(self.remote_target());
            out.push(b'>');
        } else {
            out.extend_from_slice(self.between(self.local_end, self.routes_end));
        }
        out.extend_from_slice(b"\r\n");
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.between(span.start, span.end)
    }

    fn between(&self, start: u16, end: u16) -> &[u8] {
        self.text
            .get(usize::from(start)..usize::from(end))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
