//! The cost of a refresh, and whether it grows with the number of subscriptions.
//!
//! Two servers, one with 1,000 subscriptions, one that grows to 100,000 and then 1,000,000 (ten
//! watchers a presentity, twenty keys a phone, 1,000 ports). In turns each refreshes subscriptions
//! from all over its table: SUBSCRIBE, 200, NOTIFY, 200. Also compared with an echo that answers
//! each SUBSCRIBE with two datagrams of the same lengths; and the cost of a new subscription and of
//! its end.
//!
//! `cargo bench --bench refresh`, about a minute, most of it for a million subscriptions.
//! `-- --small` stops at 100,000.

use lamplighter_bench::blaster::{Blast, Blaster};
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size};
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::{Error, PHONES_CPU, bars, pairs, scenario, sip, system};

const SMALL: u32 = 1_000;
const MIDDLE: u32 = 100_000;
const LARGE: u32 = 1_000_000;
/// Pairs of slices.
const PAIRS: usize = 11;
/// Refreshes of one slice.
const REFRESHES: u32 = 2_000;
/// From one refreshed subscription to the next: coprime to every size of the table.
const STRIDE: u64 = 7_919;

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let binary = env!("CARGO_BIN_EXE_lamplighter");
    let (few, many) = (Daemon::start(binary)?, Daemon::start(binary)?);
    let size = |watchers: u32, presentities| Size {
        ports: lamplighter_bench::PORTS,
        watchers,
        presentities,
        keys_per_phone: 20,
    };
    let is_small = std::env::args().any(|argument| argument == "--small");
    let full = if is_small { MIDDLE } else { LARGE };
    let mut small = Fleet::new(few.sip, size(SMALL, SMALL / 10))?;
    small.subscribe(SMALL)?;
    let mut large = Fleet::new(many.sip, size(full, full / 10))?;

    println!("CPU per transaction, two exchanges each (SUBSCRIBE, 200, NOTIFY, 200)");
    let new = scenario::measure(
        &mut large,
        || many.cpu(),
        |fleet| {
            fleet.subscribe(MIDDLE)?;
            Ok(u64::from(MIDDLE))
        },
    )?;
    println!(
        "  new subscription, the first 100 k {:7.3} us",
        micros(new.cpu) / f64::from(MIDDLE)
    );
    beside_echo(&mut small, &few)?;
    let middle = compare(&mut large, &many, MIDDLE, &mut small, &few)?;
    println!("  refresh among 1 k                 {:7.3} us", middle.b);
    println!("  refresh among 100 k               {:7.3} us", middle.a);
    println!("  100 k / 1 k                       {middle}");
    if is_small {
        return Ok(());
    }
    large.subscribe(LARGE - MIDDLE)?;
    let ratio = compare(&mut large, &many, LARGE, &mut small, &few)?;
    println!("  refresh among 1 M                 {:7.3} us", ratio.a);
    println!("  1 M / 1 k                         {ratio}");
    let end = scenario::measure(
        &mut large,
        || many.cpu(),
        |fleet| {
            fleet.unsubscribe(0..REFRESHES * 5)?;
            Ok(u64::from(REFRESHES * 5))
        },
    )?;
    println!(
        "  end of one among 1 M              {:7.3} us",
        micros(end.cpu) / end.changes as f64
    );
    bars::REFRESH.report(ratio.ratio);
    Ok(())
}

fn slice(fleet: &mut Fleet, daemon: &Daemon, among: u32, state: &mut u64) -> Result<f64, Error> {
    *state = pairs::next(*state);
    let start = (*state >> 33) as u32 % among;
    // Spread over the table, and none twice within a short time, or its NOTIFYs would coalesce.
    let place = |step: u32| (u64::from(start) + u64::from(step) * STRIDE) % u64::from(among);
    let picked: Vec<u32> = (0..REFRESHES).map(|step| place(step) as u32).collect();
    let work = scenario::measure(
        fleet,
        || daemon.cpu(),
        |fleet| {
            fleet.refresh(picked)?;
            Ok(u64::from(REFRESHES))
        },
    )?;
    Ok(micros(work.cpu) / work.changes as f64)
}

fn compare(
    large: &mut Fleet,
    many: &Daemon,
    among: u32,
    small: &mut Fleet,
    few: &Daemon,
) -> Result<pairs::Pairs, Error> {
    let mut state = 1;
    pairs::abba(PAIRS, |side| match side {
        Side::A => slice(large, many, among, &mut state),
        Side::B => slice(small, few, SMALL, &mut state),
    })
}

/// An echo server: two datagrams of the server's lengths for each one received.
fn beside_echo(small: &mut Fleet, few: &Daemon) -> Result<(), Error> {
    small.captured = Some(Vec::new());
    small.refresh([0])?;
    let captured = small.captured.take().unwrap_or_default();
    let (_, notify) = captured.first().ok_or("no NOTIFY came")?;
    let mut ok = Vec::new();
    // As long as the server's own, which names Expires, Contact and Server.
    sip::write_ok(&mut ok, &subscribe_like(notify));
    let echo = Blaster::start(Blast::Echo(ok, notify.clone()))?;
    let mut state = 7;
    let ratio = pairs::abba(PAIRS, |side| match side {
        Side::A => {
            small.turn_to(few.sip);
            slice(small, few, SMALL, &mut state)
        }
        Side::B => {
            small.turn_to(echo.address);
            let all: Vec<u32> = (0..SMALL).cycle().take(REFRESHES as usize).collect();
            let work = scenario::measure(
                small,
                || echo.cpu(),
                |fleet| {
                    fleet.refresh(all)?;
                    Ok(u64::from(REFRESHES))
                },
            )?;
            Ok(micros(work.cpu) / work.changes as f64)
        }
    })?;
    small.turn_to(few.sip);
    println!("  echo of the same datagrams        {:7.3} us", ratio.b);
    println!("  refresh / echo                    {ratio}");
    Ok(())
}

/// A request in the dialog of a NOTIFY, whose response counts as one to SUBSCRIBE.
fn subscribe_like(notify: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(notify)
        .replace("NOTIFY", "SUBSCRIBE")
        .into_bytes()
}
