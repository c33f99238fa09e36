//! The effect of the history on lamps: PUBLISH to lamp at 10,000 changes a second.
//!
//! Two servers with a store (`durability = "relaxed"`, so that no response waits for the disk), one of
//! them with a history, take turns. Two thousand presentities with one watcher each change at random
//! moments (Poisson), timed from the moment each change was due: a minute on each side. Then the
//! history is compared with the changes that the server counted.
//!
//! `cargo bench --bench history`, some two minutes. It measures wall-clock times and needs a quiet
//! machine.

use std::thread;
use std::time::Duration;

use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::{Error, PHONES_CPU, bars, pairs, scenario, system};

/// Changes a second.
const RATE: f64 = 10_000.0;
const PRESENTITIES: u32 = 2_000;
/// One slice.
const SLICE: Duration = Duration::from_secs(10);
/// Pairs of slices: a minute on each side.
const PAIRS: usize = 6;
/// How long the history may take to write its last changes.
const AFTERMATH: Duration = Duration::from_secs(1);

/// A server with its phones, and what they saw.
struct Server {
    daemon: Daemon,
    fleet: Fleet,
    /// Milliseconds from each change to its lamp.
    lamps: Vec<f64>,
    due: u64,
    arrived: u64,
}

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let mut servers = [Server::start(true)?, Server::start(false)?];
    let ratio = pairs::abba(PAIRS, |side| servers[side as usize].slice())?;
    println!("publish to lamp at {RATE:.0} changes a second, ms");
    let names = ["with history", "without"];
    for (server, name) in servers.iter_mut().zip(names) {
        let [p50, p99] = [0.5, 0.99].map(|share| pairs::quantile(&mut server.lamps, share));
        let (due, arrived) = (server.due, server.arrived);
        println!("  {name:<14} p50 {p50:7.2} p99 {p99:7.2}   ({arrived} of {due} NOTIFYs)");
    }
    println!("  p99 of a slice, with / without  {ratio}");
    bars::HISTORY.report(ratio.ratio);
    thread::sleep(AFTERMATH);
    let [with, _] = &servers;
    let [changed, written, thinned] =
        ["state_changes", "history_changes", "history_thinned"].map(|name| with.counter(name));
    let (changed, written, thinned) = (changed?, written?, thinned?);
    println!("  state changes {changed}, in the history {written}, left out {thinned}");
    if written + thinned != changed {
        return Err("a change is neither in the history nor counted as left out".into());
    }
    bars::HISTORY_WRITTEN.report(written as f64 / changed as f64);
    Ok(())
}

impl Server {
    fn start(has_history: bool) -> Result<Self, Error> {
        let further = format!(
            "[store]\ndirectory = \"state\"\ndurability = \"relaxed\"\n\
             [history]\nenabled = {has_history}"
        );
        let daemon = Daemon::start_with(env!("CARGO_BIN_EXE_lamplighter"), 1, &further)?;
        let fleet = Fleet::subscribed(daemon.sip, Size::fan_out(PRESENTITIES, 1))?;
        Ok(Self {
            daemon,
            fleet,
            lamps: Vec::new(),
            due: 0,
            arrived: 0,
        })
    }

    /// The p99 of one slice, in milliseconds.
    fn slice(&mut self) -> Result<f64, Error> {
        let outcome = scenario::open_loop(&mut self.fleet, Stimulus::Publish, RATE, SLICE)?;
        self.due += outcome.due;
        self.arrived += outcome.arrived;
        let mut lamps: Vec<f64> = outcome.last.iter().map(|micros| micros / 1000.0).collect();
        self.lamps.extend(&lamps);
        Ok(pairs::quantile(&mut lamps, 0.99))
    }

    /// A counter of `/metrics`.
    fn counter(&self, name: &str) -> Result<u64, Error> {
        let metrics = self.daemon.get("/metrics")?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(&format!("lamplighter_{name}_total ")));
        Ok(line.ok_or("no such counter")?.trim().parse()?)
    }
}
