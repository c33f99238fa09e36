//! The effect of a backup on lamps: PUBLISH to lamp while `lamplighter backup` copies the store.
//!
//! A server with a store (`durability = "relaxed"`, so that no response waits for the disk) has 200,000
//! subscriptions; a hundred presentities with twenty of them each change at random moments (Poisson), timed
//! from the moment each change was due. Slices with a backup and without take turns. A lamp of a slice
//! with a backup is late if it comes later than 99.9 % of the lamps without.
//!
//! `cargo bench --bench backup`, half a minute. It measures wall-clock times and needs a quiet machine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::pairs::{Side, quantile};
use lamplighter_bench::{Error, PHONES_CPU, bars, pairs, scenario, system};

const WATCHERS: u32 = 200_000;
const PRESENTITIES: u32 = 10_000;
/// Presentities that change.
const CHANGING: u32 = 100;
/// Changes a second.
const RATE: f64 = 500.0;
/// One slice.
const SLICE: Duration = Duration::from_secs(2);
/// Pairs of slices.
const PAIRS: usize = 5;

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let store = "[store]\ndirectory = \"state\"\ndurability = \"relaxed\"";
    let daemon = Daemon::start_with(env!("CARGO_BIN_EXE_lamplighter"), 1, store)?;
    let size = Size {
        ports: lamplighter_bench::PORTS,
        watchers: WATCHERS,
        presentities: PRESENTITIES,
        keys_per_phone: 20,
    };
    let mut fleet = Fleet::new(daemon.sip, size)?;
    fleet.subscribe(WATCHERS)?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let mut octets = 0;
    pairs::abba(PAIRS, |side| {
        let lamps = match side {
            Side::A => &mut with,
            Side::B => &mut without,
        };
        let file = std::env::temp_dir().join(format!("lamplighter-bench-{}", std::process::id()));
        let mut backup = match side {
            Side::A => Some(back_up(&daemon, &file)?),
            Side::B => None,
        };
        let outcome =
            scenario::open_loop_of(&mut fleet, Stimulus::Publish, 0..CHANGING, RATE, SLICE)?;
        if let Some(backup) = &mut backup {
            if !backup.wait()?.success() {
                return Err("no backup".into());
            }
            octets = std::fs::metadata(&file)?.len();
            std::fs::remove_file(&file)?;
        }
        lamps.extend(outcome.last.iter().map(|micros| micros / 1000.0));
        Ok(outcome.arrived as f64)
    })?;
    let limit = quantile(&mut without, 0.999);
    let late = with.iter().filter(|lamp| **lamp > limit).count() as f64 / with.len() as f64;
    println!("publish to last of 20 lamps, ms; a backup of {octets} octets");
    for (name, lamps) in [("with a backup", &mut with), ("without", &mut without)] {
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(lamps, share));
        println!("  {name:<14} p50 {p50:7.2} p99 {p99:7.2}");
    }
    println!(
        "  later than {limit:.2} ms, as one of 1,000 without: {:.2} %",
        late * 100.0
    );
    bars::BACKUP.report(late * 100.0);
    Ok(())
}

/// Begins a backup.
fn back_up(daemon: &Daemon, file: &Path) -> Result<std::process::Child, Error> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
    command
        .arg("backup")
        .arg(file)
        .arg("--socket")
        .arg(daemon.directory().join("data/control.sock"))
        .stdout(Stdio::null());
    Ok(system::spawn(&mut command)?)
}
