//! The cost of a NOTIFY when ten thousand phones are behind one session border controller.
//!
//! 10,000 watchers of ten presentities, all behind one address and port, over UDP and over one TCP
//! connection. Over UDP a NOTIFY in a GSO batch of equally long ones is compared with one sent on
//! its own, by a server configured without GSO. Both are answered in GSO batches; otherwise the
//! phones would be slower than the server, and the measurement would mostly show the cost of waking
//! it for each response. Messages received in GSO batches are also read in full. Over TCP a NOTIFY
//! is compared with a raw `write` of 64 of the same messages. For orientation, the blaster's own
//! cost with UDP GSO (64 segments a call) and without. CPU time, in turns.
//!
//! `cargo bench --bench one_sbc`, under a minute; `-- --tcp` runs only the connection.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use lamplighter_bench::blaster::{Blast, Blaster};
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::sip::Subscribe;
use lamplighter_bench::{Error, PHONES_CPU, SERVER_CPU, bars, pairs, scenario, sip, system};

const WATCHERS: u32 = 10_000;
const PRESENTITIES: u32 = 10;
/// Pairs of slices.
const PAIRS: usize = 31;
/// Fan-outs of one slice.
const CHANGES: u64 = 10;
/// NOTIFYs in one raw write, and segments of one GSO call.
const SEGMENTS: usize = 64;

const ONE_PORT: Size = Size {
    ports: 1,
    watchers: WATCHERS,
    presentities: PRESENTITIES,
    keys_per_phone: 1,
};

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    if !std::env::args().any(|argument| argument == "--tcp") {
        udp()?;
    }
    tcp()
}

fn udp() -> Result<(), Error> {
    let binary = env!("CARGO_BIN_EXE_lamplighter");
    let segmented = Daemon::start(binary)?;
    let plain = Daemon::start_with(binary, 1, "[limits]\nsegment = \"0 B\"")?;
    let mut one = Fleet::subscribed(segmented.sip, ONE_PORT)?;
    let mut each = Fleet::subscribed(plain.sip, ONE_PORT)?;
    one.respond_in_segments()?;
    each.respond_in_segments()?;
    let publish = |fleet: &mut Fleet| scenario::closed_loop(fleet, Stimulus::Publish, CHANGES, 1);
    let ratio = pairs::abba(PAIRS, |side| {
        let work = match side {
            Side::A => scenario::measure(&mut one, || segmented.cpu(), publish)?,
            Side::B => scenario::measure(&mut each, || plain.cpu(), publish)?,
        };
        Ok(work.cpu_per_notify())
    })?;
    println!("{WATCHERS} watchers behind one address, CPU per acknowledged NOTIFY");
    println!("  UDP, plain                     {:7.3} us", ratio.b);
    println!("  UDP, in GSO batches            {:7.3} us", ratio.a);
    println!("  GSO / plain                    {ratio}");
    verify(&mut one, &segmented)?;
    bars::ONE_SBC_UDP.report(ratio.ratio);

    // The best possible gain: the same datagrams from the blaster, one by one and as segments.
    one.captured = Some(Vec::new());
    scenario::closed_loop(&mut one, Stimulus::Publish, 1, 1)?;
    let datagrams = one.captured.take().unwrap_or_default();
    let to = datagrams.first().ok_or("no NOTIFY came")?.0;
    let octets = datagrams.iter().map(|(_, octets)| octets.clone()).collect();
    let single = Blaster::start(Blast::Each(datagrams))?;
    let segments = Blaster::start(Blast::Segments(to, octets, SEGMENTS))?;
    // The captured fan-out is that of the first presentity.
    let blast = |blaster: &Blaster| {
        let stimulus = Stimulus::Blast(blaster.address);
        move |fleet: &mut Fleet| {
            for _ in 0..CHANGES {
                fleet.change(stimulus, 0, std::time::Instant::now())?;
                let seen = fleet.latencies.len();
                fleet.pump(|fleet| fleet.latencies.len() > seen)?;
            }
            Ok(CHANGES)
        }
    };
    let gso = pairs::abba(PAIRS, |side| {
        let blaster = if side == Side::A { &segments } else { &single };
        let work = scenario::measure(&mut one, || blaster.cpu(), blast(blaster))?;
        Ok(work.cpu_per_notify())
    })?;
    println!("  blaster, one by one            {:7.3} us", gso.b);
    println!("  blaster, {SEGMENTS} segments a call   {:7.3} us", gso.a);
    println!("  segments / one by one          {gso}");
    Ok(())
}

/// One more fan-out, with each datagram read in full: `rsip` agrees that it is a NOTIFY, its length
/// is right, and every watcher of the presentity has one.
fn verify(fleet: &mut Fleet, daemon: &Daemon) -> Result<(), Error> {
    fleet.captured = Some(Vec::new());
    scenario::closed_loop(fleet, Stimulus::Publish, 1, 1)?;
    let datagrams = fleet.captured.take().unwrap_or_default();
    let (mut calls, mut lengths, mut spaces) = (HashSet::new(), HashSet::new(), 0);
    for (_, octets) in &datagrams {
        let request = rsip::Request::try_from(octets.as_slice())?;
        let is_whole = sip::message_octets(octets) == Some(octets.len());
        if request.method != rsip::Method::Notify || !is_whole {
            return Err(format!("no whole NOTIFY: {}", octets.escape_ascii()).into());
        }
        calls.extend(sip::header(octets, "Call-ID").map(<[u8]>::to_vec));
        lengths.insert(octets.len());
        let padding = memchr::memmem::find(octets, b"User-Agent:").map(|at| &octets[at + 12..]);
        spaces += padding.map_or(0, |rest| rest.len() - rest.trim_ascii_start().len());
    }
    if calls.len() as u32 != WATCHERS / PRESENTITIES {
        return Err(format!("{} of the watchers were notified", calls.len()).into());
    }
    println!(
        "  {} datagrams read in full: {} lengths, {:.1} octets of padding each",
        datagrams.len(),
        lengths.len(),
        spaces as f64 / datagrams.len() as f64
    );
    let metrics = daemon.get("/metrics")?;
    let shown = ["datagrams_sent", "segment", "turn_nanoseconds"];
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        if shown.iter().any(|name| line.contains(name)) {
            println!("  {line}");
        }
    }
    Ok(())
}

fn tcp() -> Result<(), Error> {
    let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
    // The PBX publishes by UDP; the watchers are the trunk's.
    let mut pbx = Fleet::new(
        daemon.sip,
        Size {
            watchers: 0,
            ..ONE_PORT
        },
    )?;
    pbx.publish_all()?;
    let mut trunk = Trunk::new(TcpStream::connect(daemon.sip)?)?;
    for watcher in 0..WATCHERS {
        trunk.subscribe(watcher)?;
        if watcher % 100 == 99 {
            trunk.read_until(u64::from(watcher) + 1)?;
        }
    }
    let octets = trunk.last.clone();
    let mut raw = RawWriter::start(octets.repeat(SEGMENTS))?;
    let each = u64::from(WATCHERS / PRESENTITIES);
    let ratio = pairs::abba(PAIRS, |side| match side {
        Side::A => {
            rest(|| daemon.cpu())?;
            let (before, seen) = (daemon.cpu()?, trunk.notifies);
            for change in 0..CHANGES {
                let presentity = (change % u64::from(PRESENTITIES)) as u32;
                pbx.change(Stimulus::Publish, presentity, std::time::Instant::now())?;
                trunk.read_until(seen + (change + 1) * each)?;
                pbx.pump(|pbx| !pbx.is_waiting(presentity))?;
            }
            rest(|| daemon.cpu())?;
            Ok(micros(daemon.cpu()? - before) / (CHANGES * each) as f64)
        }
        Side::B => raw.slice(CHANGES * each / SEGMENTS as u64),
    })?;
    println!("  TCP, one connection            {:7.3} us", ratio.a);
    println!("  raw write, {SEGMENTS} NOTIFYs each    {:7.3} us", ratio.b);
    println!("  ours / raw write               {ratio}");
    bars::ONE_SBC_TCP.report(ratio.ratio);
    Ok(())
}

/// Waits until a server uses no more CPU time.
fn rest(cpu: impl Fn() -> Result<Duration, Error>) -> Result<(), Error> {
    let mut last = cpu()?;
    for _ in 0..25 {
        thread::sleep(Duration::from_millis(4));
        let now = cpu()?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(())
}

/// The SBC's end of one connection.
struct Trunk {
    stream: TcpStream,
    local: std::net::SocketAddr,
    stock: Vec<u8>,
    chunk: Vec<u8>,
    responses: Vec<u8>,
    notifies: u64,
    /// The last NOTIFY.
    last: Vec<u8>,
}

impl Trunk {
    fn new(stream: TcpStream) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self {
            local: stream.local_addr()?,
            stream,
            stock: Vec::new(),
            chunk: vec![0; 1 << 20],
            responses: Vec::new(),
            notifies: 0,
            last: Vec::new(),
        })
    }

    fn subscribe(&mut self, watcher: u32) -> Result<(), Error> {
        let request = Subscribe {
            watcher,
            presentity: watcher % PRESENTITIES,
            phone: watcher,
            local: self.local,
            transport: "TCP",
            to_tag: "",
            target: "",
            cseq: 1,
            expires: 3600,
        };
        self.responses.clear();
        request.write(&mut self.responses);
        self.stream.write_all(&self.responses)?;
        Ok(())
    }

    /// Reads and acknowledges until so many NOTIFYs have come since the beginning.
    fn read_until(&mut self, notifies: u64) -> Result<(), Error> {
        while self.notifies < notifies {
            let count = self.stream.read(&mut self.chunk)?;
            if count == 0 {
                return Err("the server has closed the connection".into());
            }
            self.stock.extend_from_slice(&self.chunk[..count]);
            self.responses.clear();
            let mut start = 0;
            while let Some(octets) = sip::message_octets(&self.stock[start..]) {
                let message = &self.stock[start..start + octets];
                if message.starts_with(b"NOTIFY") {
                    self.notifies += 1;
                    sip::write_ok(&mut self.responses, message);
                    self.last.clear();
                    self.last.extend_from_slice(message);
                }
                start += octets;
            }
            self.stock.drain(..start);
            self.stream.write_all(&self.responses)?;
        }
        Ok(())
    }
}

/// The reference: a thread on the server's CPU that writes the same octets to a connection whose
/// other end is read.
struct RawWriter {
    orders: std::sync::mpsc::Sender<u64>,
    costs: std::sync::mpsc::Receiver<Duration>,
    sink: TcpStream,
    octets: u64,
    chunk: Vec<u8>,
}

impl RawWriter {
    fn start(text: Vec<u8>) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let mut stream = TcpStream::connect(listener.local_addr()?)?;
        stream.set_nodelay(true)?;
        let (sink, _) = listener.accept()?;
        let (orders, receiver) = std::sync::mpsc::channel::<u64>();
        let (sender, costs) = std::sync::mpsc::channel();
        let octets = text.len() as u64;
        thread::spawn(move || {
            system::pin(SERVER_CPU);
            for writes in receiver {
                let before = system::thread_cpu();
                for _ in 0..writes {
                    if stream.write_all(&text).is_err() {
                        return;
                    }
                }
                if sender.send(system::thread_cpu() - before).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            orders,
            costs,
            sink,
            octets,
            chunk: vec![0; 1 << 20],
        })
    }

    /// Microseconds per NOTIFY of so many writes.
    fn slice(&mut self, writes: u64) -> Result<f64, Error> {
        self.orders.send(writes)?;
        let mut left = writes * self.octets;
        while left > 0 {
            left -= self.sink.read(&mut self.chunk)? as u64;
        }
        Ok(micros(self.costs.recv()?) / (writes * SEGMENTS as u64) as f64)
    }
}
