//! The latency from PUBLISH to lamp, and the effect of overload.
//!
//! Twenty presentities with a thousand watchers each on a thousand ports. PUBLISHes come at random
//! moments (Poisson), due whether or not the server is done with the last one, and are timed from
//! the moment they were due: to the first phone and to the last of the thousand, at 25, 50 and 80 %
//! of the highest loss-free NOTIFY rate. At 50 % the blaster takes turns with it, and sends the same
//! octets at the same rate to the same phones. Finally 200 %: how many NOTIFYs a second still
//! arrive, and how long after the end the last phone shows the newest state.
//!
//! `cargo bench --bench latency`, a minute. It measures wall-clock times and needs a quiet machine.

use std::time::{Duration, Instant};

use lamplighter_bench::blaster::{Blast, Blaster};
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario::Outcome;
use lamplighter_bench::{Error, PHONES_CPU, bars, pairs, scenario, system};

const WATCHERS: u32 = 1000;
const PRESENTITIES: u32 = 20;
/// One try of the search, and one slice.
const SLICE: Duration = Duration::from_secs(1);
/// Pairs of slices at 50 %.
const PAIRS: usize = 7;
/// If nothing arrives for this long, all phones show the newest state.
const SILENCE: Duration = Duration::from_millis(100);

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
    let mut fleet = Fleet::subscribed(daemon.sip, Size::fan_out(PRESENTITIES, WATCHERS))?;
    scenario::closed_loop(&mut fleet, Stimulus::Publish, 100, 2)?;
    let most = scenario::most_without_loss(&mut fleet, SLICE)?;
    if most == 0.0 {
        return Err("something is lost at every rate: the machine is too busy".into());
    }
    println!("most NOTIFYs a second without loss, by the clock: {most:.0}");

    println!("publish to lamp, fan-out {WATCHERS}, ms");
    let changes = |share: f64| most * share / f64::from(WATCHERS);
    for share in [0.25, 0.8] {
        let outcome =
            scenario::open_loop(&mut fleet, Stimulus::Publish, changes(share), SLICE * 3)?;
        say(&format!("ours at {:.0} %", share * 100.0), vec![outcome]);
    }

    fleet.captured = Some(Vec::new());
    scenario::closed_loop(&mut fleet, Stimulus::Publish, 1, 1)?;
    let octets = fleet.captured.take().unwrap_or_default();
    let blaster = Blaster::start(Blast::Each(octets))?;
    let mut sides = [Vec::new(), Vec::new()];
    pairs::abba(PAIRS, |side| {
        let stimulus = match side {
            Side::A => Stimulus::Publish,
            Side::B => Stimulus::Blast(blaster.address),
        };
        // The blaster knows only the watchers of the first presentity.
        let outcome = scenario::open_loop_of(&mut fleet, stimulus, 0..1, changes(0.5), SLICE)?;
        sides[side as usize].push(outcome);
        Ok(1.0)
    })?;
    let [ours, blasts] = sides;
    let ours = say("ours at 50 %", ours);
    let floor = say("blaster, same rate", blasts);
    println!("  last lamp, p99, ours / blaster {:.2}", ours / floor);
    bars::LATENCY.report(ours / floor);

    overload(&mut fleet, &daemon, most)
}

/// Prints quantiles; the p99 of the last lamp.
fn say(who: &str, outcomes: Vec<Outcome>) -> f64 {
    let gather = |of: fn(&Outcome) -> &Vec<f64>| -> Vec<f64> {
        outcomes
            .iter()
            .flat_map(|outcome| of(outcome).iter().copied())
            .collect()
    };
    let (mut first, mut last) = (
        gather(|outcome| &outcome.first),
        gather(|outcome| &outcome.last),
    );
    let quantiles = |all: &mut [f64]| [0.5, 0.99].map(|share| pairs::quantile(all, share) / 1000.0);
    let ([first_50, first_99], [last_50, last_99]) = (quantiles(&mut first), quantiles(&mut last));
    println!(
        "  {who:<20} first p50 {first_50:7.2} p99 {first_99:7.2}   last p50 {last_50:7.2} p99 {last_99:7.2}   \
         ({} changes)",
        last.len()
    );
    last_99
}

fn overload(fleet: &mut Fleet, daemon: &Daemon, most: f64) -> Result<(), Error> {
    let changes = most / f64::from(WATCHERS);
    let mut goodput = |share: f64| -> Result<f64, Error> {
        let outcome = scenario::open_loop(fleet, Stimulus::Publish, changes * share, SLICE * 2)?;
        Ok(outcome.rate())
    };
    let full = goodput(1.0)?;
    let double = goodput(2.0)?;
    // NOTIFYs still due come now.
    let start = Instant::now();
    let mut last = start;
    while last.elapsed() < SILENCE {
        if fleet.serve(SILENCE)? > 0 {
            last = Instant::now();
        }
    }
    println!("overload, NOTIFYs a second by the clock: 100 % {full:.0}, 200 % {double:.0}");
    println!(
        "  silence {:.2} s after the load",
        (last - start).as_secs_f64()
    );
    let shown = ["retransmitted", "lost_in_kernel"];
    let metrics = daemon.get("/metrics")?;
    for line in metrics
        .lines()
        .filter(|line| !line.starts_with('#') && shown.iter().any(|name| line.contains(name)))
    {
        println!("  {line}");
    }
    bars::OVERLOAD.report(double / full);
    Ok(())
}
