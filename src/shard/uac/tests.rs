//! Limits, what is left behind, and what damaged messages do. What goes over the wire is in the
//! dialogues of the conformance suite.

pub(crate) mod bench;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::Directory;
use crate::presence::call::CallState;
use crate::presence::event::Package;
use crate::shard::contract::probe::{ProbeEvent, ProbeId, ProbeOrder, ProbeReport, ProbeTask};
use crate::shard::uac::tests::bench::{Bench, header, response_to};
use crate::shard::{Command, ConnectionId, Flow, Input, Options, Outbox, Reply, Shard, ShardId};
use crate::sip::Transport;
use crate::sip::random::Random;

/// A shard, and what it sent.
struct World {
    shard: Shard,
    now: Instant,
    out: Outbox,
    sent: Vec<String>,
}

impl Bench for World {
    fn parts(&mut self) -> (&mut Shard, &mut Instant, &mut Outbox) {
        (&mut self.shard, &mut self.now, &mut self.out)
    }

    fn drain(&mut self) {
        for transmit in &self.out.transmits {
            let octets = self.out.pieces(transmit).concat();
            self.sent
                .push(String::from_utf8_lossy(&octets).into_owned());
        }
        self.out.clear();
    }
}

impl World {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let now = Instant::now();
        let mut options = Options::new(ShardId(0), 1, now, [1; 32]);
        change(&mut options);
        Self {
            shard: Shard::new(options, Arc::new(Directory::default()), [2; 32]),
            now,
            out: Outbox::default(),
            sent: Vec::new(),
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let input = Input::Message {
            flow: flow(),
            bytes,
        };
        self.input(input);
    }

    fn begin(&mut self, task: ProbeTask) -> ProbeId {
        self.begin_for(task, order(task).duration)
    }

    fn begin_for(&mut self, task: ProbeTask, duration: Duration) -> ProbeId {
        let order = ProbeOrder {
            duration,
            ..order(task)
        };
        match self.ask(Command::BeginProbe(Box::new(order))) {
            Reply::ProbeBegun(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self, id: ProbeId, seen: usize) -> Option<ProbeReport> {
        match self.ask(Command::ReadProbe { id, seen }) {
            Reply::Probe(report) => report,
            other => panic!("{other:?}"),
        }
    }

    fn counter(&mut self, name: &str) -> u64 {
        let Reply::Counters(counters) = self.ask(Command::Counters) else {
            panic!("no counters")
        };
        counters
            .values
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    }

    /// The value of a header of the latest message.
    fn header(&self, name: &str) -> String {
        header(self.sent.last().unwrap(), name).to_owned()
    }

    /// A response to the latest request.
    fn response(&self, status: &str, lines: &str) -> String {
        response_to(self.sent.last().unwrap(), status, lines)
    }

    /// A NOTIFY in the subscription of the latest request.
    fn notify(&self, sequence: u32) -> String {
        let [from, to, call_id] = ["From", "To", "Call-ID"].map(|name| self.header(name));
        format!(
            "NOTIFY sip:10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK{sequence}\r\n\
             Max-Forwards: 70\r\nFrom: {to};tag=theirs\r\nTo: {from}\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} NOTIFY\r\nContact: <sip:10.0.0.9:5060>\r\nEvent: dialog\r\n\
             Subscription-State: active;expires=60\r\nContent-Length: 0\r\n\r\n"
        )
    }
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: 0,
        connection: ConnectionId::default(),
        local: SocketAddr::from(([10, 0, 0, 1], 5060)),
        peer: SocketAddr::from(([10, 0, 0, 9], 5060)),
    }
}

fn order(task: ProbeTask) -> ProbeOrder {
    ProbeOrder {
        flow: flow(),
        alternatives: Vec::new(),
        target: "sip:123@pbx.com".into(),
        from: "sip:9@pbx.com".into(),
        login: None,
        duration: Duration::from_secs(60),
        task,
    }
}

const SUBSCRIBE: ProbeTask = ProbeTask::Subscribe(Package::Dialog);
const PUBLISH: ProbeTask = ProbeTask::Publish(CallState::Early);

#[test]
fn a_probe_beyond_the_limit_is_refused() {
    let mut world = World::new(|options| options.clients_max = 2);
    world.begin(SUBSCRIBE);
    world.begin(PUBLISH);
    let reply = world.ask(Command::BeginProbe(Box::new(order(SUBSCRIBE))));
    assert!(matches!(reply, Reply::OverLimit));
    assert_eq!(world.counter("clients_over_limit"), 1);
    assert_eq!(world.counter("clients"), 2);
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn a_request_beyond_the_limit_waits() {
    let mut world = World::new(|options| options.client_transactions_max = 1);
    world.begin(SUBSCRIBE);
    let id = world.begin(SUBSCRIBE);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.counter("client_transactions_over_limit"), 1);
    assert_eq!(
        world.read(id, 0).unwrap().entries[0].event,
        ProbeEvent::NotSent
    );
    let refused = world.response("403 Forbidden", "");
    world.receive(refused.as_bytes());
    // Timer K of the first, then the second tries again.
    world.wait(Duration::from_secs(10));
    let [first, second] = [&world.sent[0], &world.sent[1]];
    assert!(second.starts_with("SUBSCRIBE ") && first != second);
}

#[test]
fn a_finished_probe_leaves_nothing_behind() {
    for task in [SUBSCRIBE, PUBLISH] {
        let mut world = World::new(|_| ());
        let id = world.begin(task);
        let refused = world.response("404 Not Found", "");
        world.receive(refused.as_bytes());
        let report = world.read(id, 0).unwrap();
        assert!(report.is_over && report.entries.last().unwrap().event == ProbeEvent::Over);
        // Timer K is left, and what is there to be read.
        assert_eq!((world.counter("clients"), world.counter("timers")), (0, 2));
        let seen = report.entries.len();
        assert!(world.read(id, seen).unwrap().entries.is_empty());
        assert!(world.read(id, seen).is_none());
        world.wait(Duration::from_secs(5));
        assert_eq!(world.counter("timers"), 0);
    }
}

#[test]
fn a_probe_that_nobody_reads_is_forgotten() {
    let mut world = World::new(|_| ());
    let id = world.begin(SUBSCRIBE);
    world.wait(Duration::from_secs(60));
    assert!(world.read(id, 0).unwrap().is_over);
    assert_eq!(world.counter("clients"), 0);
    world.wait(Duration::from_secs(60));
    assert!(world.read(id, 0).is_none());
    assert_eq!(world.counter("timers"), 0);
    assert_eq!(world.counter("timers_armed_late"), 0);
}

#[test]
fn a_server_that_does_not_respond_is_reported_at_the_end() {
    let mut world = World::new(|_| ());
    let id = world.begin_for(SUBSCRIBE, Duration::from_secs(2));
    world.wait(Duration::from_secs(2));
    let report = world.read(id, 0).unwrap();
    let events = report.entries.iter().map(|entry| entry.event.to_string());
    assert_eq!(
        events.collect::<Vec<_>>(),
        [
            "SUBSCRIBE sent, for 60 s",
            "user status: Requesting",
            "no response until the end of the probe",
            "user status: Not requested by anyone",
            "the probe is over",
        ]
    );
}

#[test]
fn a_report_is_bounded_and_ends_with_the_end() {
    let mut world = World::new(|options| options.probe_entries_max = 3);
    let id = world.begin(SUBSCRIBE);
    let accepted = world.response("200 OK", "Expires: 3600\r\n");
    world.receive(accepted.as_bytes());
    world.wait(Duration::from_secs(60));
    let report = world.read(id, 0).unwrap();
    let last: Vec<ProbeEvent> = report.entries[3..]
        .iter()
        .map(|entry| entry.event.clone())
        .collect();
    assert_eq!(last, [ProbeEvent::Skipped, ProbeEvent::Over]);
    assert!(world.counter("probe_events_skipped") >= 2);
}

#[test]
fn damaged_messages_do_no_harm() {
    let mut random = Random::new([5; 32]);
    for round in 0..400 {
        let mut world = World::new(|_| ());
        world.begin(if round % 2 == 0 { SUBSCRIBE } else { PUBLISH });
        let messages = [
            world.response(
                "401 Unauthorized",
                "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n",
            ),
            world.response("423 Interval Too Brief", "Min-Expires: 90\r\n"),
            world.notify(1),
            world.response("200 OK", "SIP-ETag: e\r\nExpires: 9\r\n"),
            world.notify(2),
        ];
        for message in messages {
            let mut octets = message.into_bytes();
            for _ in 0..random.below(4) {
                let at = random.below(octets.len() as u32) as usize;
                octets[at] = random.next_u64() as u8;
            }
            world.receive(&octets);
            world.wait(Duration::from_secs(u64::from(random.below(20))));
        }
        world.wait(Duration::from_secs(300));
        assert_eq!(world.counter("timers"), 0);
        assert_eq!(world.counter("clients"), 0);
    }
}
