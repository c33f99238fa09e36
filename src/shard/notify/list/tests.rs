//! Long lists: counts NOTIFYs, octets and round trips until the state is complete, and checks that
//! nothing is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::lists::StoredList;
use crate::directory::{AuthMode, Directory, Domain};
use crate::presence::Aor;
use crate::presence::profile::Profile;
use crate::shard::{
    Command, CommandId, ConnectionId, Flow, Input, Options, Outbox, Reply, Shard, ShardId,
};
use crate::sip::Transport;

/// Time from a NOTIFY to its response.
const ROUND_TRIP: Duration = Duration::from_millis(20);
const PEER: &str = "10.0.0.7:5060";

/// A test bed: one phone, one node, one list.
struct Lab {
    shard: Shard,
    now: Instant,
    out: Outbox,
    flow: Flow,
}

/// What a phone heard.
#[derive(Debug, Default)]
struct Heard {
    notifies: usize,
    octets: usize,
    longest: usize,
    /// `fullState` of each.
    are_full: Vec<bool>,
    /// Number of times each resource was reported.
    states: BTreeMap<String, usize>,
    /// Resources in order of arrival.
    order: Vec<String>,
    is_terminated: bool,
    time: Duration,
}

fn directory(members: usize, list_octets: Option<u32>) -> Directory {
    let mut directory = Directory::default();
    let domain = Domain {
        auth: AuthMode::None,
        open: true,
        ..Domain::new("abc.com")
    };
    directory.add_domain(domain, &[]).unwrap();
    let member = |number: usize| directory.member(&user(number), "abc.com").unwrap();
    let list = StoredList {
        name: Some("Everybody".into()),
        members: (0..members).map(member).collect(),
        ..StoredList::default()
    };
    let aor = Aor::new("biglist", "abc.com");
    directory.add_list(&aor, list).unwrap();
    let generic = Profile {
        list_octets,
        ..Profile::default()
    };
    directory.set_profiles(vec![(Vec::new(), generic)]);
    directory
}

fn user(number: usize) -> String {
    format!("{}", 10_000 + number)
}

impl Lab {
    fn new(transport: Transport, members: usize, list_octets: Option<u32>) -> Self {
        let now = Instant::now();
        let options = Options {
            // These tests are about datagrams.
            notify_tcp_beyond: usize::MAX,
            ..Options::new(ShardId(0), 1, now, [1; 32])
        };
        let directory = Arc::new(directory(members, list_octets));
        let flow = Flow {
            transport,
            listener: 0,
            connection: ConnectionId::default(),
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: PEER.parse().unwrap(),
        };
        let shard = Shard::new(options, directory, [2; 32]);
        let mut lab = Self {
            shard,
            now,
            out: Outbox::default(),
            flow,
        };
        lab.prove_path();
        lab
    }

    /// Creates a first subscription, so that the path is validated.
    fn prove_path(&mut self) {
        let to_one = self.subscribe("10000", "first", 3600, "");
        assert_eq!(self.listen(to_one).notifies, 1);
    }

    fn subscribe(&mut self, user: &str, call_id: &str, expires: u32, more: &str) -> Vec<String> {
        let transport = match self.flow.transport {
            Transport::Udp => "UDP",
            _ => "TCP",
        };
        let text = format!(
            "SUBSCRIBE sip:{user}@abc.com SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {PEER};rport;branch=z9hG4bK{call_id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:9@abc.com>;tag=w\r\nTo: <sip:{user}@abc.com>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:9@{PEER}>\r\n\
             Event: dialog\r\nExpires: {expires}\r\nSupported: eventlist\r\n{more}\
             Content-Length: 0\r\n\r\n"
        );
        self.send(text.as_bytes())
    }

    /// The size of a table, as the operator sees it.
    fn gauge(&mut self, name: &str) -> u64 {
        let input = Input::Command(CommandId(1), Command::Counters);
        self.shard.handle(input, self.now, &mut self.out);
        let Some((_, Reply::Counters(counters))) = self.out.replies.pop() else {
            panic!("a command has its reply")
        };
        counters
            .values
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    }

    /// Delivers a message and returns everything the node sends in reaction.
    fn send(&mut self, bytes: &[u8]) -> Vec<String> {
        let flow = self.flow;
        let input = Input::Message { flow, bytes };
        self.shard.handle(input, self.now, &mut self.out);
        let mut sent = self.sent();
        while self.shard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.shard.handle_timeout(self.now, &mut self.out);
            sent.extend(self.sent());
        }
        sent
    }

    fn sent(&mut self) -> Vec<String> {
        let transmits = self.out.transmits.iter();
        let sent = transmits
            .map(|transmit| String::from_utf8_lossy(&self.out.pieces(transmit).concat()).into())
            .collect();
        self.out.clear();
        sent
    }

    /// Responds to each NOTIFY after a round trip until no more arrive.
    fn listen(&mut self, mut sent: Vec<String>) -> Heard {
        let mut heard = Heard::default();
        assert!(sent[0].starts_with("SIP/2.0 200"), "{}", sent[0]);
        loop {
            let notifies: Vec<String> = sent
                .drain(..)
                .filter(|text| text.starts_with("NOTIFY"))
                .collect();
            assert!(notifies.len() <= 1, "one NOTIFY at a time");
            let Some(notify) = notifies.first() else {
                return heard;
            };
            heard.take(notify);
            self.now += ROUND_TRIP;
            heard.time += ROUND_TRIP;
            let copied = ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "];
            let head = notify.split("\r\n\r\n").next().unwrap();
            let lines = head.lines();
            let lines = lines.filter(|line| copied.iter().any(|name| line.starts_with(name)));
            let lines: Vec<&str> = lines.collect();
            let lines = lines.join("\r\n");
            let response = format!("SIP/2.0 200 OK\r\n{lines}\r\nContent-Length: 0\r\n\r\n");
            sent = self.send(response.as_bytes());
        }
    }

    fn tell(&mut self, expires: u32, more: &str) -> Heard {
        let sent = self.subscribe("biglist", "list", expires, more);
        self.listen(sent)
    }
}

impl Heard {
    fn take(&mut self, notify: &str) {
        self.notifies += 1;
        self.octets += notify.len();
        self.longest = self.longest.max(notify.len());
        self.is_terminated = notify.contains("\r\nSubscription-State: terminated");
        self.are_full.push(notify.contains(" fullState=\"true\""));
        let (_, body) = notify.split_once("\r\n\r\n").unwrap();
        let content_ids = body.split("\r\nContent-ID: <").skip(1);
        let content_ids: BTreeSet<&str> = content_ids
            .filter_map(|part| part.split('>').next())
            .collect();
        for resource in body.split("<resource uri=\"").skip(1) {
            let uri = resource.split('"').next().unwrap();
            let cid = resource
                .split("</resource>")
                .next()
                .and_then(|element| element.split_once(" cid=\""))
                .and_then(|(_, rest)| rest.split('"').next())
                .unwrap_or_else(|| panic!("{uri} is listed without its state"));
            assert!(content_ids.contains(cid), "{cid}");
            *self.states.entry(uri.to_owned()).or_default() += 1;
            self.order.push(uri.to_owned());
        }
    }

    /// Every resource came once with its state, in the order of the list.
    fn judge(&self, members: usize) {
        let expected: Vec<String> = (0..members)
            .map(|number| format!("sip:{}@abc.com", user(number)))
            .collect();
        assert_eq!(self.order, expected);
        let full: Vec<bool> = match self.notifies {
            1 => vec![true],
            more => vec![false; more],
        };
        assert_eq!(self.are_full, full, "full is what has everything");
    }
}

/// By transport and budget: how many members there are, and how many NOTIFYs that takes.
type Row = (Transport, Option<u32>, &'static [(usize, usize)]);

/// RFC 4662 §5.2
#[test]
fn the_state_of_a_long_list_is_complete_and_arrives_soon() {
    let whole = &[(20, 1), (100, 1), (130, 1), (1_000, 1), (5_000, 1)];
    let fragments = &[(20, 1), (100, 1), (130, 1), (1_000, 8), (5_000, 36)];
    let few_fragments = &[(20, 2), (100, 6), (130, 8), (1_000, 59), (5_000, 295)];
    // Two resources make 1,615 octets.
    let no_fragments = &[(20, 20), (100, 100), (130, 130), (1_000, 1_000)];
    let table: [Row; 4] = [
        (Transport::Tcp, None, whole),
        (Transport::Udp, None, fragments),
        (Transport::Udp, Some(8 << 10), few_fragments),
        (Transport::Udp, Some(1400), no_fragments),
    ];
    println!("transport  budget  members  NOTIFYs    octets  longest    time");
    for (transport, budget, rows) in table {
        for &(members, notifies) in rows {
            let heard = Lab::new(transport, members, budget).tell(3600, "");
            let name = budget.map_or_else(|| "-".to_owned(), |octets| octets.to_string());
            println!(
                "{:9}  {name:>6}  {members:7}  {:7}  {:8}  {:7}  {:5} ms",
                if transport == Transport::Udp {
                    "UDP"
                } else {
                    "TCP"
                },
                heard.notifies,
                heard.octets,
                heard.longest,
                heard.time.as_millis()
            );
            heard.judge(members);
            assert_eq!(heard.notifies, notifies, "{members} members");
            assert_eq!(
                heard.time,
                ROUND_TRIP * heard.notifies as u32,
                "nothing is paced"
            );
            if transport == Transport::Udp {
                let octets_max = budget.unwrap_or(60_000) as usize;
                assert!(heard.longest <= octets_max, "{} octets", heard.longest);
            }
            assert!(!heard.is_terminated);
        }
    }
}

/// A fetch ends only after full state was sent.
#[test]
fn a_fetch_of_a_long_list_is_complete() {
    for (transport, budget) in [
        (Transport::Tcp, None),
        (Transport::Udp, None),
        (Transport::Udp, Some(4096)),
    ] {
        for members in [20, 130, 1_000] {
            let mut lab = Lab::new(transport, members, budget);
            let heard = lab.tell(0, "");
            heard.judge(members);
            assert!(heard.is_terminated, "the last NOTIFY ends it");
            assert_eq!(lab.gauge("subscriptions"), 1, "it is gone");
        }
    }
}

/// A phone that reads deflated bodies gets all of a thousand in one datagram.
#[test]
fn a_long_list_that_is_deflated_fits_one_datagram() {
    let mut lab = Lab::new(Transport::Udp, 1_000, None);
    let sent = lab.subscribe("biglist", "list", 3600, "Accept-Encoding: deflate\r\n");
    let notify = sent.last().unwrap();
    assert!(notify.contains("\r\nContent-Encoding: deflate\r\n"));
    assert!(notify.len() < 60_000, "{} octets", notify.len());
    assert_eq!(lab.shard.counters.notifies_sent, 2);
    assert_eq!(lab.listen(sent).notifies, 1, "nothing is left");
    assert_eq!(lab.shard.counters.notifies_sent, 2);
}

/// What is kept for retransmission is bounded: a NOTIFY beyond it waits, and is sent later.
#[test]
fn long_lists_wait_for_retransmission_memory() {
    let mut lab = Lab::new(Transport::Udp, 100, None);
    lab.shard.options.retransmission_octets_max = 100_000;
    let mut unanswered = Vec::new();
    for number in 0..4 {
        let sent = lab.subscribe("biglist", &format!("list{number}"), 3600, "");
        unanswered.extend(sent.into_iter().filter(|text| text.starts_with("NOTIFY")));
    }
    assert!(unanswered.iter().map(String::len).sum::<usize>() <= 100_000);
    assert_eq!(
        (
            unanswered.len(),
            lab.shard.counters.notifies_waiting_for_memory
        ),
        (2, 2)
    );
    let mut reported = 0;
    for _ in 0..20 {
        for notify in std::mem::take(&mut unanswered) {
            reported += 1;
            let heard = lab.listen(vec!["SIP/2.0 200".into(), notify]);
            assert_eq!(heard.are_full, [true]);
        }
        lab.now += Duration::from_millis(500);
        unanswered = lab.send(b"\r\n\r\n");
        unanswered.retain(|text| text.starts_with("NOTIFY"));
    }
    assert_eq!(reported, 4);
    // All room is free again.
    let waited = lab.shard.counters.notifies_waiting_for_memory;
    for number in 4..6 {
        lab.subscribe("biglist", &format!("list{number}"), 3600, "");
    }
    assert_eq!(lab.shard.counters.notifies_waiting_for_memory, waited);
}
