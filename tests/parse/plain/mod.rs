//! A second, simple parser: octet by octet, following the rules as they are written, without regard
//! to speed. It must give the same result as the server's parser, also for damaged messages.
//!
//! The first line, lists and Request-URIs are left to the server's parser.

mod values;

use lamplighter::sip::header::list_items;
use lamplighter::sip::message::{Framing, HEADERS_MAX, RECORD_ROUTES_MAX, VIAS_MAX};
use lamplighter::sip::{Fault, HeaderName, Message, StartLine};

use crate::plain::values::{Address, Via, address, is_blank, is_token, number, text, trim, via};

/// The contents of a message, from either parser.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    fault: Option<Fault>,
    headers: Vec<(HeaderName, String, String)>,
    via: Option<Via>,
    from: Option<Address>,
    to: Option<Address>,
    call_id: String,
    cseq: Option<(u32, String)>,
    body: String,
}

/// The result of the server's parser.
pub(crate) fn of(message: &Message<'_>) -> Reading {
    let address = |address: &lamplighter::sip::header::NameAddr<'_>| Address {
        display: text(address.display),
        uri: text(address.uri),
        parameters: text(address.parameters.0),
        tag: address.tag().map(text),
    };
    Reading {
        fault: message.fault(),
        headers: message
            .all_headers()
            .map(|(name, spelling, value)| (name, text(spelling), text(value)))
            .collect(),
        via: message.via().map(|via| Via {
            transport: text(via.transport),
            host: text(via.host),
            port: via.port,
            branch: via.branch.map(text),
            wants_rport: via.wants_rport,
            parameters: text(via.parameters.0),
        }),
        from: message.from().map(address),
        to: message.to().map(address),
        call_id: text(message.call_id()),
        cseq: message
            .cseq()
            .map(|cseq| (cseq.number, text(cseq.method.token()))),
        body: text(message.body()),
    }
}

/// The result of the simple parser for the octets of `message`, whose first line is taken from the
/// server's parser.
pub(crate) fn read(octets: &[u8], framing: Framing, message: &Message<'_>) -> Reading {
    let start = octets
        .iter()
        .position(|octet| !matches!(octet, b'\r' | b'\n'));
    let octets = &octets[start.unwrap()..];
    let mut lines = Lines {
        octets,
        at: 0,
        is_clean: true,
    };
    let first = lines.physical().unwrap();
    let method = text(message.method().token());
    let mut reader = Reader {
        fault: fault_of_first_line(first, message),
        fields: Vec::new(),
    };
    lines.is_clean = true;
    let is_complete = reader.read_fields(&mut lines);
    if !is_complete || !lines.is_clean {
        reader.record_fault(Fault::HeaderLine);
    }
    reader.refuse_repeated();
    let is_request = matches!(message.start_line(), StartLine::Request { .. });
    let via = reader.read_via(!is_request);
    let from = reader.read_address(HeaderName::From);
    let to = reader.read_address(HeaderName::To);
    let call_id = reader.read_call_id();
    let cseq = reader.read_cseq(is_request.then_some(method));
    reader.read_max_forwards();
    reader.read_contacts();
    let body = reader.cut_body(&octets[lines.at..], framing);
    Reading {
        fault: reader.fault,
        headers: reader
            .fields
            .iter()
            .map(|field| (field.name, text(field.spelling), text(field.value)))
            .collect(),
        via,
        from,
        to,
        call_id,
        cseq,
        body,
    }
}

/// The fault that the server finds in a first line followed by valid headers.
fn fault_of_first_line(line: &[u8], message: &Message<'_>) -> Option<Fault> {
    let mut sound = [line, b"\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>;tag=1\r\n"].concat();
    sound.extend_from_slice(b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 ");
    sound.extend_from_slice(match message.start_line() {
        StartLine::Request { method, .. } => method.token(),
        StartLine::Response { .. } => b"X",
    });
    sound.extend_from_slice(b"\r\n\r\n");
    Message::parse(&sound, Framing::Datagram).unwrap().fault()
}

struct Lines<'a> {
    octets: &'a [u8],
    at: usize,
    is_clean: bool,
}

impl<'a> Lines<'a> {
    /// The text up to the next LF, without a CR before it; the position does not move if there is
    /// no LF.
    fn physical(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let length = self.octets[start..]
            .iter()
            .position(|&octet| octet == b'\n')?;
        self.at = start + length + 1;
        let line = &self.octets[start..start + length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for (place, octet) in line.iter().enumerate() {
            let is_escaped = (start + place > 0) && self.octets[start + place - 1] == b'\\';
            if *octet == b'\r' || *octet == 0 && !is_escaped {
                self.is_clean = false;
            }
        }
        Some(line)
    }

    /// A line including its folded lines.
    fn folded(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut end = start + self.physical()?.len();
        while end > start && matches!(self.octets.get(self.at), Some(b' ' | b'\t')) {
            let more = self.at;
            end = more + self.physical()?.len();
        }
        Some(&self.octets[start..end])
    }
}

struct Field<'a> {
    name: HeaderName,
    spelling: &'a [u8],
    value: &'a [u8],
}

struct Reader<'a> {
    fault: Option<Fault>,
    fields: Vec<Field<'a>>,
}

impl<'a> Reader<'a> {
    fn record_fault(&mut self, fault: Fault) {
        self.fault = self.fault.or(Some(fault));
    }

    /// Reads up to the blank line. Returns whether there was one.
    fn read_fields(&mut self, lines: &mut Lines<'a>) -> bool {
        while let Some(line) = lines.folded() {
            if line.is_empty() {
                return true;
            }
            let colon = line.iter().position(|&octet| octet == b':');
            let spelling = trim(&line[..colon.unwrap_or(0)], false);
            if spelling.is_empty() || !spelling.iter().all(is_token) {
                self.record_fault(Fault::HeaderLine);
                continue;
            }
            if self.fields.len() == HEADERS_MAX {
                self.record_fault(Fault::TooManyHeaders);
                continue;
            }
            self.fields.push(Field {
                name: name(spelling),
                spelling,
                value: trim(&line[colon.unwrap() + 1..], true),
            });
        }
        false
    }

    fn all(&self, name: HeaderName) -> Vec<&'a [u8]> {
        let named = self.fields.iter().filter(|field| field.name == name);
        named.map(|field| field.value).collect()
    }

    /// The first header with that name; records a fault if it is missing.
    fn needed(&mut self, name: HeaderName) -> Option<&'a [u8]> {
        let value = self.all(name).first().copied();
        if value.is_none() {
            self.record_fault(Fault::Missing(name));
        }
        value
    }

    fn refuse_repeated(&mut self) {
        let is_repeated = |name: HeaderName| name.is_single() && self.all(name).len() > 1;
        let mut names = self.fields.iter().map(|field| field.name);
        if let Some(name) = names.find(|&name| is_repeated(name)) {
            self.record_fault(Fault::Repeated(name));
        }
    }

    fn read_via(&mut self, is_response: bool) -> Option<Via> {
        let value = self.needed(HeaderName::Via)?;
        let Some(via) = via(value, is_response) else {
            self.record_fault(Fault::Invalid(HeaderName::Via));
            return None;
        };
        let limits = [
            (HeaderName::Via, VIAS_MAX),
            (HeaderName::RecordRoute, RECORD_ROUTES_MAX),
        ];
        for (name, limit) in limits {
            if self.all(name).into_iter().flat_map(list_items).count() > limit {
                self.record_fault(Fault::TooManyHeaders);
            }
        }
        Some(via)
    }

    fn read_address(&mut self, name: HeaderName) -> Option<Address> {
        let value = self.needed(name)?;
        let found = address(value).filter(|(_, is_sound)| *is_sound);
        if found.is_none() {
            self.record_fault(Fault::Invalid(name));
        }
        found.map(|(address, _)| address)
    }

    fn read_call_id(&mut self) -> String {
        let value = self.needed(HeaderName::CallId).unwrap_or_default();
        if value.is_empty() || value.iter().any(|octet| b" \t\0".contains(octet)) {
            self.record_fault(Fault::Invalid(HeaderName::CallId));
            return String::new();
        }
        text(value)
    }

    fn read_cseq(&mut self, method: Option<String>) -> Option<(u32, String)> {
        let value = self.needed(HeaderName::CSeq)?;
        let words: Vec<&[u8]> = value
            .split(is_blank)
            .filter(|word| !word.is_empty())
            .collect();
        let found = match words[..] {
            [digits, token] if value.starts_with(digits) && token.iter().all(is_token) => {
                number(digits).filter(|&found| found < 1 << 31)
            }
            _ => None,
        };
        let Some(found) = found else {
            self.record_fault(Fault::Invalid(HeaderName::CSeq));
            return None;
        };
        let token = text(words[1]);
        if method.is_some_and(|method| method != token) {
            self.record_fault(Fault::MethodMismatch);
        }
        Some((found as u32, token))
    }

    fn read_max_forwards(&mut self) {
        let hops = self.all(HeaderName::MaxForwards);
        if hops
            .first()
            .is_some_and(|hops| number(hops).is_none_or(|hops| hops > 255))
        {
            self.record_fault(Fault::Invalid(HeaderName::MaxForwards));
        }
    }

    /// One address, whose display name may contain a comma, or `*`, or a list of addresses.
    fn read_contacts(&mut self) {
        let is_one = |value: &[u8]| {
            address(value).is_some_and(|(address, _)| !address.parameters.contains(','))
        };
        let is_list = |value: &[u8]| list_items(value).all(|item| address(item).is_some());
        let is_sound = |value: &[u8]| is_one(value) || value == b"*" || is_list(value);
        if !self.all(HeaderName::Contact).into_iter().all(is_sound) {
            self.record_fault(Fault::Invalid(HeaderName::Contact));
        }
    }

    fn cut_body(&mut self, rest: &[u8], framing: Framing) -> String {
        let announced = match self.all(HeaderName::ContentLength).first() {
            Some(value) => {
                let Some(announced) = number(value) else {
                    self.record_fault(Fault::Invalid(HeaderName::ContentLength));
                    return text(rest);
                };
                usize::try_from(announced).unwrap_or(usize::MAX)
            }
            None if framing != Framing::Stream => rest.len(),
            None => {
                self.record_fault(Fault::ContentLength);
                return text(rest);
            }
        };
        let is_short = announced < rest.len() && framing != Framing::Datagram;
        if announced > rest.len() || is_short {
            self.record_fault(Fault::ContentLength);
        }
        text(&rest[..announced.min(rest.len())])
    }
}

/// Long names by their canonical spelling, compact forms by RFC 3261 §7.3.3 and RFC 6665 §8.2.
fn name(spelling: &[u8]) -> HeaderName {
    use HeaderName::*;
    let compact = match spelling.to_ascii_lowercase().as_slice() {
        b"c" => ContentType,
        b"e" => ContentEncoding,
        b"f" => From,
        b"i" => CallId,
        b"k" => Supported,
        b"l" => ContentLength,
        b"m" => Contact,
        b"o" => Event,
        b"t" => To,
        b"u" => AllowEvents,
        b"v" => Via,
        _ => Other,
    };
    let known = [
        Accept,
        AcceptEncoding,
        AllowEvents,
        Authorization,
        CSeq,
        CallId,
        Contact,
        ContentDisposition,
        ContentEncoding,
        ContentLanguage,
        ContentLength,
        ContentType,
        Event,
        Expires,
        From,
        MaxForwards,
        MinExpires,
        PAssertedIdentity,
        Privacy,
        RecordRoute,
        Require,
        RetryAfter,
        Route,
        SipEtag,
        SipIfMatch,
        SubscriptionState,
        SuppressIfMatch,
        Supported,
        To,
        UserAgent,
        Via,
        WwwAuthenticate,
    ];
    let is_it = |known: &HeaderName| spelling.eq_ignore_ascii_case(known.canonical().as_bytes());
    known.into_iter().find(is_it).unwrap_or(compact)
}
