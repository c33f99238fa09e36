//! Damaged inputs: the bodies of `tests/fuzz`, driven by damaged copies of the messages, documents and
//! conversations of the dialogues.
//!
//! `LAMPLIGHTER_FUZZ=1000000` tries that many inputs for each body instead of some hundred.
//! `LAMPLIGHTER_SEEDS_TO=folder` writes the undamaged ones for libFuzzer, a folder for each body
//! (`tests/fuzz/run`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lamplighter::config;

use crate::bodies::{self, record, sequence};
use crate::dialogue::{Action, Block, Dialogue, Ending};
use crate::mutator::{XorShift, damaged};
use crate::placeholder::Bindings;
use crate::{case_name, cases, read};

/// Damaged inputs for each body.
const INPUTS: u64 = 400;
/// The time for each body, on a slow or busy machine.
const TIME_MAX: Duration = Duration::from_millis(700);
/// Credentials in place of those that a case has computed.
const DIGEST: &str = "Digest username=\"9\", realm=\"abc.com\", nonce=\"{nonce}\", uri=\"sip:123@abc.com\", \
    response=\"0123456789abcdef0123456789abcdef\", qop=auth, nc=00000001, cnonce=\"0a\", algorithm=MD5";

/// Inputs that no dialogue has.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "pres_rules",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" \
        xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">\n\
        <cr:rule id=\"a\"><cr:conditions><cr:identity><cr:one id=\"sip:bob@abc.com\"/></cr:identity>\
        <cr:validity><cr:from>2026-12-24T17:00:00+01:00</cr:from><cr:until>2026-12-24T21:00:00Z</cr:until>\
        </cr:validity></cr:conditions><cr:actions><pr:sub-handling>allow</pr:sub-handling></cr:actions>\
        <cr:transformations/></cr:rule>\n</cr:ruleset>\n",
    ),
    (
        "pres_rules",
        "<ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\" xmlns:p=\"urn:ietf:params:xml:ns:pres-rules\">\
        <rule id=\"b\"><conditions><identity><many domain=\"abc.com\"><except id=\"sip:eve@abc.com\"/>\
        <except domain=\"b.com\"/></many></identity></conditions><actions>\
        <p:sub-handling>polite-block</p:sub-handling></actions></rule></ruleset>",
    ),
    (
        "http",
        "domain=abc.com&user=123&password=secret&number=%2B49+30&expires=7200&state=busy\n",
    ),
    (
        "http",
        "domain=abc.com&user=a%40b\npassword=%73ecret&number=1%002&state=",
    ),
    ("config", config::DEFAULT_FILE),
    (
        "config",
        "[[sip.listen]]\naddress = \"10.0.0.1:5060\"\ntransport = \"udp\"\n\n[[domain]]\nname = \"abc.com\"\n",
    ),
];

/// Inputs of a protocol that is not text. The masks of the frames are zero.
const OCTET_EXAMPLES: &[(&str, &[u8])] = &[
    (
        "websocket",
        b"\x07\x81\x84\0\0\0\0\r\n\r\n\x01\x87\0\0\0\0OPTIONS\x89\x81\0\0\0\0?\x80\x83\0\0\0\0 si\
        \x82\xfe\0\x02\0\0\0\0\xc3\xa4\x88\x82\0\0\0\0\x03\xe8",
    ),
    ("websocket", b"\x01\x82\xff\0\0\0\0\0\0\x07\xd1\x01\x02\x03\x04"),
    (
        "upgrade",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: \
        dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://www.example.com\r\nSec-WebSocket-Protocol: sip\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n",
    ),
    ("upgrade", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("stun", b"\x00\0\x01\0\0\x21\x12\xa4\x42transaction1"),
    (
        "stun",
        b"\x01\0\x01\0\x10\x21\x12\xa4\x42transaction1\x80\x22\0\x02ab\0\0\0\x24\0\x04\0\0\0\x01",
    ),
    ("proxy_protocol", b"PROXY TCP4 192.0.2.9 192.0.2.1 5061 5060\r\nOPTIONS"),
    ("proxy_protocol", b"PROXY UNKNOWN\r\n"),
    (
        "proxy_protocol",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x09\xc0\0\x02\x01\x13\xc5\x13\xc4\x04\0\0OPTIONS",
    ),
    // One NAPTR record, two SRV records behind it, three addresses.
    (
        "names",
        b"\x40\x01\x05\0\x01\x0a\x02\x01\x01\0\x05\x13\xc4\x02\x02\0\0\x13\xc5\x03\x02\x01\x02\x01\x04",
    ),
    ("names", b"\x57\x02\x01\x02"),
];

/// The inputs for each body, in a stable order, each once.
type Seeds = BTreeMap<&'static str, BTreeSet<Vec<u8>>>;

#[test]
fn damaged_inputs_break_nothing() {
    let asked = std::env::var("LAMPLIGHTER_FUZZ").ok();
    let count = asked
        .as_ref()
        .map_or(INPUTS, |count| count.parse().unwrap());
    let seeds = seeds();
    let mut random = XorShift(0x5eed_1234);
    for (name, body) in bodies::ALL {
        let seeds: Vec<Vec<u8>> = seeds[name].iter().cloned().collect();
        let started = Instant::now();
        let is_time_up = || asked.is_none() && started.elapsed() > TIME_MAX;
        let mut tried = 0;
        while tried < count && !is_time_up() {
            let input = damaged(&seeds, &mut random);
            let broken = std::panic::catch_unwind(|| body(&input)).is_err();
            assert!(!broken, "{name}: {}", input.escape_ascii());
            tried += 1;
        }
        println!("{name}: {tried} inputs from {} seeds", seeds.len());
    }
}

#[test]
fn every_body_has_seeds_that_break_nothing() {
    let seeds = seeds();
    for (name, body) in bodies::ALL {
        let of_body = seeds
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no seed"));
        assert!(of_body.len() >= 2, "{name} has {} seeds", of_body.len());
        // The first ones are enough: the cases themselves have played all.
        for seed in of_body.iter().take(20) {
            body(seed);
        }
        // What a checksum refuses goes no deeper.
        let is_deep = *name != "record" || of_body.iter().all(|seed| record::is_decoded(seed));
        assert!(is_deep, "no records");
        if let Ok(folder) = std::env::var("LAMPLIGHTER_SEEDS_TO") {
            let folder = Path::new(&folder).join(name);
            fs::create_dir_all(&folder).unwrap();
            for (number, seed) in of_body.iter().enumerate() {
                fs::write(folder.join(format!("seed-{number:05}")), seed).unwrap();
            }
        }
    }
}

fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    for (name, example) in EXAMPLES {
        add(&mut seeds, name, example.as_bytes().to_vec());
    }
    for (name, example) in OCTET_EXAMPLES {
        add(&mut seeds, name, example.to_vec());
    }
    for path in cases() {
        let dialogue = read(&path).unwrap_or_else(|fault| panic!("{}: {fault}", case_name(&path)));
        add_messages(&mut seeds, &dialogue);
        for (_, text) in dialogue.scene.iter().filter(|(key, _)| key == "Config") {
            add(&mut seeds, "config", text.as_bytes().to_vec());
        }
        add(&mut seeds, "sequence", script_of(&dialogue));
    }
    let scripts = seeds["sequence"].iter().step_by(5);
    let records: Vec<Vec<u8>> = scripts
        .flat_map(|script| sequence::records_of(script))
        .collect();
    for record in records {
        add(&mut seeds, "record", record);
    }
    seeds
}

fn add(seeds: &mut Seeds, name: &'static str, input: Vec<u8>) {
    if !input.is_empty() {
        seeds.entry(name).or_default().insert(input);
    }
}

/// The messages of both sides, what is in them, and all of the peers' as a stream.
fn add_messages(seeds: &mut Seeds, dialogue: &Dialogue) {
    let mut stream = vec![16];
    for step in &dialogue.steps {
        let (block, is_received) = match &step.action {
            Action::Receive {
                ending, message, ..
            } if *ending != Ending::Raw => (message, true),
            Action::Expect { message, .. } => (message, false),
            _ => continue,
        };
        let message = octets_of(block, Named::Stands);
        if is_received {
            stream.extend_from_slice(&message);
        }
        for name in ["message", "parsers", "rsip", "datagram"] {
            add(seeds, name, message.clone());
        }
        add_values(seeds, &message);
    }
    add(seeds, "stream", stream);
}

/// What is in a message: credentials and challenges, a document, a multipart.
fn add_values(seeds: &mut Seeds, message: &[u8]) {
    let text = String::from_utf8_lossy(message).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let value = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    for name in ["Authorization", "WWW-Authenticate", "Proxy-Authenticate"] {
        add(seeds, "digest", value(name).unwrap_or_default().into());
    }
    let content_type = value("Content-Type").unwrap_or_default();
    if body.is_empty() {
        return;
    }
    add(
        seeds,
        "deflate",
        crate::play::deflated(body.as_bytes()).unwrap(),
    );
    if content_type.starts_with("multipart") {
        add(
            seeds,
            "multipart",
            format!("{content_type}\r\n{body}").into_bytes(),
        );
    }
    // The last part of a multipart is a document too.
    for (media_type, name) in [
        ("dialog-info+xml", "dialog_info"),
        ("application/pidf+xml", "pidf"),
        ("cpim-pidf+xml", "pidf"),
        ("/xpidf+xml", "xpidf"),
        ("reginfo+xml", "reginfo"),
        ("simple-message-summary", "message_summary"),
        ("resource-lists+xml", "resource_lists"),
        ("x-as-feature-event+xml", "feature_event"),
    ] {
        if content_type.contains(media_type) {
            add(seeds, name, body.into());
        }
    }
}

/// A dialogue as a script: what its peers send and answer, and how much time passes.
fn script_of(dialogue: &Dialogue) -> Vec<u8> {
    let mut script = Vec::new();
    let mut time = 0;
    for step in &dialogue.steps {
        match &step.action {
            Action::Advance(passed) => time = sequence::time_of(*passed),
            Action::Receive { peer, message, .. } => {
                let peer = (peer.address.port() % 4) as u8;
                if message
                    .lines
                    .first()
                    .is_some_and(|line| line.starts_with("SIP/2.0 2"))
                {
                    script.extend([sequence::head_of(1, time, peer), 0]);
                } else {
                    script.push(sequence::head_of(0, time, peer));
                    script.extend(octets_of(message, Named::Latest));
                }
                script.push(sequence::SEPARATOR);
                time = 0;
            }
            Action::CallState { .. } => {
                script.extend([sequence::head_of(2, time, 0), 1, sequence::SEPARATOR]);
                time = 0;
            }
            _ => {}
        }
    }
    script
}

/// What a name in a message becomes.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    /// A value that could be meant.
    Stands,
    /// The latest value of its kind, to be filled in when the script is played.
    Latest,
}

fn octets_of(block: &Block, named: Named) -> Vec<u8> {
    let line = |line: &String| {
        filled_in(
            &line.replace("{digest user=9 password=secret}", DIGEST),
            named,
        )
    };
    let split = block.lines.iter().position(String::is_empty);
    let (head, rest) = block.lines.split_at(split.unwrap_or(block.lines.len()));
    let body: Vec<Vec<u8>> = rest.iter().skip(1).map(line).collect();
    let body = body.join(&b'\n');
    let length = body.len().to_string();
    let head: Vec<Vec<u8>> = head
        .iter()
        .map(|text| line(&text.replace("{length}", &length)))
        .collect();
    [&head.join(&b"\r\n"[..])[..], b"\r\n\r\n", &body].concat()
}

/// A line with its names, `{tag1}` or `{cseq1+2}`, replaced, and its octets, `{x00}`, in place.
fn filled_in(line: &str, named: Named) -> Vec<u8> {
    const KINDS: [&str; 9] = [
        "tag", "branch", "cseq", "etag", "nonce", "callid", "number", "response", "cnonce",
    ];
    let mut text = String::new();
    let mut latest = Vec::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let kind = KINDS.iter().find(|kind| behind.starts_with(**kind));
        let end = behind.find('}');
        let (Some(kind), Some(end)) = (kind, end) else {
            text.push('{');
            rest = behind;
            continue;
        };
        match (named, *kind) {
            (Named::Latest, "tag" | "branch" | "cseq" | "etag" | "nonce") => {
                // Brackets would be read as a name of the case.
                text.push('\u{1}');
                latest.push(format!("{{{kind}}}"));
            }
            (_, "cseq" | "number") => text.push('7'),
            _ => text.push_str(&behind[..end]),
        }
        rest = &behind[end + 1..];
    }
    text.push_str(rest);
    let octets = Bindings::default()
        .expand(&text)
        .unwrap_or_else(|_| text.into_bytes());
    let mut latest = latest.into_iter();
    let put = |octet: u8| match octet {
        1 => latest.next().unwrap_or_default().into_bytes(),
        octet => vec![octet],
    };
    octets.into_iter().flat_map(put).collect()
}
