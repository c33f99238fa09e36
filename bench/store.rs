//! The cost of durability: the time from a record to the disk, what a SUBSCRIBE costs its shard with a
//! store and without, and the recovery of a million subscriptions.
//!
//! - Records of 300 octets are handed to the store at 10,000 and 30,000 a second; the time from the
//!   record to its commit. Depends on the disk, and on a second core.
//! - Two servers, one that acknowledges after its record is durable, one without a store, take new
//!   subscriptions in turns: CPU of the shard's thread for each, and how many a second.
//! - A server with a million subscriptions is killed. The time from its next start until it serves SIP,
//!   and until all of them are recovered, against a bare `SELECT` of the same rows.
//!
//! `cargo bench --bench store`, about a minute; `-- --small` recovers 100,000.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use lamplighter::store::data_directory::DataDirectory;
use lamplighter::store::schema::Table;
use lamplighter::store::writer::OnFailure;
use lamplighter::store::{Store, StoreOptions};
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size};
use lamplighter_bench::pairs::{Side, quantile};
use lamplighter_bench::scenario::micros;
use lamplighter_bench::{Error, PHONES_CPU, SERVER_CPU, bars, pairs, scenario, system};
use rusqlite::{Connection, OpenFlags};

const RECORD: [u8; 300] = [7; 300];
/// Places that the records are written to.
const PLACES: i64 = 200_000;
/// How long records are written at each rate.
const WRITING: Duration = Duration::from_secs(8);
/// A turn of the shard that writes them.
const TURN: Duration = Duration::from_micros(100);
/// Pairs of slices.
const PAIRS: usize = 11;
/// New subscriptions of one slice.
const SUBSCRIPTIONS: u32 = 2_000;
const RECOVERED: u32 = 1_000_000;
const RECOVERED_SMALL: u32 = 100_000;
/// Longest time until all subscriptions are back.
const RECOVERY_MAX: Duration = Duration::from_secs(120);
/// Scans of the rows.
const SCANS: usize = 3;

fn main() -> Result<(), Error> {
    let is_small = std::env::args().any(|argument| argument == "--small");
    let directory = Scratch::new()?;
    system::pin(SERVER_CPU);
    println!("from a record to its commit");
    bars::DURABLE_10.report(to_durable(&directory.0.join("10"), 10_000)?);
    bars::DURABLE_30.report(to_durable(&directory.0.join("30"), 30_000)?);
    system::pin(PHONES_CPU);
    subscribe(&directory.0.join("synced"))?;
    recover(
        &directory.0.join("recovered"),
        if is_small { RECOVERED_SMALL } else { RECOVERED },
    )
}

/// A directory on a disk, removed at the end: a file system in memory would be no measure.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Error> {
        let name = format!("lamplighter-bench-store-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover directory does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Hands records over at a rate, and polls for their commits as a shard does. Returns the 99th
/// percentile of the time from a record to its commit, in milliseconds.
fn to_durable(directory: &Path, rate: u32) -> Result<f64, Error> {
    let options = StoreOptions {
        shards: 1,
        on_failure: OnFailure::Refuse,
        octets_max: None,
    };
    // The threads of the store inherit the CPUs of the thread that starts them.
    let open = || Store::open(DataDirectory::open(directory)?, options, |_| ());
    let store = system::anywhere(open)??;
    let handle = store.handle();
    let total = (f64::from(rate) * WRITING.as_secs_f64()) as usize;
    let mut written: Vec<Instant> = Vec::with_capacity(total);
    let mut latencies: Vec<f64> = Vec::with_capacity(total);
    let start = Instant::now();
    let mut turn = start;
    while latencies.len() < total {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as usize;
        let mut batch = handle.batch(0);
        while written.len() < due.min(total) {
            written.push(Instant::now());
            let place = written.len() as i64 % PLACES;
            batch.put(Table::Dialog, place, &RECORD);
        }
        batch.through = written.len() as u64;
        if !batch.is_empty() && handle.submit(batch).is_err() {
            return Err("the store cannot keep up".into());
        }
        let durable = handle.durable(0) as usize;
        let newly = written.get(latencies.len()..durable).unwrap_or_default();
        let milliseconds = newly.iter().map(|written| micros(written.elapsed()) / 1e3);
        latencies.extend(milliseconds);
        turn += TURN;
        while Instant::now() < turn {
            std::hint::spin_loop();
        }
    }
    let commits = handle.commits();
    drop(store.close());
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(&mut latencies, share));
    let max = quantile(&mut latencies, 1.0);
    println!(
        "  {rate:>6}/s: p50 {p50:.3} ms, p99 {p99:.3} ms, longest {max:.1} ms, {:.0} records a commit",
        total as f64 / commits as f64
    );
    Ok(p99)
}

/// CPU of the shard's thread, and the rate, of new subscriptions with a store and without.
fn subscribe(directory: &Path) -> Result<(), Error> {
    let binary = env!("CARGO_BIN_EXE_lamplighter");
    let synced = Daemon::start_with(binary, 1, &in_directory(directory))?;
    let none = Daemon::start(binary)?;
    let size = Size {
        ports: lamplighter_bench::PORTS,
        watchers: SUBSCRIPTIONS,
        presentities: SUBSCRIPTIONS / 10,
        keys_per_phone: 20,
    };
    let mut with = Fleet::new(synced.sip, size)?;
    let mut without = Fleet::new(none.sip, size)?;
    for fleet in [&mut with, &mut without] {
        fleet.subscribe(SUBSCRIPTIONS)?;
        fleet.unsubscribe(0..SUBSCRIPTIONS)?;
    }
    let (mut rates, mut rates_without) = (Vec::new(), Vec::new());
    let cpu = pairs::abba(PAIRS, |side| match side {
        Side::A => slice(&mut with, &synced, &mut rates),
        Side::B => slice(&mut without, &none, &mut rates_without),
    })?;
    let slower = pairs::median(&mut rates) / pairs::median(&mut rates_without);
    println!("a new subscription, CPU of the shard's thread");
    println!(
        "  synced {:7.3} us, without a store {:7.3} us",
        cpu.a, cpu.b
    );
    println!("  synced / without                  {cpu}");
    println!("  subscriptions a second, synced / without  {slower:.3}");
    bars::SYNCED_CPU.report(cpu.a - cpu.b);
    bars::SYNCED_RATE.report(slower);
    Ok(())
}

fn slice(fleet: &mut Fleet, daemon: &Daemon, rates: &mut Vec<f64>) -> Result<f64, Error> {
    let work = scenario::measure(
        fleet,
        || daemon.shard_cpu(),
        |fleet| {
            fleet.refresh(0..SUBSCRIPTIONS)?;
            Ok(u64::from(SUBSCRIPTIONS))
        },
    )?;
    rates.push(work.changes as f64 / work.time.as_secs_f64());
    fleet.unsubscribe(0..SUBSCRIPTIONS)?;
    Ok(micros(work.cpu) / work.changes as f64)
}

fn in_directory(directory: &Path) -> String {
    format!("[store]\ndirectory = {directory:?}")
}

/// The restart of a server that was killed, against a scan of its rows.
fn recover(directory: &Path, subscriptions: u32) -> Result<(), Error> {
    let shards = system::cpus().min(2);
    let binary = env!("CARGO_BIN_EXE_lamplighter");
    let mut daemon = Daemon::start_with(binary, shards, &in_directory(directory))?;
    let size = Size {
        ports: lamplighter_bench::PORTS,
        watchers: subscriptions,
        presentities: subscriptions / 10,
        keys_per_phone: 20,
    };
    let mut fleet = Fleet::new(daemon.sip, size)?;
    fleet.subscribe(subscriptions)?;
    daemon.kill()?;
    let mut scans = Vec::with_capacity(SCANS);
    let mut rows = 0;
    for _ in 0..SCANS {
        let start = Instant::now();
        rows = scan(&directory.join("state.sqlite"))?;
        scans.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let scanned = pairs::median(&mut scans);
    let start = Instant::now();
    daemon.start_again()?;
    let sip = daemon.sip;
    let serving = thread::scope(|scope| {
        let serving = scope.spawn(move || first_response(sip, start));
        let ready = daemon.wait_until_ready(RECOVERY_MAX);
        let serving = serving.join().map_err(|_| "the prober panicked")??;
        ready.map(|()| serving)
    })?;
    let recovered = start.elapsed().as_secs_f64() * 1e3;
    println!("{rows} rows of {subscriptions} subscriptions, {shards} shards, after SIGKILL");
    println!("  a bare SELECT of the rows    {scanned:7.0} ms");
    println!("  from the start to serving    {serving:7.0} ms");
    println!("  from the start to recovered  {recovered:7.0} ms");
    bars::SERVING.report(serving);
    bars::RECOVERY.report(recovered / scanned);
    Ok(())
}

/// Reads all rows and nothing else. Returns their number.
fn scan(file: &Path) -> Result<u64, Error> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut read = 0;
    for text in [
        "SELECT number, record FROM presentity",
        "SELECT place, record FROM dialog",
    ] {
        let mut statement = connection.prepare(text)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            let record = row.get_ref(1)?.as_blob()?;
            std::hint::black_box((key, record));
            read += 1;
        }
    }
    Ok(read)
}

/// Milliseconds from `start` until the server responds to an OPTIONS.
fn first_response(server: SocketAddr, start: Instant) -> Result<f64, &'static str> {
    let failed = |_| "the prober has no socket";
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    socket
        .set_read_timeout(Some(Duration::from_millis(5)))
        .map_err(failed)?;
    let local = socket.local_addr().map_err(failed)?;
    let mut octets = [0; 2048];
    for number in 0..20_000 {
        let request = format!(
            "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKprobe{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:probe@{local}>;tag=p{number}\r\nTo: <sip:{server}>\r\n\
             Call-ID: probe{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        // Until the server listens, the kernel refuses.
        let _ = socket.send_to(request.as_bytes(), server);
        match socket.recv(&mut octets) {
            Ok(length) if octets[..length].starts_with(b"SIP/2.0 200") => {
                return Ok(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok(_) => return Err("the server refuses OPTIONS"),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    Err("the server does not respond")
}
