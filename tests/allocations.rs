//! The steady state allocates nothing: refreshes, responses, timers and state changes use memory
//! that is already there.
//!
//! A counting allocator checks this: it counts only the current thread, and only while a test
//! measures, so that writing the phones' messages does not count. Not covered are: a new
//! subscription (its dialog is one allocation), digest authentication (the domain here requires
//! none), a PUBLISH (the XML reader creates values; their number is bounded below), and mail
//! between shards (a node with one shard has none).

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lamplighter::changes::ChangeFeed;
use lamplighter::directory::{AuthMode, Directory, Domain};
use lamplighter::presence::call::{CallParts, CallState, Direction, Party};
use lamplighter::presence::event::Package;
use lamplighter::presence::wall_clock::WallClock;
use lamplighter::presence::{Aor, CallDialog, document};
use lamplighter::shard::contract::overload_options::{OverloadOptions, Rate};
use lamplighter::shard::{
    ChangeReader, ChangeReaders, Command, CommandId, ConnectionId, Durability, Flow, Input, NodeId,
    Options, Outbox, Shard, ShardId,
};
use lamplighter::sip::Transport;

// The counting allocator.

thread_local! {
    static MEASURING: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Octets allocated and not freed since the measurement began, and their maximum.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(octets: usize) {
    if MEASURING.get() {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + octets as isize);
        PEAK.set(PEAK.get().max(LIVE.get()));
    }
}

fn count_free(octets: usize) {
    if MEASURING.get() {
        LIVE.set(LIVE.get() - octets as isize);
    }
}

// SAFETY: every call goes unchanged to the system's allocator; counting accesses
// constant-initialized cells without destructors, which never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new octets may both be there for a moment.
        count(size);
        count_free(layout.size());
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        count_free(layout.size());
        // SAFETY: the caller's guarantees are passed on.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of allocations that `work` makes.
fn allocations_of(work: impl FnOnce()) -> u64 {
    ALLOCATIONS.set(0);
    MEASURING.set(true);
    work();
    MEASURING.set(false);
    ALLOCATIONS.get()
}

/// The most octets that `work` has allocated at one time.
fn peak_of(work: impl FnOnce()) -> usize {
    LIVE.set(0);
    PEAK.set(0);
    allocations_of(work);
    PEAK.get() as usize
}

// One shard and its phones.

const WATCHERS: usize = 100;
/// Longer than Timer J and than the lifetime of tombstones: what they occupy is part of the steady
/// state.
const WARM_UP_ROUNDS: u32 = 60;
const MEASURED_ROUNDS: u32 = 40;
const ROUND: Duration = Duration::from_secs(2);

const NODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);

/// A watcher's side of its subscription.
struct Phone {
    flow: Flow,
    package: &'static str,
    to_tag: String,
    target: String,
    cseq: u32,
}

struct Bench {
    shard: Shard,
    outbox: Outbox,
    now: Instant,
    phones: Vec<Phone>,
    requests: u32,
}

fn options(epoch: Instant) -> Options {
    Options {
        epoch_unix: 0,
        record_clock: WallClock {
            at: epoch,
            unix_milliseconds: 0,
        },
        node: NodeId(0),
        id: ShardId(0),
        shards: 1,
        epoch,
        key: [7; 32],
        nonce_key: [7; 32],
        nonces_known_since: epoch,
        durability: Durability::None,
        writes_history: false,
        tells_changes: ChangeReaders::default(),
        is_traced: false,
        acknowledgements_held_max: 1000,
        local_addresses: vec![NODE],
        listeners: Vec::new(),
        advertise: Vec::new(),
        product: "Lamplighter".into(),
        subscriptions_max: 10_000,
        subscriptions_per_phone_max: 1000,
        subscription_octets_max: 1 << 30,
        subscriptions_per_flow_home: 1000,
        expiry_grace: Duration::from_secs(32),
        dials_max: 64,
        dial_targets_max: 1_000,
        dial_pause_min: Duration::from_secs(1),
        dial_pause_max: Duration::from_secs(60),
        probation: Duration::from_secs(60),
        notify_rate_per_phone: 10,
        notify_tcp_beyond: 1300,
        notify_burst_per_phone: 20,
        notifies_per_turn: 64,
        notify_octets_per_turn: 4 << 20,
        retransmission_octets_max: 64 << 20,
        timers_per_turn: 512,
        segment_octets_max: 1400,
        presentities_max: 1000,
        contacts_max: 1_000_000,
        publications_per_presentity_max: 32,
        calls_per_presentity_max: 50,
        body_octets_max: 65_536,
        response_ring_octets: 1 << 16,
        nonces_max: 64,
        nonce_life: Duration::from_secs(3600),
        allow_rfc2069: false,
        clients_max: 4,
        upstream_users_max: 0,
        client_transactions_max: 4,
        probe_entries_max: 100,
        overload: OverloadOptions {
            phone: Rate {
                per_second: 1,
                burst: 100,
            },
            ..OverloadOptions::default()
        },
    }
}

fn directory() -> Directory {
    let domain = Domain {
        auth: AuthMode::None,
        reveal_number: true,
        open: true,
        ..Domain::new("example.com")
    };
    let mut directory = Directory::default();
    directory.add_domain(domain, &[]).unwrap();
    directory
}

impl Bench {
    /// A shard on which that many phones watch 100@example.com; all of them are up to date.
    fn new(watchers: usize, package: &'static str) -> Self {
        Self::recording(watchers, package, Durability::None)
    }

    /// The same, on a shard of that durability.
    fn recording(watchers: usize, package: &'static str, durability: Durability) -> Self {
        let now = Instant::now();
        let options = Options {
            durability,
            writes_history: durability != Durability::None,
            ..options(now)
        };
        let shard = Shard::new(options, Arc::new(directory()), [1; 32]);
        let mut bench = Self {
            shard,
            outbox: Outbox::default(),
            now,
            phones: Vec::new(),
            requests: 0,
        };
        for number in 0..watchers {
            let address = Ipv4Addr::new(10, 0, (number >> 8) as u8, number as u8);
            let flow = Flow {
                transport: Transport::Udp,
                listener: 0,
                connection: ConnectionId::default(),
                local: NODE,
                peer: SocketAddr::new(address.into(), 5060),
            };
            let (to_tag, target) = (String::new(), "sip:100@example.com".into());
            bench.phones.push(Phone {
                flow,
                package,
                to_tag,
                target,
                cseq: 0,
            });
            let request = bench.subscribe(number);
            bench.give(flow, &request);
            let response = bench.sent().remove(0);
            let phone = &mut bench.phones[number];
            phone.to_tag = header(&response, "To")
                .split(";tag=")
                .nth(1)
                .unwrap()
                .to_owned();
            phone.target = header(&response, "Contact")
                .trim_matches(['<', '>'])
                .to_owned();
            bench.respond_to_all();
        }
        bench
    }

    fn subscribe(&mut self, number: usize) -> Vec<u8> {
        self.requests += 1;
        let phone = &mut self.phones[number];
        phone.cseq += 1;
        let Phone {
            flow,
            package,
            to_tag,
            target,
            cseq,
            ..
        } = phone;
        let tag = if to_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={to_tag}")
        };
        let peer = flow.peer;
        format!(
            "SUBSCRIBE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:w{number}@example.com>;tag=w\r\nTo: <sip:100@example.com>{tag}\r\nCall-ID: {number}@phone\r\n\
             CSeq: {cseq} SUBSCRIBE\r\nContact: <sip:w{number}@{peer}>\r\nEvent: {package}\r\nExpires: 3600\r\n\
             Content-Length: 0\r\n\r\n",
            self.requests
        )
        .into_bytes()
    }

    /// Handles one input without measuring.
    fn give(&mut self, flow: Flow, octets: &[u8]) {
        self.shard.handle(
            Input::Message {
                flow,
                bytes: octets,
            },
            self.now,
            &mut self.outbox,
        );
        self.turn();
    }

    /// Handles everything that is due now.
    fn turn(&mut self) {
        while self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
            self.shard.handle_timeout(self.now, &mut self.outbox);
        }
    }

    /// The messages in the outbox.
    fn sent(&self) -> Vec<String> {
        let text = |transmit| String::from_utf8(self.outbox.pieces(transmit).concat()).unwrap();
        self.outbox.transmits.iter().map(text).collect()
    }

    /// The 200s to the NOTIFYs in the outbox, each with its flow. Empties the outbox.
    fn responses(&mut self) -> Vec<(Flow, Vec<u8>)> {
        let sent = self.sent();
        let flows = self.outbox.transmits.iter().map(|transmit| transmit.flow);
        let notifies = flows
            .zip(&sent)
            .filter(|(_, text)| text.starts_with("NOTIFY"));
        let responses = notifies.map(|(flow, text)| (flow, ok(text))).collect();
        self.outbox.clear();
        responses
    }

    /// Sends the 200s to all NOTIFYs.
    fn respond_to_all(&mut self) {
        loop {
            let responses = self.responses();
            if responses.is_empty() {
                return;
            }
            for (flow, octets) in responses {
                self.give(flow, &octets);
            }
        }
    }

    /// Measures one input and the turns it causes.
    fn measure(&mut self, input: Input<'_>) -> u64 {
        let Self {
            shard, outbox, now, ..
        } = self;
        allocations_of(|| {
            shard.handle(input, *now, outbox);
            while shard.poll_timeout().is_some_and(|at| at <= *now) {
                shard.handle_timeout(*now, outbox);
            }
        })
    }

    /// Measures everything that is due until the next round.
    fn measure_time(&mut self) -> u64 {
        let end = self.now + ROUND;
        let Self {
            shard, outbox, now, ..
        } = self;
        let allocations = allocations_of(|| {
            while let Some(at) = shard.poll_timeout().filter(|at| *at <= end) {
                *now = at.max(*now);
                shard.handle_timeout(*now, outbox);
            }
        });
        self.now = end;
        allocations
    }

    fn notifies_sent(&self) -> usize {
        self.sent()
            .iter()
            .filter(|text| text.starts_with("NOTIFY"))
            .count()
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text
        .split("\r\n")
        .find(|line| line.starts_with(&format!("{name}: ")));
    &line.unwrap_or_else(|| panic!("no {name} in {text}"))[name.len() + 2..]
}

fn ok(notify: &str) -> Vec<u8> {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", header(notify, name)));
    format!(
        "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
        copied.concat()
    )
    .into_bytes()
}

fn call(remote: &str) -> Arc<CallDialog> {
    let call = CallParts {
        call_id: "call@pbx",
        local_tag: "l",
        remote_tag: "r",
        direction: Some(Direction::Recipient),
        remote: Party {
            identity: remote,
            ..Party::default()
        },
        ..CallParts::new("call", CallState::Confirmed)
    };
    Arc::new(call.into())
}

fn refreshes(package: &'static str) {
    let mut bench = Bench::new(1, package);
    let flow = bench.phones[0].flow;
    let mut worst = [0; 3];
    for round in 0..WARM_UP_ROUNDS + MEASURED_ROUNDS {
        let request = bench.subscribe(0);
        let refresh = bench.measure(Input::Message {
            flow,
            bytes: &request,
        });
        assert!(
            bench.sent()[0].starts_with("SIP/2.0 200 "),
            "{}",
            bench.sent()[0]
        );
        assert_eq!(bench.notifies_sent(), 1);
        let responses = bench.responses();
        let response = bench.measure(Input::Message {
            flow,
            bytes: &responses[0].1,
        });
        assert_eq!(bench.notifies_sent(), 0);
        let time = bench.measure_time();
        assert_eq!(bench.notifies_sent(), 0, "the response was not accepted");
        if round >= WARM_UP_ROUNDS {
            worst = std::array::from_fn(|at| worst[at].max([refresh, response, time][at]));
        }
    }
    assert_eq!(
        worst, [0; 3],
        "allocations of a refresh with its NOTIFY, of a 200 to NOTIFY, of the timers"
    );
}

fn changes(package: &'static str, durability: Durability) {
    let mut bench = Bench::recording(WATCHERS, package, durability);
    let aor = Aor::new("100", "example.com");
    let calls = [
        Some(call("sip:200@example.com")),
        None,
        Some(call("sip:300@example.com")),
        None,
    ];
    let (mut worst, mut notifies) = ([0; 3], 0);
    for round in 0..WARM_UP_ROUNDS + MEASURED_ROUNDS {
        let call = calls[round as usize % calls.len()].clone();
        let expires = Duration::from_secs(60);
        let command = Command::call_state(aor.clone(), call, expires);
        let change = bench.measure(Input::Command(CommandId(u64::from(round)), command));
        notifies += bench.notifies_sent();
        let is_recorded = durability != Durability::None;
        assert_eq!(bench.outbox.state_changes.len(), usize::from(is_recorded));
        assert_eq!(bench.notifies_sent(), WATCHERS, "round {round}");
        let mut response = 0;
        for (flow, octets) in bench.responses() {
            response = response.max(bench.measure(Input::Message {
                flow,
                bytes: &octets,
            }));
        }
        let time = bench.measure_time();
        if round >= WARM_UP_ROUNDS {
            worst = std::array::from_fn(|at| worst[at].max([change, response, time][at]));
        }
        bench.outbox.clear();
    }
    assert_eq!(
        notifies,
        WATCHERS * (WARM_UP_ROUNDS + MEASURED_ROUNDS) as usize
    );
    assert_eq!(
        worst, [0; 3],
        "allocations of a change with {WATCHERS} NOTIFYs, of a 200 to NOTIFY, of the timers"
    );
}

#[test]
fn the_allocator_counts() {
    assert_eq!(
        allocations_of(|| drop(std::hint::black_box(Box::new(1)))),
        1
    );
    assert_eq!(allocations_of(|| ()), 0);
}

#[test]
fn a_refresh_of_a_dialog_watcher_allocates_nothing() {
    refreshes("dialog");
}

#[test]
fn a_refresh_of_a_presence_watcher_allocates_nothing() {
    refreshes("presence");
}

#[test]
fn a_change_for_a_hundred_dialog_watchers_allocates_nothing() {
    changes("dialog", Durability::None);
}

#[test]
fn a_change_for_a_hundred_presence_watchers_allocates_nothing() {
    changes("presence", Durability::None);
}

#[test]
fn a_change_that_is_recorded_allocates_nothing() {
    changes("dialog", Durability::Relaxed);
}

/// The turns of changes while operators read events: on the shard's thread.
#[test]
fn a_change_for_readers_of_events_allocates_nothing() {
    let mut bench = Bench::new(WATCHERS, "dialog");
    let tell = Input::Command(
        CommandId(0),
        Command::TellChanges(ChangeReader::Events, true),
    );
    bench.measure(tell);
    let (feed, aor) = (ChangeFeed::default(), Aor::new("100", "example.com"));
    let calls = [Some(call("sip:200@example.com")), None];
    let mut worst = [0; 2];
    for round in 0..WARM_UP_ROUNDS + MEASURED_ROUNDS {
        let call = calls[round as usize % calls.len()].clone();
        let command = Command::call_state(aor.clone(), call, Duration::from_secs(60));
        let change = bench.measure(Input::Command(CommandId(u64::from(round)), command));
        assert_eq!(bench.outbox.state_changes.len(), 1);
        let sent = allocations_of(|| feed.send(&bench.outbox));
        let received = feed.take();
        assert_eq!(received.changes().count(), 1, "round {round}");
        feed.give_back(received);
        if round >= WARM_UP_ROUNDS {
            worst = std::array::from_fn(|at| worst[at].max([change, sent][at]));
        }
        bench.respond_to_all();
        bench.outbox.clear();
    }
    assert_eq!(worst, [0; 2], "allocations of a change, of handing it over");
}

#[test]
fn retransmitting_a_notify_allocates_nothing() {
    let mut bench = Bench::new(WATCHERS, "dialog");
    let aor = Aor::new("100", "example.com");
    let mut worst = 0;
    for round in 0..WARM_UP_ROUNDS + MEASURED_ROUNDS {
        let call = (round % 2 == 0).then(|| call("sip:200@example.com"));
        let command = Command::call_state(aor.clone(), call, Duration::from_secs(60));
        bench.measure(Input::Command(CommandId(1), command));
        let responses = bench.responses();
        let time = bench.measure_time();
        // Timer E fires at 0.5 s and at 1.5 s.
        assert_eq!(bench.notifies_sent(), 2 * WATCHERS);
        for (flow, octets) in responses {
            bench.give(flow, &octets);
        }
        bench.outbox.clear();
        if round >= WARM_UP_ROUNDS {
            worst = worst.max(time);
        }
    }
    assert_eq!(worst, 0, "allocations of {} retransmissions", 2 * WATCHERS);
}

/// Allocations for reading a document with one call: its values, and the document that contains
/// them.
const DECODER_ALLOCATIONS_MAX: u64 = 16;
/// Allocations of a PUBLISH with one call, including the XML reader. They do not depend on the
/// number of watchers.
const PUBLISH_ALLOCATIONS_MAX: u64 = 12;

/// A request storm allocates nothing, neither for deferred NOTIFYs nor for repeated refusals.
#[test]
fn a_request_of_a_looping_phone_allocates_nothing() {
    let mut bench = Bench::new(1, "dialog");
    let flow = bench.phones[0].flow;
    let mut refused = 0;
    for round in 0..300 {
        bench.phones[0].to_tag.clear();
        bench.phones[0].target = "sip:100@example.com".to_owned();
        let request = String::from_utf8(bench.subscribe(0)).unwrap();
        let octets = request.replace("Call-ID: 0", &format!("Call-ID: {round}"));
        bench.outbox.clear();
        let bytes = octets.as_bytes();
        let allocations = bench.measure(Input::Message { flow, bytes });
        if bench.sent()[0].starts_with("SIP/2.0 503 ") {
            refused += 1;
            assert_eq!(allocations, 0, "round {round}");
        }
    }
    assert_eq!(refused, 201);
}

/// A refusal of a phone that is in the operator's table of loops only increments a counter. Before,
/// the phone is added to the table.
#[test]
fn a_refusal_that_is_listed_allocates_nothing() {
    let mut bench = Bench::new(1, "dialog");
    let flow = bench.phones[0].flow;
    for round in 0..95 {
        bench.phones[0].to_tag.clear();
        bench.phones[0].target = "sip:100@elsewhere.net".to_owned();
        let request = String::from_utf8(bench.subscribe(0)).unwrap();
        let octets = request.replace("Call-ID: 0", &format!("Call-ID: {round}"));
        bench.outbox.clear();
        let bytes = octets.as_bytes();
        let allocations = bench.measure(Input::Message { flow, bytes });
        assert!(bench.sent()[0].starts_with("SIP/2.0 404 "));
        assert!(allocations == 0 || round < 40, "round {round}");
    }
}

#[test]
fn reading_a_document_allocates_only_for_its_values() {
    let body = document(0, "early");
    let read = || {
        document::read(
            Package::Dialog,
            "application/dialog-info+xml",
            body.as_bytes(),
        )
    };
    read().unwrap();
    let allocations = allocations_of(|| drop(std::hint::black_box(read())));
    println!("reading a document of one call: {allocations} allocations");
    assert!(
        allocations <= DECODER_ALLOCATIONS_MAX,
        "{allocations} allocations of the decoder"
    );
    let mut reader = document::Reader::default();
    let mut read = || {
        reader.read(
            Package::Dialog,
            "application/dialog-info+xml",
            body.as_bytes(),
        )
    };
    read().unwrap();
    let by_template = allocations_of(|| drop(std::hint::black_box(read())));
    println!("reading it by template: {by_template} allocations");
    assert!(by_template < allocations, "{by_template} by template");
}

#[test]
fn a_publish_costs_the_same_for_one_watcher_and_for_a_hundred() {
    let allocations = [1, WATCHERS].map(publish_allocations);
    println!(
        "a PUBLISH of one call with 1 and {WATCHERS} watchers: at most {allocations:?} allocations"
    );
    assert_eq!(allocations[0], allocations[1]);
    assert!(
        allocations[0] <= PUBLISH_ALLOCATIONS_MAX,
        "{} allocations of a PUBLISH",
        allocations[0]
    );
}

/// The maximum for a PUBLISH of one call in the steady state, over all states of the call.
fn publish_allocations(watchers: usize) -> u64 {
    let mut bench = Bench::new(watchers, "dialog");
    let flow = Flow {
        peer: SocketAddr::new(Ipv4Addr::new(10, 9, 9, 9).into(), 5060),
        ..bench.phones[0].flow
    };
    let (mut etag, mut worst) = (String::new(), 0);
    for round in 0..WARM_UP_ROUNDS + MEASURED_ROUNDS {
        let state = ["early", "confirmed", "terminated"][round as usize % 3];
        let request = publish(round, state, &etag);
        let allocations = bench.measure(Input::Message {
            flow,
            bytes: &request,
        });
        let sent = bench.sent();
        let response = sent
            .iter()
            .find(|text| text.starts_with("SIP/2.0"))
            .unwrap();
        assert!(response.starts_with("SIP/2.0 200 "), "{response}");
        etag = format!("SIP-If-Match: {}\r\n", header(response, "SIP-ETag"));
        assert_eq!(bench.notifies_sent(), watchers, "{state}");
        bench.respond_to_all();
        bench.now += ROUND;
        bench.turn();
        bench.outbox.clear();
        if round >= WARM_UP_ROUNDS {
            worst = worst.max(allocations);
        }
    }
    worst
}

fn document(round: u32, state: &str) -> String {
    // Every call has its own Call-ID.
    let call = round / 3;
    format!(
        "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{round}\" \
         state=\"full\" entity=\"sip:100@example.com\">\n<dialog id=\"d{call}\" call-id=\"c{call}@pbx\" local-tag=\"l\" \
         remote-tag=\"r\" direction=\"recipient\">\n<state>{state}</state>\n\
         <local><identity>sip:100@example.com</identity></local>\n\
         <remote><identity display=\"Bob\">sip:200@example.com</identity></remote>\n</dialog>\n</dialog-info>\n"
    )
}

fn publish(round: u32, state: &str, condition: &str) -> Vec<u8> {
    let body = document(round, state);
    format!(
        "PUBLISH sip:100@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.9.9:5060;branch=z9hG4bKp{round};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:100@example.com>;tag=p\r\nTo: <sip:100@example.com>\r\nCall-ID: p@pbx\r\n\
         CSeq: {} PUBLISH\r\nEvent: dialog\r\nExpires: 3600\r\n{condition}Content-Type: application/dialog-info+xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        round + 1,
        body.len()
    )
    .into_bytes()
}

// Hostile documents (W:E2.16, E4.1, E4.3).

/// A document of dialog-info with something inside.
fn dialog_info(inside: &str) -> Vec<u8> {
    let root = "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\"";
    format!("{root} version=\"0\" state=\"full\" entity=\"sip:1@abc.com\">{inside}</dialog-info>")
        .into()
}

/// Hostile documents of about `count` pieces each.
fn hostile_documents(count: usize) -> Vec<(&'static str, Vec<u8>)> {
    let many = |piece: &dyn Fn(usize) -> String| (0..count).map(piece).collect::<String>();
    let entities = many(&|number| format!("<!ENTITY e{number} \"&e{};&e0;\">", number / 2));
    let doctype = format!("<!DOCTYPE dialog-info [{entities}]>");
    vec![
        ("deep", dialog_info(&"<a>".repeat(count))),
        (
            "attributes",
            dialog_info(&format!("<a {}/>", many(&|n| format!("a{n}=\"\" ")))),
        ),
        (
            "namespaces",
            dialog_info(&format!("<a {}/>", many(&|n| format!("xmlns:a{n}=\"u\" ")))),
        ),
        (
            "one value",
            dialog_info(&format!("<a b=\"{}\"/>", "x".repeat(count))),
        ),
        (
            "references",
            dialog_info(&format!("<a b=\"{}\"/>", "&#65;".repeat(count))),
        ),
        (
            "text",
            dialog_info(&format!("<state>{}</state>", "x&amp;".repeat(count))),
        ),
        (
            "dialogs",
            dialog_info(&many(&|n| {
                format!("<dialog id=\"{n}\"><state>early</state></dialog>")
            })),
        ),
        ("comments", dialog_info(&"<!-- x -->".repeat(count))),
        ("sections", dialog_info(&"<![CDATA[x]]>".repeat(count))),
        (
            "entities",
            [doctype.as_bytes(), &dialog_info("&e9;")].concat(),
        ),
        ("siblings", dialog_info(&"<a/>".repeat(count))),
    ]
}

#[test]
fn hostile_documents_take_bounded_memory() {
    const OCTETS_MAX: usize = 4 * document::xml::DOCUMENT_OCTETS_MAX;
    for count in [100, 1_000, 10_000, 1_000_000] {
        for (name, body) in hostile_documents(count) {
            let mut reader = document::Reader::default();
            let octets = peak_of(|| {
                let read = reader.read(Package::Dialog, "application/dialog-info+xml", &body);
                assert!(read.is_err() || body.len() <= document::xml::DOCUMENT_OCTETS_MAX);
            });
            assert!(octets <= OCTETS_MAX, "{name} of {count}: {octets} octets");
        }
    }
}

#[test]
fn hostile_multiparts_take_no_memory() {
    let preamble = "x\r\n".repeat(20_000);
    let nested = "--b\r\nContent-Type: multipart/related; boundary=b\r\n\r\n".repeat(1_000);
    let headers = format!("--b\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    for body in [preamble, nested, headers] {
        let octets = peak_of(|| {
            let content_type = "multipart/related; boundary=b";
            let read = document::read(Package::Presence, content_type, body.as_bytes());
            assert!(read.is_err());
        });
        assert_eq!(octets, 0, "{}", &body[..20]);
    }
}

#[test]
fn bombs_take_bounded_memory() {
    use std::io::Write;

    let limits = document::deflate::InflateLimits::default();
    let bomb = |octets: usize| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..octets >> 20 {
            encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        encoder.finish().unwrap()
    };
    for octets in [8 << 20, 64 << 20] {
        let body = bomb(octets);
        let peak = peak_of(|| {
            let read = document::deflate::inflate(&body, limits);
            assert_eq!(read, Err(document::DocumentFault::TooLarge));
        });
        // What came out, in the old and the new buffer while it grows, and the inflater's state.
        assert!(
            peak <= 3 * limits.octets_max + (64 << 10),
            "{octets}: {peak} octets"
        );
    }
}
