//! Messages and time. Peers that know no password send what they like to a node, answer its NOTIFYs
//! or not, and hang up; the operator reports calls. Then the closed domain must show what the
//! operator reported and nothing else; and when all have gone, the node must hold nothing of them.
//!
//! A script is a list of steps, separated by the octet 0xff. The first octet of a step says who acts
//! and how much time passes before; what follows is a message. In it `{tag}`, `{branch}`, `{cseq}`,
//! `{etag}`, `{nonce}` and `{contact}` stand for the latest that the node sent to any peer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use lamplighter::presence::Aor;
use lamplighter::presence::call::{CallDialog, CallParts, CallState, Direction};
use lamplighter::shard::{Command, Reply};
use lamplighter::sip::Transport;

use super::datagram::look_at;
use super::node::{CLOSED, Node, TRUSTED};

/// Between the steps of a script.
pub(crate) const SEPARATOR: u8 = 0xff;
const STEPS_MAX: usize = 24;
/// The times that may pass before a step.
const TIMES: [Duration; 8] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(500),
    Duration::from_secs(4),
    Duration::from_secs(40),
    Duration::from_secs(700),
    Duration::from_secs(4000),
];
/// All that peers can ask for has run out by then: subscriptions, publications, registrations, and
/// the memory of what was there.
const ALL_GONE: Duration = Duration::from_secs(4 * 24 * 3600);

/// The peers.
const PEERS: [(&str, Transport); 4] = [
    ("10.0.0.7:5060", Transport::Udp),
    ("10.0.0.9:5060", Transport::Udp),
    ("10.0.0.8:40001", Transport::Tcp),
    ("[2001:db8::7]:5060", Transport::Udp),
];

/// What a step does.
#[derive(Clone, Copy)]
enum Deed {
    Send,
    Answer,
    Report,
    Close,
}

/// The first octet of a step: a deed (two bits), a time (three) and a peer (two).
pub(crate) const fn head_of(deed: u8, time: u8, peer: u8) -> u8 {
    (deed & 3) << 5 | (time & 7) << 2 | peer & 3
}

/// What the node last sent, by which peers can go on with it.
#[derive(Default)]
struct Latest {
    tag: Vec<u8>,
    branch: Vec<u8>,
    cseq: Vec<u8>,
    etag: Vec<u8>,
    nonce: Vec<u8>,
    contact: Vec<u8>,
}

/// The number of the time that is closest from above.
pub(crate) fn time_of(passed: Duration) -> u8 {
    let at = TIMES.iter().position(|time| *time >= passed);
    at.unwrap_or(TIMES.len() - 1) as u8
}

/// The fields of the records that the node writes while a script is played, without version and
/// checksum.
pub(crate) fn records_of(script: &[u8]) -> Vec<Vec<u8>> {
    let mut play = Play::new();
    play.all(script);
    let bare = |record: &Vec<u8>| {
        record
            .get(1..record.len().checked_sub(4)?)
            .map(<[u8]>::to_vec)
    };
    play.node.records.iter().filter_map(bare).collect()
}

struct Play {
    node: Node,
    latest: Latest,
    /// NOTIFYs that no peer has answered.
    notifies: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Whether the operator said last that 123 of the closed domain is in a call.
    is_busy: bool,
}

pub(crate) fn sequence(script: &[u8]) {
    let mut play = Play::new();
    play.all(script);
    play.closed_domain_shows_what_the_operator_said();
    play.nothing_is_left();
}

impl Play {
    fn new() -> Self {
        Self {
            node: Node::new(),
            latest: Latest::default(),
            notifies: VecDeque::new(),
            is_busy: false,
        }
    }

    fn all(&mut self, script: &[u8]) {
        let steps = script.split(|octet| *octet == SEPARATOR);
        for step in steps.filter(|step| !step.is_empty()).take(STEPS_MAX) {
            self.act(step[0], &step[1..]);
        }
    }

    fn act(&mut self, head: u8, message: &[u8]) {
        self.node.advance(TIMES[usize::from(head >> 2 & 7)]);
        self.learn();
        let (address, transport) = PEERS[usize::from(head & 3)];
        let address = address.parse().unwrap();
        let deeds = [Deed::Send, Deed::Answer, Deed::Report, Deed::Close];
        match deeds[usize::from(head >> 5 & 3)] {
            Deed::Send => {
                let octets = self.filled_in(message);
                self.node.receive(address, transport, &octets);
            }
            Deed::Answer => self.answer(message.first().copied().unwrap_or_default()),
            Deed::Report => self.report(message.first().is_some_and(|octet| octet & 1 == 1)),
            Deed::Close => self.node.close(address),
        }
        self.learn();
    }

    /// Remembers what the node sent, and checks it.
    fn learn(&mut self) {
        for sent in std::mem::take(&mut self.node.sent) {
            look_at(&sent);
            let between = |start: &str, end: &[u8]| between(&sent.octets, start.as_bytes(), end);
            let is_request = sent.octets.starts_with(b"NOTIFY");
            let tag = if is_request { "\r\nFrom: " } else { "\r\nTo: " };
            let line = between(tag, b"\r").unwrap_or_default();
            if let Some(at) = line.windows(5).position(|window| window == b";tag=") {
                self.latest.tag = line[at + 5..].to_vec();
            }
            let found = [
                (&mut self.latest.branch, between(";branch=", b";\r")),
                (&mut self.latest.cseq, between("\r\nCSeq: ", b" \r")),
                (&mut self.latest.etag, between("\r\nSIP-ETag: ", b"\r")),
                (&mut self.latest.nonce, between("nonce=\"", b"\"")),
                (&mut self.latest.contact, between("\r\nContact: <", b">")),
            ];
            for (known, found) in found {
                if let Some(found) = found {
                    *known = found.to_vec();
                }
            }
            if is_request {
                self.notifies.push_back((sent.peer, sent.octets));
            }
        }
    }

    /// The message with its names replaced.
    fn filled_in(&self, message: &[u8]) -> Vec<u8> {
        let Latest {
            tag,
            branch,
            cseq,
            etag,
            nonce,
            contact,
        } = &self.latest;
        let names: [(&[u8], &Vec<u8>); 6] = [
            (b"{tag}", tag),
            (b"{branch}", branch),
            (b"{cseq}", cseq),
            (b"{etag}", etag),
            (b"{nonce}", nonce),
            (b"{contact}", contact),
        ];
        let mut octets = Vec::with_capacity(message.len());
        let mut rest = message;
        while let Some((first, behind)) = rest.split_first() {
            match names.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, value)) if *first == b'{' => {
                    octets.extend_from_slice(value);
                    rest = &rest[name.len()..];
                }
                _ => {
                    octets.push(*first);
                    rest = behind;
                }
            }
        }
        octets
    }

    /// A peer answers the oldest NOTIFY.
    fn answer(&mut self, choice: u8) {
        let Some((peer, notify)) = self.notifies.pop_front() else {
            return;
        };
        let status = match choice % 8 {
            0..4 => "200 OK",
            4 => "481 Subscription Does Not Exist",
            5 => "503 Service Unavailable\r\nRetry-After: 5",
            6 => "403 Forbidden",
            _ => "204 No Notification",
        };
        let text = String::from_utf8_lossy(&notify).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let mut response = format!("SIP/2.0 {status}\r\n");
        for line in head.split("\r\n") {
            let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            if copied.iter().any(|name| line.starts_with(name)) {
                response.push_str(line);
                response.push_str("\r\n");
            }
        }
        response.push_str("Content-Length: 0\r\n\r\n");
        let transport = PEERS
            .iter()
            .find(|(address, _)| address.parse() == Ok(peer));
        let transport = transport.map_or(Transport::Udp, |(_, transport)| *transport);
        self.node.receive(peer, transport, response.as_bytes());
    }

    /// The operator reports of 123 of the closed domain.
    fn report(&mut self, is_busy: bool) {
        let aor = Aor::new("123", CLOSED);
        let call = is_busy.then(|| {
            CallDialog::from(CallParts {
                direction: Some(Direction::Recipient),
                ..CallParts::new("1", CallState::Confirmed)
            })
        });
        let until_replaced = Duration::from_secs(30 * 24 * 3600);
        let expires = call.as_ref().map_or(Duration::ZERO, |_| until_replaced);
        let owner = Node::owner_of(&aor);
        let command = Command::call_state(aor, call.map(Into::into), expires);
        let reply = self.node.command(owner, command);
        assert!(matches!(reply, Reply::Done), "{reply:?}");
        self.is_busy = is_busy;
    }

    /// A watcher that the domain trusts fetches the state.
    fn closed_domain_shows_what_the_operator_said(&mut self) {
        self.learn();
        let request = format!(
            "SUBSCRIBE sip:123@{CLOSED} SIP/2.0\r\nVia: SIP/2.0/TCP {TRUSTED};branch=z9hG4bKlast\r\n\
             Max-Forwards: 70\r\nFrom: <sip:9@{CLOSED}>;tag=last\r\nTo: <sip:123@{CLOSED}>\r\n\
             Call-ID: last@trusted\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:9@{TRUSTED};transport=tcp>\r\n\
             Event: dialog\r\nExpires: 0\r\nContent-Length: 0\r\n\r\n"
        );
        let peer: SocketAddr = TRUSTED.parse().unwrap();
        self.node.receive(peer, Transport::Tcp, request.as_bytes());
        let of_peer = self.node.sent.iter().filter(|sent| sent.peer == peer);
        let texts: Vec<_> = of_peer
            .map(|sent| String::from_utf8_lossy(&sent.octets))
            .collect();
        assert!(
            texts.iter().any(|text| text.starts_with("SIP/2.0 200")),
            "{texts:?}"
        );
        let notify = texts.iter().find(|text| text.starts_with("NOTIFY"));
        let notify = notify.unwrap_or_else(|| panic!("no state: {texts:?}"));
        assert_eq!(
            notify.contains("<state>confirmed</state>"),
            self.is_busy,
            "{notify}"
        );
    }

    /// After all that was asked for has run out, nothing of it is left.
    fn nothing_is_left(&mut self) {
        self.report(false);
        self.node.close(TRUSTED.parse().unwrap());
        self.node.advance(ALL_GONE);
        for shard in Node::shards() {
            let Reply::Counters(counters) = self.node.command(shard, Command::Counters) else {
                panic!("no counters");
            };
            for name in [
                "subscriptions",
                "notifies_outstanding",
                "notifies_queued",
                "timers",
            ] {
                let found = counters.values.iter().find(|(known, _)| *known == name);
                assert!(
                    found.is_none_or(|(_, value)| *value == 0),
                    "{found:?} are left"
                );
            }
        }
    }
}

/// What follows the first `start`, up to one of the octets of `end`.
fn between<'a>(octets: &'a [u8], start: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let at = octets
        .windows(start.len())
        .position(|window| window == start)?;
    let rest = &octets[at + start.len()..];
    let length = rest.iter().position(|octet| end.contains(octet))?;
    Some(&rest[..length])
}
