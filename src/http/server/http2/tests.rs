//! Clients of HTTP/2 that send anything: the server does not panic, holds no more than its limits, and the
//! connection ends with what the client sends.

use std::cell::{Cell, RefCell};
use std::io;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use glommio::LocalExecutorBuilder;
use glommio::timer::sleep;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select as one_of;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::changes::ChangeFeed;
use crate::http::attempts::Attempts;
use crate::http::change_counters::ChangeCounters;
use crate::http::connections::Connections;
use crate::http::directory::SharedDirectory;
use crate::http::facts::Facts;
use crate::http::site::CallNumbers;
use crate::http::tests::{FakeEngine, directory};
use crate::http::transport_counters::TransportCounters;
use crate::http::verified_passwords::VerifiedPasswords;
use crate::net::connection_limits::ConnectionLimits;
use crate::net::stream::handshakes::Handshakes;
use crate::net::stream::{Framing, StreamTransport};
use crate::net::{HandshakeLimits, Limits};
use crate::shard::contract::overload_options::OverloadOptions;
use crate::sip::Transport;
use crate::sip::digest::Secret;
use crate::telemetry::durations::Durations;

/// What begins a connection (RFC 9113 §3.4), with SETTINGS that are empty.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// How soon a connection ends after its last octets.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets that are taken from a client that reads nothing: what is read at once, and as many requests as
/// there may be, with their headers and bodies, or a thousand KiB of other frames.
const TAKEN_MAX: usize = 2 << 20;

/// What a client does when it has sent its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Ends,
    Stays,
    /// It sends them again, from that one on.
    Repeats(usize),
}

/// A client.
#[derive(Debug)]
struct Client {
    octets: Vec<u8>,
    then: Then,
    at: usize,
    /// Octets that arrive at once.
    piece: usize,
    /// Octets that it reads.
    room: usize,
    taken: Rc<Cell<usize>>,
}

impl StreamTransport for Client {
    fn transport(&self) -> Transport {
        Transport::Tls
    }

    fn local_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], 443).into()
    }

    fn peer_address(&self) -> SocketAddr {
        ([127, 0, 0, 1], 40_000).into()
    }

    fn framing(&self, _: &Limits) -> Box<dyn Framing> {
        unreachable!("it is no SIP")
    }

    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn poll_preface(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        unreachable!("there is no proxy")
    }

    fn poll_read(&mut self, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.at == self.octets.len() {
            match self.then {
                Then::Ends => {}
                Then::Stays => return Poll::Pending,
                // A server that took too much would not stop by itself.
                Then::Repeats(_) if self.taken.get() > TAKEN_MAX => {}
                Then::Repeats(from) => self.at = from,
            }
        }
        let left = &self.octets[self.at..];
        let count = left.len().min(into.len()).min(self.piece);
        into[..count].copy_from_slice(&left[..count]);
        self.at += count;
        self.taken.set(self.taken.get() + count);
        Poll::Ready(Ok(count))
    }

    fn try_write(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        unreachable!("hyper polls")
    }

    fn poll_write(&mut self, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let count = octets.len().min(self.room);
        self.room -= count;
        match count == 0 && !octets.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(Ok(count)),
        }
    }

    fn close(&mut self, _: bool) {}
}

fn site(engine: &FakeEngine) -> Site<FakeEngine> {
    let limits = ConnectionLimits {
        connections_max: 32,
        per_address_max: 16,
    };
    Site {
        public: Connections::new(limits),
        control: Connections::new(limits),
        engine: engine.clone(),
        directory: SharedDirectory::new(Arc::new(directory())),
        changes: ChangeFeed::default(),
        events: Rc::default(),
        facts: Facts {
            keyrings: Vec::new(),
            sip: Vec::new(),
            http: Vec::new(),
            started: Instant::now(),
        },
        decoy: Secret::new("nobody", "invalid", ""),
        attempts: Attempts::new(OverloadOptions::default()),
        passwords: VerifiedPasswords::new([7; 32]),
        call_numbers: CallNumbers::new(1),
        handshakes: Handshakes::new(HandshakeLimits::default()),
        counters: TransportCounters::default(),
        call_state_durations: Durations::default(),
        change_counters: ChangeCounters::default(),
        scratch: RefCell::new(vec![0; 16 << 10].into()),
    }
}

/// Serves a client, for that time at most. Whether the connection has ended.
async fn serve_for(time: Duration, client: Client, site: &Site<FakeEngine>) -> bool {
    let peer = client.peer_address().ip();
    let visit = site.public.admit(peer, Instant::now(), |_| true).unwrap();
    let io = Io::encrypted(Box::new(client), &site.scratch);
    let has_ended = {
        let late = sleep(time).boxed_local();
        let serving = serve(io, &visit, site).boxed_local();
        matches!(select(serving, late).await, Either::Left(_))
    };
    site.public.leave(&visit);
    has_ended
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// A request with that path, its fields as literals (RFC 7541 §6.2.2), and END_HEADERS.
fn request(stream: u32, method: &str, path: &str, flags: u8) -> Vec<u8> {
    let fields = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "abc.com"),
        (":path", path),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    frame(1, flags | 4, stream, &block)
}

const CALL: &str = "/call_state.htm?domain=abc.com&user=123&password=s3cret+pass&number=5";

/// A frame, right or wrong, or some octets.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let stream = || one_of(vec![0u32, 1, 3, 5, 7, 9, 2, u32::MAX]);
    let paths = vec![CALL, "/healthz", "/metrics", "/nothing", "*", ""];
    let methods = vec!["GET", "POST", "HEAD", "CONNECT", ""];
    prop_oneof![
        4 => (stream(), one_of(methods), one_of(paths), any::<bool>())
            .prop_map(|(stream, method, path, ends)| request(stream, method, path, ends.into())),
        4 => (0u8..12, any::<u8>(), stream(), vec(any::<u8>(), 0..48))
            .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload)),
        2 => (0u8..10, 0u8..2, stream(), one_of(vec![0usize, 4, 5, 6, 8, 2000, 16 << 10]))
            .prop_map(|(kind, flags, stream, length)| frame(kind, flags, stream, &vec![0; length])),
        1 => vec(any::<u8>(), 0..200),
    ]
}

/// The preface, and frames that are no fault: they are answered at most.
fn idle_octets() -> impl Strategy<Value = Vec<u8>> {
    let frames = [
        frame(2, 0, 1, &[0, 0, 0, 0, 7]), // PRIORITY
        frame(4, 0, 0, &[]),              // SETTINGS
        frame(6, 0, 0, &[0; 8]),          // PING
        frame(6, 1, 0, &[0; 8]),          // its ACK
        frame(8, 0, 0, &[0, 0, 0, 1]),    // WINDOW_UPDATE
        frame(77, 0, 0, &[0; 100]),       // unknown
    ];
    let frames = vec(one_of(frames.to_vec()), 1..4);
    frames.prop_map(|frames| [PREFACE.to_vec(), frames.concat()].concat())
}

/// What a client sends: the preface, pieces, and damage to both.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3);
    (vec(piece(), 0..30), damage).prop_map(|(pieces, damage)| {
        let mut octets = [PREFACE.to_vec(), pieces.concat()].concat();
        for (place, octet) in damage {
            let place = place.index(octets.len());
            octets[place] = octet;
        }
        octets
    })
}

fn check<T: std::fmt::Debug>(
    cases: u32,
    input: impl Strategy<Value = T>,
    judge: impl AsyncFn(T, &Site<FakeEngine>) -> Result<(), TestCaseError>,
) {
    let executor = LocalExecutorBuilder::default().io_memory(64 << 10);
    let executor = executor.make().unwrap();
    let site = site(&FakeEngine::default());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let run = |value| executor.run(async { judge(value, &site).await });
    TestRunner::new(config).run(&input, run).unwrap();
    let open = site.public.counters();
    assert_eq!(open[0], ("http_connections_open", 0));
}

#[test]
fn a_connection_ends_with_what_its_client_sends() {
    let input = (octets(), one_of(vec![1, 7, 1000, usize::MAX]));
    check(300, input, async |(octets, piece), site| {
        let client = Client {
            octets,
            then: Then::Ends,
            at: 0,
            piece,
            room: usize::MAX,
            taken: Rc::default(),
        };
        let has_ended = serve_for(PATIENCE, client, site).await;
        prop_assert!(has_ended);
        Ok(())
    });
}

/// What it sends, it sends for ever.
#[test]
fn a_client_that_reads_nothing_is_read_no_more() {
    let octets = prop_oneof![octets(), idle_octets()];
    let input = (octets, one_of(vec![0, 100, 10_000]));
    check(100, input, async |(octets, room), site| {
        let taken = Rc::default();
        let client = Client {
            then: match octets.len() > PREFACE.len() {
                true => Then::Repeats(PREFACE.len()),
                false => Then::Stays,
            },
            octets,
            at: 0,
            piece: usize::MAX,
            room,
            taken: Rc::clone(&taken),
        };
        serve_for(Duration::from_millis(20), client, site).await;
        prop_assert!(taken.get() <= TAKEN_MAX, "{} octets", taken.get());
        Ok(())
    });
}

/// HEADERS of a stream that has some are no further request: a client that repeats them, and reads nothing,
/// is cut off.
#[test]
fn a_request_that_is_repeated_on_its_stream_is_no_request() {
    let executor = LocalExecutorBuilder::default().io_memory(64 << 10);
    let site = site(&FakeEngine::default());
    let taken = Rc::default();
    let client = Client {
        octets: [PREFACE, &request(1, "GET", "", 0)].concat(),
        then: Then::Repeats(PREFACE.len()),
        at: 0,
        piece: usize::MAX,
        room: 100,
        taken: Rc::clone(&taken),
    };
    let has_ended = executor
        .make()
        .unwrap()
        .run(async { serve_for(PATIENCE, client, &site).await });
    assert!(has_ended && taken.get() <= TAKEN_MAX, "{}", taken.get());
}

/// The requests among them are served.
#[test]
fn a_request_among_the_pieces_is_served() {
    let executor = LocalExecutorBuilder::default().io_memory(64 << 10);
    let engine = FakeEngine::default();
    let site = site(&engine);
    let octets = [PREFACE, &request(1, "GET", CALL, 1)].concat();
    let client = Client {
        octets,
        then: Then::Stays,
        at: 0,
        piece: usize::MAX,
        room: usize::MAX,
        taken: Rc::default(),
    };
    executor.make().unwrap().run(async {
        serve_for(Duration::from_secs(1), client, &site).await;
    });
    assert_eq!(engine.calls.lock().unwrap().len(), 1);
}
