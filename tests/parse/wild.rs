//! Messages of real clients are parsed completely, without a fault; and no damage to them, or to
//! the torture messages, makes parsing, framing or responding panic or disagree with each other, or
//! parsing disagree with the [simple parser](crate::plain).

use std::fs;
use std::path::Path;

use crate::corpus::{Outcome, TORTURES};
use crate::message;
use crate::mutator::{XorShift, damage};
use lamplighter::sip::framing::{Frame, Limits, next_frame};
use lamplighter::sip::header::{Event, MediaRange, NameAddr, delta_seconds, list_items};
use lamplighter::sip::message::Framing;
use lamplighter::sip::{HeaderName, Message, StartLine, Uri};

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
                    Frame::Ping(octets) | Frame::Filler(octets) | Frame::Stun(octets) => octets,
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

/// Parses the octets twice, decodes all headers, frames and responds.
fn judge(octets: &[u8]) {
    message::parsers(octets);
    message::message(octets);
}
