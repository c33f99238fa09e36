//! A message: both parsers read it alike, every accessor and decoder can be called, framing finds
//! the same end, and no line of a response to it is written by the peer.

use std::net::SocketAddr;

use lamplighter::sip::framing::{Frame, Limits, next_frame};
use lamplighter::sip::header::{
    Event, MediaRange, NameAddr, Parameters, Via, accepts, delta_seconds, list_items, retry_after,
};
use lamplighter::sip::message::{Framing, HEADERS_MAX};
use lamplighter::sip::{HeaderName, Message, StartLine, Status, Uri, emit};

use crate::plain;

const LIMITS: Limits = Limits {
    head_octets_max: 65_536,
    message_octets_max: 262_144,
};

/// Both parsers read the octets alike.
pub(crate) fn parsers(octets: &[u8]) {
    for framing in [Framing::Datagram, Framing::Stream] {
        if let Ok(message) = Message::parse(octets, framing) {
            assert_eq!(plain::of(&message), plain::read(octets, framing, &message));
        }
    }
}

/// Decodes all headers, frames and responds; checks what must hold for any octets.
pub(crate) fn message(octets: &[u8]) {
    for framing in [Framing::Datagram, Framing::Stream] {
        if let Ok(message) = Message::parse(octets, framing) {
            decode(&message);
            respond(&message);
        }
    }
    match next_frame(octets, &LIMITS) {
        Ok(Frame::Message(length) | Frame::Response(length, _)) => {
            // Framing and parsing agree on the end of the message.
            let message = Message::parse(&octets[..length], Framing::Stream).unwrap();
            assert_eq!(message.bytes().len(), length);
            // The length of a message with too many headers may be among those that are not kept.
            if message.all_headers().count() >= HEADERS_MAX {
                return;
            }
            // One length; in a response it may be repeated.
            let lengths = || {
                message
                    .headers(HeaderName::ContentLength)
                    .map(delta_seconds)
            };
            let is_response = matches!(message.start_line(), StartLine::Response { .. });
            assert!(lengths().count() == 1 || is_response && lengths().count() > 1);
            assert!(lengths().all(|again| Some(again) == lengths().next()));
        }
        Ok(Frame::Ping(length) | Frame::Filler(length) | Frame::Stun(length)) => {
            assert!(length > 0 && length <= octets.len())
        }
        Ok(Frame::Incomplete) | Err(_) => {}
    }
}

/// Calls every accessor and decoder.
fn decode(message: &Message<'_>) {
    let octets = message.bytes().as_ptr_range();
    let is_inside = |span: &[u8]| {
        span.is_empty()
            || (octets.contains(&span.as_ptr()) && span.as_ptr_range().end <= octets.end)
    };
    if message.fault().is_none() {
        assert!(message.is_answerable());
        assert!(message.via().is_some() && message.from().is_some() && message.to().is_some());
        assert!(message.cseq().is_some() && !message.call_id().is_empty());
    }
    for (name, spelling, value) in message.all_headers() {
        assert!(is_inside(spelling) && is_inside(value));
        assert_eq!(HeaderName::from_wire(spelling), name);
        if name != HeaderName::Other {
            assert!(message.headers(name).any(|found| found == value));
            assert!(message.header(name).is_some());
        }
        for item in list_items(value).chain([value]) {
            assert!(is_inside(item));
            if let Some(address) = NameAddr::parse(item) {
                let _ = (address.tag(), address.parameters.count("tag"));
                if let Ok(uri) = Uri::parse(address.uri) {
                    let mut key = String::new();
                    uri.write_user(&mut key);
                    uri.write_host(&mut key);
                    let _ = (uri.ip(), uri.parameter("transport"));
                }
            }
            let via = Via::parse(item).map(|via| via.parameters.iter().count());
            let event = Event::parse(item).map(|event| event.parameters.iter().count());
            let range = accepts(
                MediaRange::parse(item).into_iter(),
                "application",
                "pidf+xml",
            );
            let _ = (via, event, range, delta_seconds(item), retry_after(item));
            assert!(
                Parameters(item)
                    .iter()
                    .all(|(name, value)| is_inside(name) && is_inside(value))
            );
        }
    }
    assert_eq!(message.other_headers("").count(), 0);
    assert!(is_inside(message.body()) && message.bytes().ends_with(message.body()));
}

/// Responds to any message: no line of the response is written by the peer. The response to a valid
/// request is valid, and copies its values.
fn respond(message: &Message<'_>) {
    let source: SocketAddr = "192.0.2.77:5099".parse().unwrap();
    let mut out = Vec::new();
    let head = emit::ResponseHead {
        status: Status::BAD_REQUEST,
        reason: None,
        to_tag: b"our-tag",
        source,
    };
    emit::response_head(&mut out, message, &head);
    let names = [
        &b"SIP/2.0 400 "[..],
        b"Via: ",
        b"From: ",
        b"To: ",
        b"Call-ID: ",
        b"CSeq: ",
    ];
    let mut lines = out.split_inclusive(|&octet| octet == b'\n');
    assert!(
        lines
            .all(|line| line.ends_with(b"\r\n") && names.iter().any(|name| line.starts_with(name)))
    );
    assert_eq!(
        out.iter().filter(|&&octet| octet == b'\r').count(),
        out.iter().filter(|&&octet| octet == b'\n').count()
    );
    if message.fault().is_some() || !matches!(message.start_line(), StartLine::Request { .. }) {
        return;
    }
    emit::body(&mut out, "text/plain", message.body());
    let response = Message::parse(&out, Framing::Stream).unwrap();
    assert_eq!(response.fault(), None, "{}", String::from_utf8_lossy(&out));
    assert_eq!(
        response.via().unwrap().branch,
        message.via().unwrap().branch
    );
    assert_eq!(response.call_id(), message.call_id());
    assert_eq!(response.cseq(), message.cseq());
    assert_eq!(
        response.from().unwrap().tag(),
        message.from().unwrap().tag()
    );
    assert_eq!(
        response.to().unwrap().tag(),
        message.to().unwrap().tag().or(Some(b"our-tag"))
    );
    assert_eq!(response.body(), message.body());
}
