//! What TLS costs.
//!
//! 1,000 phones with a connection each watch one presentity by TCP, and 1,000 more another one by TLS
//! of the same server: CPU time per acknowledged NOTIFY, in turns. Then, in fresh servers, the memory
//! of connections that did their handshake and one OPTIONS and rest since. Then 10,000 handshakes
//! by 1,000 clients at a time, as after a power cut, while lamps change: the time from PUBLISH to
//! lamp, beside that without handshakes. No session is resumed, because phones that boot have none.
//!
//! `cargo bench --bench secure`, a minute; `-- --notifies`, `--memory` or `--handshakes` runs only that. The lamps are timed by the clock: it needs a quiet machine.

mod flood;
mod phones;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::{Error, PHONES_CPU, bars, daemon, pairs, scenario, system};

use crate::flood::Flood;
use crate::phones::{Authority, Phones};

/// Phones of each transport.
const PHONES: u32 = 1000;
/// Pairs of slices, and changes of a slice.
const PAIRS: usize = 21;
const CHANGES: u64 = 10;
/// Connections whose memory is measured, after those that warm the server up.
const AT_REST: u32 = 4000;
const WARM_UP: u32 = 500;
const HANDSHAKES: u32 = 10_000;
/// Handshakes under way; the server accepts 1,024.
const AT_ONCE: usize = 1000;
/// Presentities with one watcher each, and their changes a second, beside the handshakes: seconds pass
/// between two changes of one, so that none is left out because the last one is late.
const LAMPS: u32 = 1000;
const CHANGE_RATE: f64 = 250.0;
/// What counts as the time of a lamp that does not come, in microseconds.
const MISSING: f64 = 1e6;
/// One look at the lamps.
const SLICE: Duration = Duration::from_secs(1);
/// Looks at the lamps without handshakes.
const SLICES_BEFORE: usize = 5;

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    system::raise_open_files();
    let authority = Arc::new(Authority::new()?);
    let parts = ["--notifies", "--memory", "--handshakes"];
    let arguments: Vec<String> = std::env::args().collect();
    let is_named = |part: &str| arguments.iter().any(|argument| argument == part);
    let is_wanted = |part: &str| is_named(part) || !parts.iter().any(|part| is_named(part));
    if is_wanted("--notifies") {
        notifies(&authority)?;
    }
    if is_wanted("--memory") {
        memory(&authority)?;
    }
    if is_wanted("--handshakes") {
        handshakes(&authority)?;
    }
    Ok(())
}

/// A server with TLS too.
struct Server {
    daemon: Daemon,
    tls: std::net::SocketAddr,
}

impl Server {
    fn start(authority: &Authority) -> Result<Self, Error> {
        let tls = daemon::free_port()?;
        // All come from one address, which may have half of the handshakes.
        let further = format!(
            "[[sip.listen]]\ntransport = \"tls\"\naddress = \"{tls}\"\n{}\
             [limits]\nconnections_per_address = 32768\nhandshakes = 2048\n",
            authority.lines()
        );
        let daemon = Daemon::start_with(env!("CARGO_BIN_EXE_lamplighter"), 1, &further)?;
        Ok(Self { daemon, tls })
    }

    /// Connections that it holds, by its own account.
    fn connections(&self) -> Result<u32, Error> {
        let metrics = self.daemon.get("/metrics")?;
        let name = "lamplighter_connections_open ";
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(value.ok_or("no such metric")?.trim().parse()?)
    }
}

/// The PBX, by UDP.
fn pbx(server: &Server, presentities: u32) -> Result<Fleet, Error> {
    let size = Size {
        ports: 1,
        watchers: 0,
        presentities,
        keys_per_phone: 1,
    };
    let mut pbx = Fleet::new(server.daemon.sip, size)?;
    pbx.publish_all()?;
    Ok(pbx)
}

fn notifies(authority: &Authority) -> Result<(), Error> {
    let server = Server::start(authority)?;
    let mut pbx = pbx(&server, 2)?;
    let mut by_tls = Phones::new()?;
    let mut by_tcp = Phones::new()?;
    for number in 0..PHONES {
        by_tls.connect(server.tls, Some(authority))?;
        by_tls.subscribe(number, 0)?;
        by_tcp.connect(server.daemon.sip, None)?;
        by_tcp.subscribe(PHONES + number, 1)?;
    }
    for phones in [&mut by_tls, &mut by_tcp] {
        phones.serve_until(u64::from(PHONES))?;
    }
    let ratio = pairs::abba(PAIRS, |side| {
        let (phones, presentity) = match side {
            Side::A => (&mut by_tls, 0),
            Side::B => (&mut by_tcp, 1),
        };
        let seen = phones.notifies;
        let before = rest(&server.daemon)?;
        for change in 1..=CHANGES {
            pbx.change(Stimulus::Publish, presentity, Instant::now())?;
            phones.serve_until(seen + change * u64::from(PHONES))?;
            pbx.pump(|pbx| !pbx.is_waiting(presentity))?;
        }
        let cpu = rest(&server.daemon)? - before;
        Ok(micros(cpu) / (CHANGES * u64::from(PHONES)) as f64)
    })?;
    println!("{PHONES} connections, CPU per acknowledged NOTIFY");
    println!("  TCP                            {:7.3} us", ratio.b);
    println!("  TLS                            {:7.3} us", ratio.a);
    println!("  TLS / TCP                      {ratio}");
    bars::TLS_CPU.report(ratio.ratio);
    Ok(())
}

/// Waits until a server uses no more CPU time; how much it has used.
fn rest(daemon: &Daemon) -> Result<Duration, Error> {
    let mut last = daemon.cpu()?;
    for _ in 0..25 {
        thread::sleep(Duration::from_millis(4));
        let now = daemon.cpu()?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

fn memory(authority: &Authority) -> Result<(), Error> {
    let at_rest = |is_secure: bool| -> Result<f64, Error> {
        let server = Server::start(authority)?;
        let (address, authority) = match is_secure {
            true => (server.tls, Some(authority)),
            false => (server.daemon.sip, None),
        };
        let mut phones = Phones::new()?;
        let mut measure = |count: u32| -> Result<u64, Error> {
            for _ in 0..count {
                phones.connect(address, authority)?;
                phones.ask_last()?;
            }
            rest(&server.daemon)?;
            Ok(system::memory_octets(server.daemon.process())?)
        };
        let before = measure(WARM_UP)?;
        let after = measure(AT_REST)?;
        let open = server.connections()?;
        if open != WARM_UP + AT_REST {
            return Err(format!("the server holds {open} connections").into());
        }
        Ok(after.saturating_sub(before) as f64 / f64::from(AT_REST) / 1024.0)
    };
    let (secure, plain) = (at_rest(true)?, at_rest(false)?);
    println!("{AT_REST} connections at rest, memory of each");
    println!("  TCP                            {plain:7.3} KiB");
    println!("  TLS                            {secure:7.3} KiB");
    bars::TLS_MEMORY.report(secure);
    Ok(())
}

fn handshakes(authority: &Arc<Authority>) -> Result<(), Error> {
    let server = Server::start(authority)?;
    let size = Size {
        ports: 100,
        ..Size::fan_out(LAMPS, 1)
    };
    let mut fleet = Fleet::subscribed(server.daemon.sip, size)?;
    println!("publish to lamp, {CHANGE_RATE:.0} changes a second, ms");
    let mut slices = 0;
    let before = lamps(&mut fleet, || {
        slices += 1;
        slices > SLICES_BEFORE
    })?;
    say("without handshakes", before);
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = {
        let (authority, is_over, address) =
            (Arc::clone(authority), Arc::clone(&is_over), server.tls);
        thread::spawn(move || {
            system::step_back();
            let done = Flood::new(address, AT_ONCE)
                .and_then(|flood| flood.run(HANDSHAKES, &authority))
                .map_err(|error| error.to_string());
            is_over.store(true, Ordering::SeqCst);
            done
        })
    };
    let cpu_before = server.daemon.cpu()?;
    let start = Instant::now();
    let during = lamps(&mut fleet, || is_over.load(Ordering::SeqCst))?;
    let done = flood.join().map_err(|_| "the flood panicked")??;
    let cpu = server.daemon.cpu()? - cpu_before;
    let p99 = say("during handshakes", during);
    println!(
        "  {HANDSHAKES} handshakes in {:.1} s, {AT_ONCE} at a time; the server's CPU {:.0} us each, the lamps included",
        start.elapsed().as_secs_f64(),
        micros(cpu) / f64::from(HANDSHAKES)
    );
    say("handshake and keepalive", done);
    bars::TLS_HANDSHAKES.report(p99);
    Ok(())
}

/// Changes lamps until `is_over` says so; microseconds from PUBLISH to lamp.
fn lamps(fleet: &mut Fleet, mut is_over: impl FnMut() -> bool) -> Result<Vec<f64>, Error> {
    let mut all = Vec::new();
    while !is_over() {
        let outcome = scenario::open_loop(fleet, Stimulus::Publish, CHANGE_RATE, SLICE)?;
        let missing = outcome.due.saturating_sub(outcome.arrived);
        all.extend(outcome.last);
        all.extend((0..missing).map(|_| MISSING));
    }
    Ok(all)
}

/// Prints quantiles of microseconds in milliseconds; the p99.
fn say(what: &str, mut all: Vec<f64>) -> f64 {
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| pairs::quantile(&mut all, share) / 1000.0);
    println!(
        "  {what:<24} p50 {p50:7.2}  p99 {p99:7.2}  max {most:7.2}   ({} of them)",
        all.len()
    );
    p99
}
