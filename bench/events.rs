//! The effect of readers of events on lamps, and the cost of reports by the API.
//!
//! Two servers, one of them with a hundred readers of `/api/v1/events`, take turns. Two thousand
//! presentities with one watcher each change at random moments (Poisson) at 10,000 changes a second:
//! half a minute on each side. On two CPUs the readers and the server's HTTP core share that of the
//! phones; programs of other machines would not. So the readers let the phones run first, and a lamp is
//! timed between sockets: from the PUBLISH that is handed to the kernel to the NOTIFY at the phone's
//! socket, as the kernel notes it, whenever the phone's thread has the CPU to read it. Then a thousand calls are reported in one request, again and again.
//!
//! `cargo bench --bench events`, some two minutes. It measures wall-clock times and needs a quiet
//! machine.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::scenario::micros;
use lamplighter_bench::sip::DOMAIN;
use lamplighter_bench::{Error, PHONES_CPU, bars, pairs, scenario, system};
use memchr::memmem::Finder;

/// Changes a second.
const RATE: f64 = 10_000.0;
const PRESENTITIES: u32 = 2_000;
const READERS: usize = 100;
/// One slice.
const SLICE: Duration = Duration::from_secs(5);
/// Pairs of slices: half a minute on each side.
const PAIRS: usize = 6;
/// How long readers may take for the last events.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Calls in one request, and such requests.
const CALLS: usize = 1_000;
const REQUESTS: usize = 200;

/// A server with its phones, and what they saw.
struct Server {
    daemon: Daemon,
    fleet: Fleet,
    token: String,
    /// Milliseconds from each PUBLISH to its lamp.
    lamps: Vec<f64>,
}

/// Connections that read events on a thread of their own.
struct Readers {
    is_over: Arc<AtomicBool>,
    events: Arc<AtomicU64>,
    gaps: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let mut servers = [Server::start()?, Server::start()?];
    let readers = Readers::start(&servers[0])?;
    let before = servers[0].changes()?;
    let ratio = pairs::abba(PAIRS, |side| servers[side as usize].slice())?;
    thread::sleep(AFTERMATH);
    let changed = servers[0].changes()? - before;
    let (events, gaps) = readers.end();
    println!("publish to lamp at {RATE:.0} changes a second, ms");
    let names = ["with readers", "without"];
    for (server, name) in servers.iter_mut().zip(names) {
        let [p50, p99] = [0.5, 0.99].map(|share| pairs::quantile(&mut server.lamps, share));
        println!("  {name:<14} p50 {p50:7.2} p99 {p99:7.2}");
    }
    println!("  p99 of a slice, with / without  {ratio}");
    println!("  {READERS} readers: {changed} changes, {events} events, {gaps} gaps");
    bars::EVENTS.report(ratio.ratio);
    bars::EVENTS_READ.report(events as f64 / (changed * READERS as u64) as f64);
    let bulk = servers[1].bulk()?;
    println!("a call of a request with {CALLS}: {bulk:.2} us of CPU, the engine included");
    bars::BULK.report(bulk);
    Ok(())
}

impl Server {
    fn start() -> Result<Self, Error> {
        let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
        let file = daemon.directory().join("lamplighter.toml");
        let mut add = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
        add.args(["token", "add", "bench", "--role", "feeder", "--config"])
            .arg(file);
        let added = system::anywhere(|| add.output())??;
        if !added.status.success() {
            let why = String::from_utf8_lossy(&added.stderr);
            return Err(format!("no token: {why}").into());
        }
        let token = String::from_utf8(added.stdout)?.trim().to_owned();
        let mut fleet = Fleet::subscribed(daemon.sip, Size::fan_out(PRESENTITIES, 1))?;
        fleet.time_between_sockets()?;
        Ok(Self {
            daemon,
            fleet,
            token,
            lamps: Vec::new(),
        })
    }

    /// The p99 of one slice, in milliseconds.
    fn slice(&mut self) -> Result<f64, Error> {
        let outcome = scenario::open_loop(&mut self.fleet, Stimulus::Publish, RATE, SLICE)?;
        let mut lamps: Vec<f64> = outcome.last.iter().map(|micros| micros / 1000.0).collect();
        self.lamps.extend(&lamps);
        Ok(pairs::quantile(&mut lamps, 0.99))
    }

    /// How many changes there were.
    fn changes(&self) -> Result<u64, Error> {
        let metrics = self.daemon.get("/metrics")?;
        let mut lines = metrics.lines();
        let line = lines.find_map(|line| line.strip_prefix("lamplighter_state_changes_total "));
        Ok(line.ok_or("no such counter")?.trim().parse()?)
    }

    /// Microseconds of CPU for each call of a large request.
    fn bulk(&self) -> Result<f64, Error> {
        let body = |state: &str| {
            let mut body = String::from("{\"updates\":[");
            for user in 0..CALLS {
                let comma = if user == 0 { "" } else { "," };
                let _ = write!(
                    body,
                    "{comma}{{\"aor\":\"{user}@{DOMAIN}\",\"state\":\"{state}\"}}"
                );
            }
            body + "]}"
        };
        let bodies = ["confirmed", "terminated"].map(body);
        let mut stream = TcpStream::connect(self.daemon.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut buffer = vec![0; 4096];
        let mut before = Duration::ZERO;
        // Half of them to warm up.
        for request in 0..2 * REQUESTS {
            if request == REQUESTS {
                before = self.daemon.cpu()?;
            }
            let (token, body) = (&self.token, &bodies[request % 2]);
            write!(
                stream,
                "POST /api/v1/updates HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            let count = stream.read(&mut buffer)?;
            let response = String::from_utf8_lossy(&buffer[..count]);
            if !response.contains(&format!("\"accepted\":{CALLS}")) {
                return Err(format!("not taken: {response}").into());
            }
        }
        Ok(micros(self.daemon.cpu()? - before) / (REQUESTS * CALLS) as f64)
    }
}

impl Readers {
    fn start(server: &Server) -> Result<Self, Error> {
        let mut streams = Vec::new();
        for _ in 0..READERS {
            let mut stream = TcpStream::connect(server.daemon.http)?;
            write!(
                stream,
                "GET /api/v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\r\n",
                server.token
            )?;
            // The first answer says that it reads from now on.
            let mut first = [0; 12];
            stream.read_exact(&mut first)?;
            if first != *b"HTTP/1.1 200" {
                let answer = String::from_utf8_lossy(&first);
                return Err(format!("a reader is refused: {answer}").into());
            }
            stream.set_nonblocking(true)?;
            streams.push(stream);
        }
        let (is_over, events, gaps) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicU64::new(0)),
        );
        let shared = (Arc::clone(&is_over), Arc::clone(&events), Arc::clone(&gaps));
        let thread = thread::spawn(move || read(streams, &shared));
        Ok(Self {
            is_over,
            events,
            gaps,
            thread,
        })
    }

    /// How many events with an id there were, and how many readers had a gap.
    fn end(self) -> (u64, u64) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.events), load(&self.gaps))
    }
}

/// Reads every connection in turn, and counts.
fn read(
    mut streams: Vec<TcpStream>,
    (is_over, events, gaps): &(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>),
) {
    system::step_back();
    let (event_end, gap) = (Finder::new("\n\n"), Finder::new("\"gap\""));
    let mut buffer = vec![0; 1 << 20];
    // Whether the last octet of each was the end of a line: an event may end between two reads.
    let mut is_at_end = vec![false; streams.len()];
    while !is_over.load(Ordering::Relaxed) {
        for (stream, is_at_end) in streams.iter_mut().zip(&mut is_at_end) {
            // WouldBlock: there is nothing yet.
            let Ok(count) = stream.read(&mut buffer) else {
                continue;
            };
            // Each event has one empty line behind it; but for a few at the beginning it is a change.
            let text = &buffer[..count];
            let is_split = *is_at_end && text.first() == Some(&b'\n');
            let ends = event_end.find_iter(text).count() + usize::from(is_split);
            *is_at_end = text.last() == Some(&b'\n') && !text.ends_with(b"\n\n");
            events.fetch_add(ends as u64, Ordering::Relaxed);
            gaps.fetch_add(u64::from(gap.find(text).is_some()), Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
