//! The cost of an idle server, and of waking it.
//!
//! With a million idle subscriptions: the share of a core that the server uses. Then single
//! datagrams and bursts of 16, 150 us apart, that need no response (a keepalive of two line ends):
//! CPU time for each, beside a loop of `poll` and `recvmmsg` that does nothing else. In turns.
//!
//! `cargo bench --bench idle`, under a minute. `-- --small` uses 10,000 subscriptions.

use std::time::{Duration, Instant};

use lamplighter_bench::blaster::{Blast, Blaster};
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size};
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::{Error, PHONES_CPU, bars, pairs, scenario, system};

const SUBSCRIPTIONS: u32 = 1_000_000;
const SMALL: u32 = 10_000;
/// How long the idle server is measured.
const IDLE: Duration = Duration::from_secs(8);
/// Between two bursts.
const GAP: Duration = Duration::from_micros(150);
/// Bursts of one slice.
const BURSTS: u32 = 800;
/// Pairs of slices.
const PAIRS: usize = 11;

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
    let is_small = std::env::args().any(|argument| argument == "--small");
    let watchers = if is_small { SMALL } else { SUBSCRIPTIONS };
    let size = Size {
        ports: lamplighter_bench::PORTS,
        watchers,
        presentities: watchers / 10,
        keys_per_phone: 20,
    };
    let mut fleet = Fleet::new(daemon.sip, size)?;
    fleet.subscribe(watchers)?;

    // By now the responses to the last requests and the timers of the last NOTIFYs have expired.
    fleet.serve_for(Duration::from_secs(2))?;
    let (before, start) = (daemon.cpu()?, Instant::now());
    fleet.serve_for(IDLE)?;
    let share = (daemon.cpu()? - before).as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
    println!("idle with {watchers} subscriptions: {share:.3} % of a core");
    if !is_small {
        bars::IDLE.report(share);
    }

    let swallow = Blaster::start(Blast::Swallow)?;
    println!(
        "CPU per datagram that needs no response, {} us apart",
        GAP.as_micros()
    );
    for burst in [1, 16] {
        let ratio = pairs::abba(PAIRS, |side| match side {
            Side::A => {
                fleet.turn_to(daemon.sip);
                wake(&mut fleet, || daemon.cpu(), burst)
            }
            Side::B => {
                fleet.turn_to(swallow.address);
                wake(&mut fleet, || swallow.cpu(), burst)
            }
        })?;
        println!(
            "  bursts of {burst:>2}: ours {:.3} us, poll and recvmmsg {:.3} us",
            ratio.a, ratio.b
        );
        println!("  ours / poll and recvmmsg       {ratio}");
    }
    Ok(())
}

fn wake(
    fleet: &mut Fleet,
    cpu: impl Fn() -> Result<Duration, Error>,
    burst: u32,
) -> Result<f64, Error> {
    let work = scenario::measure(fleet, cpu, |fleet| {
        let mut next = Instant::now();
        for _ in 0..BURSTS {
            for _ in 0..burst {
                fleet.send(b"\r\n\r\n")?;
            }
            next += GAP;
            while Instant::now() < next {
                std::hint::spin_loop();
            }
        }
        Ok(u64::from(BURSTS * burst))
    })?;
    Ok(micros(work.cpu) / work.changes as f64)
}
