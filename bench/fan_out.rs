//! The cost of a NOTIFY when one lamp changes and a thousand phones watch it.
//!
//! One presentity, 1,000 watchers on 1,000 ports, every NOTIFY acknowledged; a PUBLISH changes the
//! lamp again and again. Beside it, in turns and with the same phones, the blaster sends the very
//! octets of one such fan-out with `sendmmsg` and reads the acknowledgements with `recvmmsg`: the
//! kernel's share, which any server pays. CPU time of the one thread that works, on the same CPU.
//!
//! `cargo bench --bench fan_out`, half a minute. `-- --hold 20` keeps the fan-out going for 20
//! seconds and prints the process id for `perf record`.

use std::time::{Duration, Instant};

use lamplighter_bench::blaster::{Blast, Blaster};
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario::Work;
use lamplighter_bench::{Error, PHONES_CPU, bars, pairs, scenario, system};

const WATCHERS: u32 = 1000;
/// Pairs of slices.
const PAIRS: usize = 21;
/// Fan-outs of one slice: 30 ms and more.
const CHANGES: u64 = 10;
/// How much the work of the two sides may differ.
const DIFFERENCE_MAX: f64 = 0.001;

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
    let mut fleet = Fleet::subscribed(daemon.sip, Size::fan_out(1, WATCHERS))?;
    if let Some(seconds) = held() {
        return hold(&daemon, &mut fleet, seconds);
    }

    // A warm server's own octets are what the blaster sends.
    scenario::closed_loop(&mut fleet, Stimulus::Publish, 200, 1)?;
    fleet.captured = Some(Vec::new());
    scenario::closed_loop(&mut fleet, Stimulus::Publish, 1, 1)?;
    let octets = fleet.captured.take().unwrap_or_default();
    let blaster = Blaster::start(Blast::Each(octets))?;

    let drops = system::receive_buffer_errors();
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let acknowledged = pairs::abba(PAIRS, |side| {
        let work = slice(&mut fleet, &daemon, &blaster, side)?;
        match side {
            Side::A => floor.push(work),
            Side::B => ours.push(work),
        }
        Ok(work.cpu_per_notify())
    })?;
    check_equal_work(&floor, &ours)?;

    // The phones do not respond: only sending is measured.
    fleet.is_mute = true;
    let mut mute = Vec::new();
    for _ in 0..PAIRS {
        mute.push(slice(&mut fleet, &daemon, &blaster, Side::A)?.cpu_per_notify());
    }

    let octets = ours.iter().map(|work| work.octets).sum::<u64>()
        / ours.iter().map(|work| work.notifies).sum::<u64>();
    println!(
        "fan-out to {WATCHERS} watchers on as many ports, NOTIFYs of {octets} octets, CPU per NOTIFY"
    );
    println!(
        "  blaster, no responses          {:7.3} us",
        pairs::median(&mut mute)
    );
    println!("  blaster, every one acknowledged{:7.3} us", acknowledged.a);
    println!("  lamplighter, the same work     {:7.3} us", acknowledged.b);
    println!("  floor / ours                   {acknowledged}");
    println!(
        "  datagrams dropped meanwhile    {:7}",
        system::receive_buffer_errors() - drops
    );
    bars::FAN_OUT.report(acknowledged.ratio);
    Ok(())
}

fn slice(fleet: &mut Fleet, daemon: &Daemon, blaster: &Blaster, side: Side) -> Result<Work, Error> {
    let work =
        |stimulus| move |fleet: &mut Fleet| scenario::closed_loop(fleet, stimulus, CHANGES, 1);
    match side {
        Side::A => {
            let stimulus = Stimulus::Blast(blaster.address);
            scenario::measure(fleet, || blaster.cpu(), work(stimulus))
        }
        Side::B => scenario::measure(fleet, || daemon.cpu(), work(Stimulus::Publish)),
    }
}

fn check_equal_work(floor: &[Work], ours: &[Work]) -> Result<(), Error> {
    let octets = |all: &[Work]| all.iter().map(|work| work.octets).sum::<u64>() as f64;
    let difference = (octets(ours) / octets(floor) - 1.0).abs();
    // A few digits of version and CSeq grow longer meanwhile.
    if difference > DIFFERENCE_MAX * 5.0 {
        return Err(format!("not the same work: octets differ by {difference:.4}").into());
    }
    let notifies = |all: &[Work]| all.iter().map(|work| work.notifies).sum::<u64>() as f64;
    let difference = (notifies(ours) / notifies(floor) - 1.0).abs();
    if difference > DIFFERENCE_MAX {
        return Err(format!("not the same work: NOTIFYs differ by {difference:.4}").into());
    }
    Ok(())
}

/// The seconds of `--hold`.
fn held() -> Option<u64> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == "--hold")?;
    arguments.next()?.parse().ok()
}

fn hold(daemon: &Daemon, fleet: &mut Fleet, seconds: u64) -> Result<(), Error> {
    println!("process {}: profile it for {seconds} s", daemon.process());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        scenario::closed_loop(fleet, Stimulus::Publish, 10, 1)?;
    }
    Ok(())
}
