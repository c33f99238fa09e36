//! What a subscription weighs, and what a storm of timers does to a turn (PERF 5, number 7).
//!
//! A million subscriptions to 100,000 presentities (ten watchers each, twenty keys a phone) are
//! made on the real server; its memory after, less its memory before, per subscription. Then, in
//! this process and with the engine alone, 100,000 subscriptions run out within the same second:
//! how long the longest turn took, and what each cost.
//!
//! `cargo bench --bench memory`, about a minute.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use lamplighter::shard::ConnectionId;
use lamplighter::shard::Directory;
use lamplighter::shard::Flow;
use lamplighter::shard::Input;
use lamplighter::shard::Options;
use lamplighter::shard::Outbox;
use lamplighter::shard::Shard;
use lamplighter::shard::ShardId;
use lamplighter::shard::directory::AuthMode;
use lamplighter::shard::directory::Domain;
use lamplighter::sip::Transport;
use lamplighter_bench::Error;
use lamplighter_bench::PHONES_CPU;
use lamplighter_bench::bars;
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::Fleet;
use lamplighter_bench::fleet::Size;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::sip;
use lamplighter_bench::sip::Subscribe;
use lamplighter_bench::system;

const SUBSCRIPTIONS: u32 = 1_000_000;
const STORM: u32 = 100_000;

fn main() -> Result<(), Error> {
    storm()?;
    system::pin(PHONES_CPU);
    let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
    let size = Size {
        ports: lamplighter_bench::PORTS,
        watchers: SUBSCRIPTIONS,
        presentities: SUBSCRIPTIONS / 10,
        keys_per_phone: 20,
    };
    let mut fleet = Fleet::new(daemon.sip, size)?;
    // Buffers and rings take their room before the table does.
    fleet.subscribe(2_000)?;
    let before = system::memory_octets(daemon.process())?;
    println!("memory of the server, proportional set size");
    let mut at = 2_000;
    for step in [10_000, 100_000, SUBSCRIPTIONS] {
        fleet.subscribe(step - at)?;
        at = step;
        let octets = system::memory_octets(daemon.process())? - before;
        let each = octets as f64 / f64::from(at - 2_000);
        println!(
            "  {at:>9} subscriptions {:>6} MiB, {each:7.0} octets each",
            octets >> 20
        );
        if at == SUBSCRIPTIONS {
            bars::MEMORY.report(each);
        }
    }
    Ok(())
}

fn storm() -> Result<(), Error> {
    let epoch = Instant::now();
    let mut options = Options::new(ShardId(0), 1, epoch, [7; 32]);
    options.notify_rate_per_phone = 0;
    let mut directory = Directory::default();
    directory.add_domain(domain(), &[])?;
    let mut shard = Shard::new(options, Arc::new(directory), [1; 32]);
    let mut out = Outbox::default();
    let local = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 5060));
    let mut octets = Vec::new();
    let mut ok = Vec::new();
    let mut now = epoch;
    for watcher in 0..STORM {
        // They come over one second, so they go over one second.
        now = epoch + Duration::from_secs(1) * watcher / STORM;
        let peer = SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + watcher), 5060));
        let flow = Flow {
            transport: Transport::Udp,
            listener: 0,
            connection: ConnectionId::default(),
            local,
            peer,
        };
        octets.clear();
        subscribe(watcher, peer).write(&mut octets);
        shard.handle(
            Input::Datagram {
                flow,
                bytes: &octets,
            },
            now,
            &mut out,
        );
        ok.clear();
        let notify = out
            .transmits
            .last()
            .map(|transmit| out.pieces(transmit).concat());
        sip::write_ok(&mut ok, &notify.ok_or("no NOTIFY came")?);
        shard.handle(Input::Datagram { flow, bytes: &ok }, now, &mut out);
        out.clear();
    }
    let (mut turns, mut sum, mut longest, mut notifies) = (0, Duration::ZERO, Duration::ZERO, 0);
    let before = system::thread_cpu();
    // Past expiry and grace, but not so far that the unanswered last NOTIFYs are sent again.
    let end = epoch + Duration::from_secs(3600 + 34);
    while let Some(due) = shard.poll_timeout().filter(|due| *due <= end) {
        now = now.max(due);
        let start = system::thread_cpu();
        shard.handle_timeout(now, &mut out);
        let turn = system::thread_cpu() - start;
        notifies += out.transmits.len();
        out.clear();
        turns += 1;
        sum += turn;
        longest = longest.max(turn);
    }
    let all = system::thread_cpu() - before;
    println!("{STORM} subscriptions run out within a second, the engine alone");
    println!(
        "  {notifies} last NOTIFYs in {turns} turns, {:.3} us each",
        micros(all) / f64::from(STORM)
    );
    println!(
        "  mean turn {:.1} us, longest {:.1} us",
        micros(sum) / f64::from(turns.max(1)),
        micros(longest)
    );
    Ok(())
}

fn subscribe<'a>(watcher: u32, local: SocketAddr) -> Subscribe<'a> {
    Subscribe {
        watcher,
        presentity: watcher / 10,
        phone: watcher,
        local,
        transport: "UDP",
        to_tag: "",
        target: "",
        cseq: 1,
        expires: 3600,
    }
}

fn domain() -> Domain {
    Domain {
        name: sip::DOMAIN.to_owned(),
        auth: AuthMode::None,
        trusted: Vec::new(),
        reveal_number: false,
        max_call_duration: Duration::from_secs(7200),
        min_expires: Duration::from_secs(60),
        max_expires: Duration::from_secs(7200),
        open: true,
        sha256: false,
    }
}
