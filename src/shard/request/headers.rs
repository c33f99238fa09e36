//! Readers and checks of single headers (W:A1). Each returns the value or the refusal that it
//! causes.

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::document::{DocumentFault, Format, deflate};
use crate::presence::event::Package;
use crate::presence::profile::Profile;
use crate::shard::request::refusal::Refusal;
use crate::sip::header::{
    Event, MediaRange, NameAddr, Parameters, accepts, delta_seconds, list_items,
};
use crate::sip::uri::Scheme;
use crate::sip::{Fault, HeaderName, Message, Status, Uri};

/// The address of record that a URI names; None if it is not of a domain that we serve.
pub(crate) fn address_of_record(uri: &[u8], directory: &Directory) -> Option<Aor> {
    let uri = Uri::parse(uri).ok()?;
    find_domain(&uri, directory)?.1
}

/// The domain of ours that a URI is of, and the address of record that it names; None if it has no
/// valid user.
pub(crate) fn find_domain<'d>(
    uri: &Uri<'_>,
    directory: &'d Directory,
) -> Option<(&'d Domain, Option<Aor>)> {
    // One piece of memory for the host, then the address.
    let user_octets = uri.user.map_or(0, <[u8]>::len);
    let mut text = String::with_capacity(user_octets + 1 + uri.host.len());
    uri.write_host(&mut text);
    let domain = directory.domain(&text)?;
    text.clear();
    let is_valid = uri.write_user(&mut text);
    Some((domain, is_valid.then(|| Aor::at(text, &domain.name))))
}

/// The address of record that a URI names, of any domain. Aliases of our domains are resolved.
pub(crate) fn any_address_of_record(uri: &[u8], directory: &Directory) -> Option<Aor> {
    aor_of(&Uri::parse(uri).ok()?, directory)
}

/// The address of record that a parsed URI names, of any domain.
pub(crate) fn aor_of(uri: &Uri<'_>, directory: &Directory) -> Option<Aor> {
    if let Some((_, aor)) = find_domain(uri, directory) {
        return aor;
    }
    let mut host = String::with_capacity(uri.host.len());
    uri.write_host(&mut host);
    let mut user = String::with_capacity(uri.user.map_or(0, <[u8]>::len));
    uri.write_user(&mut user).then(|| Aor::new(&user, &host))
}

/// The identity that a peer asserts for the sender (RFC 3325 §9.1). Use it only if the peer is
/// trusted. Its text, and parsed.
pub(crate) fn asserted_identity<'m>(message: &Message<'m>) -> Option<(&'m [u8], Uri<'m>)> {
    message
        .headers(HeaderName::PAssertedIdentity)
        .flat_map(list_items)
        .filter_map(NameAddr::parse)
        .filter_map(|asserted| Some((asserted.uri, Uri::parse(asserted.uri).ok()?)))
        .find(|(_, uri)| uri.scheme == Scheme::Sip)
}

/// Refuses an address of record of that domain that does not exist (RFC 6665 §4.2.1.1).
pub(crate) fn check_exists<'d>(
    aor: &Aor,
    domain: &Domain,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    if directory.exists_in(domain, aor) {
        Ok(())
    } else {
        Err(Refusal::Plain(Status::NOT_FOUND))
    }
}

/// Whether a header that lists tokens contains `token`, compared without case.
pub(crate) fn has_token(message: &Message<'_>, name: HeaderName, token: &[u8]) -> bool {
    message
        .headers(name)
        .flat_map(list_items)
        .any(|item| item.eq_ignore_ascii_case(token))
}

/// The media type of the body as `type/subtype` in lower case; empty if there is no Content-Type.
pub(crate) fn content_type(message: &Message<'_>) -> String {
    let range = message
        .header(HeaderName::ContentType)
        .and_then(MediaRange::parse);
    range.map_or_else(String::new, |range| {
        let octets = [range.kind, b"/", range.subtype].concat();
        String::from_utf8_lossy(&octets.to_ascii_lowercase()).into_owned()
    })
}

/// Refuses a request whose Require names an unsupported option tag (RFC 3261 §8.2.2.3).
pub(crate) fn check_extensions<'d>(message: &Message<'_>) -> Result<(), Refusal<'d>> {
    if unsupported_option_tags(message).next().is_some() {
        Err(Refusal::Extension)
    } else {
        Ok(())
    }
}

/// The Event header of a request (RFC 6665 §8.2.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventHeader<'m> {
    pub(crate) package: Package,
    /// The whole value, to be echoed.
    pub(crate) value: &'m [u8],
    /// `id` without quotes, empty if absent.
    pub(crate) id: &'m [u8],
    pub(crate) parameters: Parameters<'m>,
}

/// Where the parts of an Event header are in their message: its parsed form while the message is
/// suspended.
#[derive(Clone, Debug)]
pub(crate) struct EventPlaces {
    package: Package,
    value: Range<usize>,
    id: Range<usize>,
    parameters: Range<usize>,
}

impl EventHeader<'_> {
    /// Its places in the octets of its message.
    pub(crate) fn places_in(&self, message: &[u8]) -> EventPlaces {
        EventPlaces {
            package: self.package,
            value: place_of(self.value, message),
            id: place_of(self.id, message),
            parameters: place_of(self.parameters.0, message),
        }
    }
}

impl EventPlaces {
    /// The header in the octets of its message.
    pub(crate) fn in_message<'m>(&self, message: &'m [u8]) -> EventHeader<'m> {
        let part = |place: &Range<usize>| message.get(place.clone()).unwrap_or_default();
        EventHeader {
            package: self.package,
            value: part(&self.value),
            id: part(&self.id),
            parameters: Parameters(part(&self.parameters)),
        }
    }
}

/// The place of a part of a message; an empty one if it is no part of it.
fn place_of(part: &[u8], message: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(message.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= message.len() && !part.is_empty() => start..end,
        _ => 0..0,
    }
}

/// The Event header of a SUBSCRIBE or PUBLISH. Refuses a missing one, a malformed one, and an
/// unknown package (RFC 6665 §4.2.1.1).
pub(crate) fn event_of<'m, 'd>(message: &Message<'m>) -> Result<EventHeader<'m>, Refusal<'d>> {
    let value = message.header(HeaderName::Event).ok_or(Refusal::BadEvent)?;
    let event = Event::parse(value).ok_or(Fault::Invalid(HeaderName::Event))?;
    if value.len() > EVENT_OCTETS_MAX {
        return Err(Fault::Invalid(HeaderName::Event).into());
    }
    Ok(EventHeader {
        package: Package::from_token(event.package).ok_or(Refusal::BadEvent)?,
        value,
        id: event.id,
        parameters: event.parameters,
    })
}

/// Octets of an Event header. Its value is stored and echoed in NOTIFYs.
const EVENT_OCTETS_MAX: usize = 255;

/// Expires in seconds; None if absent (RFC 6665 §4.2.1.1).
pub(crate) fn expires_of<'d>(message: &Message<'_>) -> Result<Option<u32>, Refusal<'d>> {
    let Some(value) = message.header(HeaderName::Expires) else {
        return Ok(None);
    };
    delta_seconds(value)
        .map(Some)
        .ok_or(Refusal::Fault(Fault::Invalid(HeaderName::Expires)))
}

/// The document format for the peer (RFC 3261 §8.2.3, §21.4.7): a format it names explicitly, if
/// that format saves octets or its device family needs it; else the first format of the package
/// that Accept admits.
pub(crate) fn accepted_format<'d>(
    message: &Message<'_>,
    package: Package,
    profile: &Profile,
) -> Result<Format, Refusal<'d>> {
    let offered = Format::of(package);
    let mut values = message.headers(HeaderName::Accept).peekable();
    let is_absent = values.peek().is_none()
        || profile.empty_accept_is_absent && values.all(|value| value.trim_ascii().is_empty());
    if is_absent {
        return offered.first().copied().ok_or(Refusal::BadEvent);
    }
    let ranges: SmallVec<[MediaRange<'_>; 4]> = accept_ranges(message).collect();
    let names = |kind: &str, subtype: &str| {
        let mut ranges = ranges.iter();
        ranges.any(|range| range.precision(kind, subtype) == Some(3) && !range.is_refusal())
    };
    let is_named = |format: &&Format| {
        let (kind, subtype) = format.content_type().split_once('/').unwrap_or_default();
        names(kind, subtype)
    };
    let is_meant = |format: &&Format| match format {
        // RFC 5263 §4.2: partial notification is used only if the watcher names its type.
        Format::PidfDiff | Format::CallPark => true,
        Format::Xpidf => profile.prefers_xpidf,
        _ => false,
    };
    let is_readable = |format: &&Format| {
        let (kind, subtype) = format.content_type().split_once('/').unwrap_or_default();
        **format == Format::Nothing || accepts(ranges.iter().copied(), kind, subtype)
    };
    // Phones that ask for a list name the list types, but not always the types of the parts (RFC
    // 4662 §4.1).
    let reads_lists = || names("multipart", "related");
    let mut meant = offered.iter().filter(is_meant);
    let mut plain = offered.iter().filter(|format| **format != Format::PidfDiff);
    meant
        .find(is_named)
        .or_else(|| plain.find(is_readable))
        .or_else(|| offered.first().filter(|_| reads_lists()))
        .copied()
        .ok_or(Refusal::NotAcceptable(package))
}

fn accept_ranges<'a>(message: &'a Message<'_>) -> impl Iterator<Item = MediaRange<'a>> {
    message
        .headers(HeaderName::Accept)
        .flat_map(list_items)
        .filter_map(MediaRange::parse)
}

/// Whether the peer accepts deflate-encoded bodies.
pub(crate) fn inflates(message: &Message<'_>) -> bool {
    message
        .headers(HeaderName::AcceptEncoding)
        .flat_map(list_items)
        .any(|item| {
            let (coding, parameters) = match item.iter().position(|octet| *octet == b';') {
                Some(at) => item.split_at(at),
                None => (item, &b""[..]),
            };
            let q = Parameters(parameters).get("q").unwrap_or(b"1");
            let is_zero = q.iter().all(|octet| matches!(octet, b'0' | b'.'));
            coding.trim_ascii().eq_ignore_ascii_case(b"deflate") && !is_zero
        })
}

/// Refuses a body with a content coding other than identity (RFC 3261 §8.2.3).
pub(crate) fn check_encoding<'d>(message: &Message<'_>) -> Result<(), Refusal<'d>> {
    let mut codings = message
        .headers(HeaderName::ContentEncoding)
        .flat_map(list_items);
    if codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        Err(Refusal::Encoding)
    } else {
        Ok(())
    }
}

/// The body after content decoding. Only `deflate` is supported, within limits; another coding is
/// 415 (RFC 9110 §8.4.1.2; W:E2.16).
pub(crate) fn decoded_body<'m, 'd>(message: &Message<'m>) -> Result<Cow<'m, [u8]>, Refusal<'d>> {
    if !has_token(message, HeaderName::ContentEncoding, b"deflate") {
        check_encoding(message)?;
        return Ok(message.body().into());
    }
    let is_single = message.headers(HeaderName::ContentEncoding).count() == 1
        && message
            .header(HeaderName::ContentEncoding)
            .is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"deflate"));
    if !is_single {
        return Err(Refusal::Encoding);
    }
    let inflated = deflate::inflate(message.body(), deflate::InflateLimits::default());
    inflated.map(Cow::Owned).map_err(|fault| match fault {
        DocumentFault::TooLarge => Refusal::Plain(Status::REQUEST_ENTITY_TOO_LARGE),
        _ => Refusal::Because(Status::BAD_REQUEST, "Malformed Body"),
    })
}

/// Whether a body that we do not understand may be ignored: `Content-Disposition:
/// ...;handling=optional` (RFC 3261 §8.2.3).
pub(crate) fn is_body_optional(message: &Message<'_>) -> bool {
    message
        .header(HeaderName::ContentDisposition)
        .is_some_and(|value| {
            let parameters = value
                .iter()
                .position(|octet| *octet == b';')
                .and_then(|at| value.get(at + 1..));
            let parameters = Parameters(parameters.unwrap_or_default());
            parameters
                .get("handling")
                .is_some_and(|handling| handling.eq_ignore_ascii_case(b"optional"))
        })
}

/// Option tags accepted in Require, because they ask for nothing that we do not do anyway.
const KNOWN_OPTION_TAGS: [&[u8]; 5] = [
    b"eventlist",
    b"recipient-list-subscribe",
    b"path",
    b"gruu",
    b"outbound",
];

/// The option tags in Require that we do not support.
pub(crate) fn unsupported_option_tags<'a>(
    message: &'a Message<'_>,
) -> impl Iterator<Item = &'a [u8]> {
    let known = |tag: &&[u8]| {
        KNOWN_OPTION_TAGS
            .iter()
            .any(|known| tag.eq_ignore_ascii_case(known))
    };
    message
        .headers(HeaderName::Require)
        .flat_map(list_items)
        .filter(move |tag| !known(tag))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sip::message::Framing;

    /// RFC 6665 §8.2.1
    #[test]
    fn an_event_header_is_found_again_in_a_copy_of_its_message() {
        for value in [
            "line-seize",
            "line-seize;id=7",
            "dialog ; id=\"a b\";sla",
            "dialog;id=\"\"",
        ] {
            let octets = format!(
                "SUBSCRIBE sip:101@abc.com SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1\r\n\
                 From: <sip:100@abc.com>;tag=1\r\nTo: <sip:101@abc.com>\r\n\
                 Call-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\nEvent: {value}\r\nContent-Length: 0\r\n\r\n"
            );
            let message = Message::parse(octets.as_bytes(), Framing::Datagram).unwrap();
            let event = event_of(&message).unwrap();
            let copy: Box<[u8]> = message.bytes().into();
            let found = event.places_in(message.bytes());
            let found = found.in_message(&copy);
            assert_eq!(found.package, event.package, "{value}");
            assert_eq!(found.value, value.as_bytes());
            assert_eq!(found.id, event.id, "{value}");
            assert_eq!(found.parameters.0, event.parameters.0, "{value}");
        }
        assert_eq!(place_of(b"elsewhere", b"a message"), 0..0);
    }
}
