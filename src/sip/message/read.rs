//! Parses a message: one pass over its lines, then the headers needed to route any message and its
//! response.

use memchr::memchr;

use crate::sip::header::{CSeq, NameAddr, Via, list_items, octets};
use crate::sip::message::fields::Fields;
use crate::sip::message::lines::{Lines, PlainLine, next_control};
use crate::sip::message::{Framing, Message, RECORD_ROUTES_MAX, StartLine, VIAS_MAX};
use crate::sip::{Fault, HeaderName};

/// Highest value of Max-Forwards (RFC 3261 §20.22).
const MAX_FORWARDS_MAX: u64 = 255;

/// Parses a message in place: moving a message would copy the better part of a kilobyte. The
/// message is complete even if it has a fault; see [`Message::fault`].
pub(super) fn message(bytes: &[u8], framing: Framing) -> Result<Message<'_>, Fault> {
    let mut parsed = begin(bytes);
    if let Ok(message) = &mut parsed {
        message.read(framing);
    }
    parsed
}

/// The start line; until the headers are read, the rest counts as body.
fn begin(bytes: &[u8]) -> Result<Message<'_>, Fault> {
    let surplus = bytes
        .iter()
        .take_while(|octet| matches!(octet, b'\r' | b'\n'))
        .count();
    let bytes = &bytes[surplus..];
    if u32::try_from(bytes.len()).is_err() {
        return Err(Fault::TooLarge);
    }
    let mut lines = Lines::new(bytes, 0);
    let (start_line, fault) = StartLine::parse(lines.start_line().ok_or(Fault::StartLine)?)?;
    Ok(Message {
        bytes,
        start_line,
        fields: Fields::new(),
        body_at: lines.position(),
        has_plain_lines: true,
        fault,
        via: None,
        from: None,
        to: None,
        call_id: b"",
        cseq: None,
    })
}

impl<'a> Message<'a> {
    #[inline]
    fn read(&mut self, framing: Framing) {
        self.read_lines();
        self.read_via();
        self.from = self.read_address(HeaderName::From);
        self.to = self.read_address(HeaderName::To);
        self.read_call_id();
        self.read_cseq();
        self.read_max_forwards();
        self.read_contacts();
        self.cut_body(framing);
    }

    /// Records the fault if it is the first.
    #[inline]
    fn record_fault(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Collects the fields, and finds the start of the body.
    #[inline]
    fn read_lines(&mut self) {
        let bytes = self.bytes;
        let mut lines = Lines::new(bytes, self.body_at);
        loop {
            lines.skip_to(take_plain_lines(bytes, lines.position(), &mut self.fields));
            let Some(line) = lines.next() else { break };
            let control = next_control(bytes, line.start);
            self.has_plain_lines &= control.is_none_or(|control| control >= line.end);
            let Some((name, value)) = line.name(bytes) else {
                self.record_fault(Fault::HeaderLine);
                continue;
            };
            let start = octets::skip_blanks(&bytes[..line.end], value);
            let end = start + octets::trim_end(&bytes[start..line.end]).len();
            if !self.fields.push(name, start, end) {
                self.record_fault(Fault::TooManyHeaders);
                // The remaining lines must still be read to find the body.
            }
        }
        self.body_at = lines.position();
        if !lines.is_complete() || !lines.is_clean() {
            self.record_fault(Fault::HeaderLine);
        }
        if let Some(name) = self.fields.repeated_single() {
            self.record_fault(Fault::Repeated(name));
        }
    }

    fn read_via(&mut self) {
        let Some(value) = self.header(HeaderName::Via) else {
            return self.record_fault(Fault::Missing(HeaderName::Via));
        };
        let via = match self.start_line {
            StartLine::Request { .. } => Via::parse(value),
            StartLine::Response { .. } => Via::parse_returned(value),
        };
        let Some(via) = via else {
            return self.record_fault(Fault::Invalid(HeaderName::Via));
        };
        self.via = Some(via);
        if via.octets < value.len() || self.fields.is_repeated(HeaderName::Via) {
            self.count_entries(HeaderName::Via, VIAS_MAX);
        }
        if self.fields.contains(HeaderName::RecordRoute) {
            self.count_entries(HeaderName::RecordRoute, RECORD_ROUTES_MAX);
        }
    }

    fn count_entries(&mut self, name: HeaderName, limit: usize) {
        let entries = self
            .headers(name)
            .flat_map(list_items)
            .take(limit + 1)
            .count();
        if entries > limit {
            self.record_fault(Fault::TooManyHeaders);
        }
    }

    /// Checks From or To: at most one tag, which is not empty (RFC 3261 §7.3.1).
    #[inline]
    fn read_address(&mut self, name: HeaderName) -> Option<NameAddr<'a>> {
        let Some(value) = self.header(name) else {
            self.record_fault(Fault::Missing(name));
            return None;
        };
        let address = NameAddr::parse_trimmed(value).filter(NameAddr::is_sound);
        if address.is_none() {
            self.record_fault(Fault::Invalid(name));
        }
        address
    }

    #[inline]
    fn read_call_id(&mut self) {
        let Some(value) = self.header(HeaderName::CallId) else {
            return self.record_fault(Fault::Missing(HeaderName::CallId));
        };
        if value.is_empty() || !octets::is_one_word(value) {
            return self.record_fault(Fault::Invalid(HeaderName::CallId));
        }
        self.call_id = value;
    }

    #[inline]
    fn read_cseq(&mut self) {
        let Some(value) = self.header(HeaderName::CSeq) else {
            return self.record_fault(Fault::Missing(HeaderName::CSeq));
        };
        let Some(cseq) = CSeq::parse(value) else {
            return self.record_fault(Fault::Invalid(HeaderName::CSeq));
        };
        self.cseq = Some(cseq);
        if let StartLine::Request { method, .. } = self.start_line
            && method != cseq.method
        {
            self.record_fault(Fault::MethodMismatch);
        }
    }

    #[inline]
    fn read_max_forwards(&mut self) {
        if let Some(value) = self.header(HeaderName::MaxForwards)
            && octets::number(value).is_none_or(|hops| hops > MAX_FORWARDS_MAX)
        {
            self.record_fault(Fault::Invalid(HeaderName::MaxForwards));
        }
    }

    /// Checks Contact: every address can be parsed, or it is the `*` of REGISTER (RFC 4475
    /// §3.1.2.13).
    #[inline]
    fn read_contacts(&mut self) {
        let Some(first) = self.header(HeaderName::Contact) else {
            return;
        };
        let is_sound = is_sound_contact(first)
            && (!self.fields.is_repeated(HeaderName::Contact)
                || self.headers(HeaderName::Contact).all(is_sound_contact));
        if !is_sound {
            self.record_fault(Fault::Invalid(HeaderName::Contact));
        }
    }

    /// Cuts off surplus octets after the body (RFC 3261 §18.3, §20.14, RFC 4475 §3.1.1.8).
    #[inline]
    fn cut_body(&mut self, framing: Framing) {
        let available = self.bytes.len() - self.body_at;
        let announced = match self.header(HeaderName::ContentLength).map(octets::number) {
            Some(Some(announced)) => usize::try_from(announced).unwrap_or(usize::MAX),
            Some(None) => return self.record_fault(Fault::Invalid(HeaderName::ContentLength)),
            None if framing != Framing::Stream => available,
            None => return self.record_fault(Fault::ContentLength),
        };
        if announced > available || (announced < available && framing != Framing::Datagram) {
            self.record_fault(Fault::ContentLength);
        }
        self.bytes = &self.bytes[..self.body_at + announced.min(available)];
    }
}

#[inline]
fn is_sound_contact(value: &[u8]) -> bool {
    let address = |item| NameAddr::parse_trimmed(item).filter(NameAddr::has_sound_reference);
    let is_lone = address(value)
        .is_some_and(|one| one.parameters.0.is_empty() || memchr(b',', one.parameters.0).is_none());
    is_lone || value == b"*" || list_items(value).all(|item| address(item).is_some())
}

/// Reads plain lines from `at` on, as long as there are any and room for them; returns where the
/// first other line starts. Nearly all lines of nearly all messages are plain.
fn take_plain_lines(bytes: &[u8], at: usize, fields: &mut Fields) -> usize {
    let mut rest = &bytes[at..];
    while let Some(line) = PlainLine::read(rest) {
        let end = bytes.len() - line.behind.len() - b"\r\n".len();
        if !fields.push(line.name, end - line.value.len(), end) {
            break;
        }
        rest = line.behind;
    }
    bytes.len() - rest.len()
}
