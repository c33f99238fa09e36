//! The cost of durability: the time from a record to the disk, what a SUBSCRIBE costs its shard with a
//! store and without, and the recovery of a million subscriptions.
//!
//! - Records of 300 octets are handed to the store at 10,000 and 30,000 a second; the time from the
//!   record to its commit. In turns with it, the same records are written over those of a bare file, with
//!   an `fdatasync` every half a millisecond: less time no store can take on this disk, at this moment.
//! - Two servers, one that acknowledges after its record is durable, one without a store, take new
//!   subscriptions in turns: CPU of the shard's thread for each, and time by the clock when many come at
//!   once, with one core for the shard and one for the store and the phones.
//! - A server with a million subscriptions, whose phones have been notified of everything, is killed. The time
//!   from its next start until it serves SIP; until it has answered a refresh, with its NOTIFY, in each of
//!   200 dialogs over the whole range, so that it serves them all; and until all are loaded. The last two
//!   against a bare `SELECT` of the same rows.
//!
//! `cargo bench --bench store`, some two minutes; `-- --small` recovers 100,000. `-- --recovery` does
//! only that, `-- --subscriptions` only the second part.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use lamplighter::store::data_directory::DataDirectory;
use lamplighter::store::schema::Table;
use lamplighter::store::writer::{OnFailure, StoreHandle};
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
/// How long records are written at each rate before the first measurement: the log gets its length.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long records are written to the store, and to the bare file, in one turn of each.
const WRITING: Duration = Duration::from_secs(2);
/// Turns of each.
const TURNS_TAKEN: usize = 4;
/// Sleep of the shard between two of its turns.
const TURN: Duration = Duration::from_micros(50);
/// Time between two writes to the bare file.
const BARE_INTERVAL: Duration = Duration::from_micros(500);
/// Octets of the bare file.
const BARE_OCTETS: u64 = 16 << 20;
/// Pairs of slices.
const PAIRS: usize = 11;
/// New subscriptions of one slice.
const SUBSCRIPTIONS: u32 = 2_000;
/// What the names of the store's threads begin with.
const STORE_THREADS: &[&str] = &["store", "checkpoint"];
const RECOVERED: u32 = 1_000_000;
const RECOVERED_SMALL: u32 = 100_000;
/// Longest time until all subscriptions are back.
const RECOVERY_MAX: Duration = Duration::from_secs(120);
/// Scans of the rows.
const SCANS: usize = 3;
/// How long after the last SUBSCRIBE the server knows by its records alone that all phones are up to date.
const TOLD: Duration = Duration::from_secs(75);
/// Dialogs that are refreshed as soon as SIP is served, and later at once until all are loaded.
const SAMPLED: u32 = 200;
const SAMPLED_AT_ONCE: u32 = 20;
/// Between two samples.
const SAMPLE_PAUSE: Duration = Duration::from_millis(20);

fn main() -> Result<(), Error> {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let is_small = has("--small");
    let directory = Scratch::new()?;
    let recovered = if is_small { RECOVERED_SMALL } else { RECOVERED };
    if has("--subscriptions") {
        system::pin(PHONES_CPU);
        return subscribe(&directory.0.join("subscriptions"));
    }
    if has("--recovery") {
        system::pin(PHONES_CPU);
        return recover(&directory.0.join("recovered"), recovered);
    }
    system::pin(SERVER_CPU);
    println!("from a record to its commit");
    bars::DURABLE_10.report(to_durable(&directory.0.join("10"), 10_000)?);
    bars::DURABLE_30.report(to_durable(&directory.0.join("30"), 30_000)?);
    system::pin(PHONES_CPU);
    subscribe(&directory.0.join("synced"))?;
    recover(&directory.0.join("recovered"), recovered)
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

/// Writes records at a rate, to a store and to a bare file in turns. Returns the 99th percentile of the
/// time from a record to its commit, in milliseconds.
fn to_durable(directory: &Path, rate: u32) -> Result<f64, Error> {
    let options = StoreOptions {
        shards: 1,
        on_failure: OnFailure::Refuse,
        octets_max: None,
        memory: directory.to_path_buf(),
    };
    // The threads of the store inherit the CPUs of the thread that starts them.
    let open = || Store::open(DataDirectory::open(directory)?, options, |_| ());
    let store = system::anywhere(open)??;
    let handle = store.handle();
    let mut bare = Bare::new(&directory.join("bare"))?;
    let mut written = 0;
    write_to_store(&handle, &mut written, rate, WARM_UP, &mut Vec::new());
    let (mut latencies, mut floor) = (Vec::new(), Vec::new());
    let (commits, before) = (handle.commits(), written);
    for _ in 0..TURNS_TAKEN {
        write_to_store(&handle, &mut written, rate, WRITING, &mut latencies);
        bare.write(rate, WRITING, &mut floor)?;
    }
    let commits = (handle.commits() - commits) as f64;
    drop(store.close());
    let records = (written - before) as f64 / commits;
    let p99 = quantile(&mut latencies, 0.99);
    println!("  {rate:>6}/s, {records:.0} records a commit");
    for (what, latencies) in [("store", &mut latencies), ("a bare file", &mut floor)] {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(latencies, share));
        println!("  {what:>14}: p50 {p50:.3} ms, p99 {p99:.3} ms, longest {max:.1} ms");
    }
    Ok(p99)
}

/// Hands records over at a rate, and looks for their commits as a shard does; adds the time from each
/// record to its commit, in milliseconds. `written` is the number of records so far.
fn write_to_store(
    handle: &StoreHandle,
    written: &mut u64,
    rate: u32,
    time: Duration,
    latencies: &mut Vec<f64>,
) {
    let total = (f64::from(rate) * time.as_secs_f64()) as usize;
    let (first, start) = (*written, Instant::now());
    let mut handed_over: Vec<Instant> = Vec::with_capacity(total);
    let (mut durable, mut refused) = (0, None);
    while durable < total {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as usize;
        // A batch that found the queue full is handed over with what came since, as a shard does.
        let mut batch = refused.take().unwrap_or_else(|| handle.batch(0));
        while handed_over.len() < due.min(total) {
            handed_over.push(Instant::now());
            *written += 1;
            batch.put(Table::Dialog, *written as i64 % PLACES, &RECORD);
        }
        batch.through = *written;
        if !batch.is_empty() {
            refused = handle.submit(batch).err();
        }
        let known = durable;
        durable = handle.durable(0).saturating_sub(first) as usize;
        let newly = handed_over.get(known..durable).unwrap_or_default();
        latencies.extend(newly.iter().map(|at| micros(at.elapsed()) / 1e3));
        thread::sleep(TURN);
    }
}

/// A file whose octets are written again and again.
struct Bare {
    file: File,
    place: u64,
}

impl Bare {
    fn new(path: &Path) -> Result<Self, Error> {
        fs::write(path, vec![0; BARE_OCTETS as usize])?;
        let file = File::options().write(true).open(path)?;
        file.sync_all()?;
        Ok(Self { file, place: 0 })
    }

    /// Writes records at a rate; adds the time until each is on the disk, in milliseconds.
    fn write(&mut self, rate: u32, time: Duration, latencies: &mut Vec<f64>) -> Result<(), Error> {
        let start = Instant::now();
        let mut written = 0;
        let mut octets = Vec::new();
        while start.elapsed() < time {
            thread::sleep(BARE_INTERVAL);
            let begun = start.elapsed().as_secs_f64();
            let due = (begun * f64::from(rate)) as usize;
            octets.clear();
            (written..due).for_each(|_| octets.extend_from_slice(&RECORD));
            self.file.write_all_at(&octets, self.place)?;
            self.file.sync_data()?;
            self.place = (self.place + octets.len() as u64) % (BARE_OCTETS / 2);
            let done = start.elapsed().as_secs_f64();
            latencies.extend((written..due).map(|record| {
                let made_at = (record + 1) as f64 / f64::from(rate);
                (done - made_at) * 1e3
            }));
            written = due;
        }
        Ok(())
    }
}

/// What new subscriptions cost with a store and without: CPU of the shard's thread, and time by the
/// clock.
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
    let mut of_store = Vec::new();
    let cpu = pairs::abba(PAIRS, |side| {
        let (fleet, daemon) = match side {
            Side::A => (&mut with, &synced),
            Side::B => (&mut without, &none),
        };
        let [shard, store] = cpu_of_each(fleet, daemon)?;
        of_store.extend((side == Side::A).then_some(store));
        Ok(shard)
    })?;
    let time = pairs::abba(PAIRS, |side| match side {
        Side::A => time_of_each(&mut with, &synced),
        Side::B => time_of_each(&mut without, &none),
    })?;
    let of_store = pairs::median(&mut of_store);
    println!("a new subscription");
    for (what, pairs) in [("CPU of the shard's thread", cpu), ("by the clock", time)] {
        let (a, b) = (pairs.a, pairs.b);
        println!("  {what:>25}: synced {a:7.3} us, without a store {b:7.3} us");
        println!("  {what:>25}: synced / without {pairs}");
    }
    println!("  CPU of the store's threads {of_store:7.3} us");
    bars::SYNCED_CPU.report(cpu.a - cpu.b);
    bars::SYNCED_RATE.report(1.0 / time.ratio);
    Ok(())
}

/// CPU of the shard's thread and of the store's threads for a new subscription, in microseconds.
fn cpu_of_each(fleet: &mut Fleet, daemon: &Daemon) -> Result<[f64; 2], Error> {
    let before = daemon.threads_cpu(STORE_THREADS)?;
    let work = scenario::measure(
        fleet,
        || daemon.shard_cpu(),
        |fleet| {
            fleet.refresh(0..SUBSCRIPTIONS)?;
            Ok(u64::from(SUBSCRIPTIONS))
        },
    )?;
    let store = daemon.threads_cpu(STORE_THREADS)? - before;
    fleet.unsubscribe(0..SUBSCRIPTIONS)?;
    Ok([work.cpu, store].map(|cpu| micros(cpu) / work.changes as f64))
}

/// Time by the clock for each of many new subscriptions that come at once, from when the server begins
/// to read them until the last has its response and its NOTIFY, in microseconds. The SUBSCRIBEs wait in
/// the server's socket, so that the phones, which share a core with the store, do little meanwhile.
fn time_of_each(fleet: &mut Fleet, daemon: &Daemon) -> Result<f64, Error> {
    scenario::settle(fleet, &|| daemon.shard_cpu())?;
    daemon.stop()?;
    let mut start = Instant::now();
    fleet.refresh_at_once(0..SUBSCRIPTIONS, || {
        start = Instant::now();
        daemon.go_on()
    })?;
    let time = start.elapsed();
    fleet.unsubscribe(0..SUBSCRIPTIONS)?;
    Ok(micros(time) / f64::from(SUBSCRIPTIONS))
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
    thread::sleep(TOLD);
    daemon.kill()?;
    let notifies = fleet.tally.notifies;
    let Restart {
        first,
        any,
        slowest,
        all,
        sampled,
    } = restart(&mut daemon, &mut fleet)?;
    // Only now: a scan leaves no log to be read at the start.
    daemon.kill()?;
    let mut scans = Vec::with_capacity(SCANS);
    let mut rows = 0;
    for _ in 0..SCANS {
        let start = Instant::now();
        rows = scan(&directory.join("state.sqlite"))?;
        scans.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let scanned = pairs::median(&mut scans);
    let notified_again = fleet.tally.notifies - notifies - u64::from(sampled);
    println!("{rows} rows of {subscriptions} subscriptions, {shards} shards, after SIGKILL");
    println!("  a bare SELECT of the rows                      {scanned:7.0} ms");
    println!("  from the start to the first response           {first:7.0} ms");
    println!("  ... to the last of {SAMPLED} refreshes with NOTIFY     {any:7.0} ms");
    println!(
        "  the slowest {SAMPLED_AT_ONCE} of {sampled} refreshes, until then   {slowest:7.0} ms"
    );
    println!("  ... to all subscriptions loaded (/readyz)      {all:7.0} ms");
    println!("  phones notified besides those that refreshed   {notified_again:7}");
    bars::SERVING.report(first);
    bars::SERVING_ALL.report(any / scanned);
    bars::RECOVERY.report(all / scanned);
    Ok(())
}

/// A restart, in milliseconds.
struct Restart {
    /// From the start to the first response.
    first: f64,
    /// From the start until all of a sample of refreshes were answered.
    any: f64,
    /// The longest that a small sample took later, while dialogs were loaded.
    slowest: f64,
    /// From the start to `/readyz`.
    all: f64,
    /// Refreshes.
    sampled: u32,
}

/// Starts the server again, and refreshes dialogs until it is ready.
fn restart(daemon: &mut Daemon, fleet: &mut Fleet) -> Result<Restart, Error> {
    let sip = daemon.sip;
    let start = Instant::now();
    let since = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    daemon.start_again()?;
    thread::scope(|scope| {
        let ready = scope.spawn(move || {
            let ready = daemon.wait_until_ready(RECOVERY_MAX);
            ready
                .map(|()| since(start))
                .map_err(|error| error.to_string())
        });
        let first = first_response(sip, start)?;
        let mut sample = Sample(fleet.size().watchers, 1);
        fleet.refresh(sample.next(SAMPLED))?;
        let any = since(start);
        let (mut slowest, mut sampled) = (0.0, SAMPLED);
        while !ready.is_finished() {
            let asked = Instant::now();
            fleet.refresh(sample.next(SAMPLED_AT_ONCE))?;
            slowest = since(asked).max(slowest);
            sampled += SAMPLED_AT_ONCE;
            thread::sleep(SAMPLE_PAUSE);
        }
        let all = ready.join().map_err(|_| "the prober panicked")??;
        Ok(Restart {
            first,
            any,
            slowest,
            all,
            sampled,
        })
    })
}

/// Watchers of so many, in an order that looks random, none twice.
struct Sample(u32, u64);

impl Sample {
    fn next(&mut self, count: u32) -> Vec<u32> {
        let watchers = u64::from(self.0);
        let mut next = |_| {
            // A step without a common divisor with the number of watchers meets each of them once.
            self.1 = (self.1 + 618_033) % watchers;
            self.1 as u32
        };
        (0..count).map(&mut next).collect()
    }
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
