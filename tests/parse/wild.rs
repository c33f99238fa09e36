//! Messages of real clients are parsed completely, without a fault; and no damage to them, or to
//! the torture messages, makes parsing, framing or responding panic or disagree with each other, or
//! parsing disagree with the [simple parser](crate::plain).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::corpus::{Outcome, TORTURES};
use crate::plain;
use lamplighter::sip::framing::{Frame, Limits, next_frame};
use lamplighter::sip::header::{
    Event, MediaRange, NameAddr, Parameters, Via, accepts, delta_seconds, list_items, retry_after,
};
use lamplighter::sip::message::Framing;
use lamplighter::sip::{HeaderName, Message, StartLine, Status, Uri, emit};

/// The number of damaged messages per run; `LAMPLIGHTER_FUZZ` raises it.
pub(crate) const MUTATIONS: u64 = 20_000;

const LIMITS: Limits = Limits {
    head_octets_max: 65_536,
    message_octets_max: 262_144,
};

/// Name and octets of every message sent by a client, in the order of the names.
fn wild() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wild");
    let mut messages: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sip"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    messages.sort();
    assert_eq!(messages.len(), 80);
    messages
}

#[test]
fn every_real_message_is_valid_and_has_the_expected_method() {
    for (name, octets) in wild() {
        let message = Message::parse(&octets, Framing::Datagram).unwrap();
        assert_eq!(message.fault(), None, "{name}");
        assert!(message.is_answerable(), "{name}");
        let method = name.rsplit('-').next().unwrap();
        assert_eq!(message.method().token(), method.as_bytes(), "{name}");
        assert_eq!(message.cseq().unwrap().method, message.method(), "{name}");
        assert!(message.from().unwrap().tag().is_some(), "{name}");
        assert!(!message.call_id().is_empty(), "{name}");
        assert!(
            message
                .via()
                .unwrap()
                .branch
                .unwrap()
                .starts_with(b"z9hG4bK"),
            "{name}"
        );
        if let Some(event) = message.header(HeaderName::Event) {
            assert!(Event::parse(event).is_some(), "{name}");
        }
        if let Some(expires) = message.header(HeaderName::Expires) {
            assert!(delta_seconds(expires).is_some(), "{name}");
        }
        let StartLine::Request { uri, .. } = message.start_line() else {
            unreachable!("{name}")
        };
        let addresses = [message.from().unwrap().uri, message.to().unwrap().uri, uri];
        let contacts = message.headers(HeaderName::Contact).flat_map(list_items);
        for uri in contacts
            .map(|item| NameAddr::parse(item).unwrap().uri)
            .chain(addresses)
        {
            assert!(
                Uri::parse(uri).is_ok(),
                "{name}: {}",
                String::from_utf8_lossy(uri)
            );
        }
        for range in message.headers(HeaderName::Accept).flat_map(list_items) {
            assert!(MediaRange::parse(range).is_some(), "{name}");
        }
    }
}

#[test]
fn every_header_of_a_message_is_kept() {
    for (name, octets) in wild() {
        let message = Message::parse(&octets, Framing::Datagram).unwrap();
        let StartLine::Request { method, uri } = message.start_line() else {
            unreachable!("{name}")
        };
        let mut written = [method.token(), b" ", uri, b" SIP/2.0\r\n"].concat();
        for (known, spelling, value) in message.all_headers() {
            assert_eq!(HeaderName::from_wire(spelling), known, "{name}");
            written.extend([spelling, b": ", value, b"\r\n"].concat());
        }
        written.extend_from_slice(b"\r\n");
        written.extend_from_slice(message.body());
        assert_eq!(
            String::from_utf8_lossy(&written),
            String::from_utf8_lossy(&one_space(&octets)),
            "{name}"
        );
        assert_eq!(message.bytes(), octets, "{name}");
    }
}

/// The message with exactly one space after every header's colon and none after its value: nothing
/// else may change by parsing.
fn one_space(octets: &[u8]) -> Vec<u8> {
    let head_end = octets
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&octets[..head_end]).unwrap();
    let (start_line, fields) = head.split_once("\r\n").unwrap();
    let mut normal = format!("{start_line}\r\n");
    for field in fields.split("\r\n") {
        let (name, value) = field.split_once(':').unwrap();
        normal.push_str(&format!("{name}: {}\r\n", value.trim()));
    }
    [normal.as_bytes(), &octets[head_end + 2..]].concat()
}

#[test]
fn stream_framing_does_not_depend_on_the_segments() {
    let mut random = XorShift(0x5eed);
    let messages: Vec<Vec<u8>> = wild()
        .into_iter()
        .map(|(_, octets)| octets)
        .filter(|octets| {
            Message::parse(octets, Framing::Stream)
                .unwrap()
                .fault()
                .is_none()
        })
        .collect();
    assert!(messages.len() > 60);
    let stream: Vec<u8> = messages
        .iter()
        .flat_map(|octets| [octets, &b"\r\n\r\n"[..]].concat())
        .collect();
    for _ in 0..20 {
        let mut buffer = Vec::new();
        let mut arrived = 0;
        let mut cut = Vec::new();
        while arrived < stream.len() || !buffer.is_empty() {
            let more = (random.below(700) + 1).min(stream.len() - arrived);
            buffer.extend_from_slice(&stream[arrived..arrived + more]);
            arrived += more;
            loop {
                let taken = match next_frame(&buffer, &LIMITS).unwrap() {
                    Frame::Incomplete => break,
                    Frame::Ping(octets) | Frame::Filler(octets) => octets,
                    Frame::Message(octets) | Frame::Response(octets, _) => {
                        cut.push(buffer[..octets].to_vec());
                        octets
                    }
                };
                buffer.drain(..taken);
            }
        }
        assert_eq!(cut, messages);
    }
}

#[test]
fn damaged_messages_are_judged_alike_by_both_parsers() {
    let rounds =
        std::env::var("LAMPLIGHTER_FUZZ").map_or(MUTATIONS, |rounds| rounds.parse().unwrap());
    let mut seeds: Vec<Vec<u8>> = wild().into_iter().map(|(_, octets)| octets).collect();
    for torture in TORTURES {
        let octets = torture.octets();
        let is_refused = Message::parse(&octets, Framing::Datagram).is_err();
        assert_eq!(
            is_refused,
            torture.outcome == Outcome::Refused,
            "{}",
            torture.name
        );
        judge(&octets);
        seeds.push(octets);
    }
    let mut random = XorShift(0x1a3b_5c7d);
    for _ in 0..rounds {
        let mut octets = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            damage(&mut octets, &seeds, &mut random);
        }
        judge(&octets);
    }
}

/// Damages a message in one of the ways of networks, bugs and attackers.
pub(crate) fn damage(octets: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut XorShift) {
    const TOKENS: &[&[u8]] = &[
        b"\r\n",
        b"\r\n ",
        b"\n",
        b"\r",
        b"\0",
        b"\"",
        b"\\",
        b"<",
        b">",
        b",",
        b";",
        b"=",
        b":",
        b"@",
        b"[",
        b"]",
        b"%",
        b"%00",
        b"?",
        b"*",
        b"\r\n\r\n",
        b";tag=",
        b";tag",
        b"Via: ",
        b"v:SIP/2.0/UDP a;;b\r\n",
        b"l: 5\r\n",
        b"CSeq: 1 X\r\n",
        b"4294967296",
        b"-1",
        b"\xff\xfe",
        b"SIP/2.0",
        b"\r\nContent-Length: 0\r\n\r\n",
        b";branch=",
        b";rport",
        b" ",
        b"\t",
    ];
    let at = random.below(octets.len() + 1);
    let end = at + random.below(octets.len() - at + 1).min(40);
    match random.below(7) {
        0 if at < octets.len() => octets[at] = random.below(256) as u8,
        1 if at < octets.len() => octets[at] ^= 1 << random.below(8),
        2 => drop(octets.drain(at..end)),
        3 => octets.truncate(at),
        4 => {
            let copy = octets[at..end].to_vec();
            octets.splice(at..at, copy);
        }
        5 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            let to = from + random.below(other.len() - from).min(200);
            octets.splice(at..end, other[from..to].iter().copied());
        }
        _ => drop(octets.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
    }
}

/// Parses the octets twice, decodes all headers, frames and responds; checks what must hold for any
/// octets.
fn judge(octets: &[u8]) {
    for framing in [Framing::Datagram, Framing::Stream] {
        if let Ok(message) = Message::parse(octets, framing) {
            assert_eq!(plain::of(&message), plain::read(octets, framing, &message));
            decode(&message);
            respond(&message);
        }
    }
    match next_frame(octets, &LIMITS) {
        Ok(Frame::Message(length) | Frame::Response(length, _)) => {
            // Framing and parsing agree on the end of the message.
            let message = Message::parse(&octets[..length], Framing::Stream).unwrap();
            assert_eq!(message.bytes().len(), length);
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
        Ok(Frame::Ping(length) | Frame::Filler(length)) => {
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

/// A small generator of random numbers: runs repeat exactly.
pub(crate) struct XorShift(pub(crate) u64);

impl XorShift {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
