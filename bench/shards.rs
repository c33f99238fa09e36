//! The cost of a second shard, and of a state change that crosses from one shard to the other.
//!
//! 10,000 watchers on 1,000 ports, ten presentities of a thousand watchers each (so many that it
//! does not matter which shard took the PUBLISH), one shard against two. The kernel assigns ports
//! to shards, a hash assigns presentities; so each watcher is given a presentity of its own shard,
//! of the other, or half of them of each. CPU time of the whole
//! process per acknowledged NOTIFY, in turns. CPU time does not need two quiet CPUs.
//!
//! On a machine with two CPUs the second shard shares its CPU and caches with the phones. A second
//! reference shows what that costs any server: two independent processes of one shard, one on each
//! CPU, with half of the watchers each.
//!
//! `cargo bench --bench shards`, a minute.

use std::time::{Duration, Instant};

use lamplighter::presence::Aor;
use lamplighter::shard::ShardId;
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size, Stimulus};
use lamplighter_bench::pairs::Side;
use lamplighter_bench::{Error, PHONES_CPU, PORTS, SERVER_CPU, bars, pairs, scenario, sip, system};

const WATCHERS: u32 = 10_000;
const PRESENTITIES: u32 = 10;
/// Pairs of slices.
const PAIRS: usize = 9;
/// Changes of one slice.
const CHANGES: u64 = 20;
/// Changes under way.
const WINDOW: u32 = 4;
/// How long changes may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let binary = env!("CARGO_BIN_EXE_lamplighter");
    let size = Size::fan_out(PRESENTITIES, WATCHERS / PRESENTITIES);
    let one = Daemon::start(binary)?;
    let mut alone = Fleet::subscribed(one.sip, size)?;
    println!(
        "CPU per acknowledged NOTIFY, fan-out {}, two shards / one",
        WATCHERS / PRESENTITIES
    );
    let mut apart = Apart::start(binary)?;
    let ratio = pairs::abba(PAIRS, |side| match side {
        Side::A => apart.cpu_per_notify(),
        Side::B => Ok(scenario::measure(&mut alone, || one.cpu(), publish)?.cpu_per_notify()),
    })?;
    println!(
        "  two processes: {:.3} / {:.3} us = {ratio}, the machine's own",
        ratio.a, ratio.b
    );
    let crossings = [
        (0, Some(bars::SHARDS_APART)),
        (50, Some(bars::SHARDS_CROSSING)),
        (100, None),
    ];
    for (crossing, bar) in crossings {
        let two = Daemon::start_with(binary, 2, "")?;
        let mut fleet = Fleet::new(two.sip, size)?;
        // A first round shows which shard the kernel assigns each port to.
        fleet.subscribe(WATCHERS)?;
        let assigned = (0..WATCHERS).map(|watcher| {
            let is_crossing = watcher % 100 * 37 % 100 < crossing;
            presentity(
                watcher,
                shard_of(fleet.server_tag(watcher)) ^ u16::from(is_crossing),
            )
        });
        let assigned = assigned.collect();
        fleet.unsubscribe(0..WATCHERS)?;
        fleet.reassign(assigned);
        fleet.refresh(0..WATCHERS)?;
        fleet.publish_all()?;
        fleet.serve_for(Duration::from_millis(300))?;
        let ratio = pairs::abba(PAIRS, |side| {
            let work = match side {
                Side::A => scenario::measure(&mut fleet, || two.cpu(), publish)?,
                Side::B => scenario::measure(&mut alone, || one.cpu(), publish)?,
            };
            Ok(work.cpu_per_notify())
        })?;
        println!(
            "  {crossing:>3} % cross: {:.3} / {:.3} us = {ratio}",
            ratio.a, ratio.b
        );
        if let Some(bar) = bar {
            bar.report(ratio.ratio);
        }
        if crossing == 0 {
            let ratio = pairs::abba(PAIRS, |side| match side {
                Side::A => {
                    Ok(scenario::measure(&mut fleet, || two.cpu(), publish)?.cpu_per_notify())
                }
                Side::B => apart.cpu_per_notify(),
            })?;
            println!(
                "        two shards / two processes: {:.3} / {:.3} us = {ratio}",
                ratio.a, ratio.b
            );
        }
    }
    Ok(())
}

/// Changes, each of which reaches all its watchers, with `WINDOW` of them under way.
fn publish(fleet: &mut Fleet) -> Result<u64, Error> {
    scenario::closed_loop(fleet, Stimulus::Publish, CHANGES, WINDOW.into())
}

/// Two processes of one shard, one on each CPU, with half of the watchers each.
struct Apart {
    halves: [(Daemon, Fleet); 2],
}

impl Apart {
    fn start(binary: &str) -> Result<Self, Error> {
        let half = |seat: usize| -> Result<(Daemon, Fleet), Error> {
            let daemon = Daemon::start_at(binary, &[seat % system::cpus()], "")?;
            let size = Size {
                ports: PORTS / 2,
                ..Size::fan_out(PRESENTITIES / 2, WATCHERS / PRESENTITIES)
            };
            let fleet = Fleet::subscribed(daemon.sip, size)?;
            Ok((daemon, fleet))
        };
        Ok(Self {
            halves: [half(SERVER_CPU)?, half(SERVER_CPU + 1)?],
        })
    }

    /// Both at once, half of the changes each.
    fn cpu_per_notify(&mut self) -> Result<f64, Error> {
        let before = self.settled()?;
        let notified = self.notified();
        for change in 0..CHANGES {
            let presentity = (change / 2 % u64::from(PRESENTITIES / 2)) as u32;
            let half = (change % 2) as usize;
            self.pump(|halves| !halves[half].1.is_changing(presentity))?;
            let (_, fleet) = &mut self.halves[half];
            fleet.change(Stimulus::Publish, presentity, Instant::now())?;
            self.pump(|halves| {
                halves
                    .iter()
                    .map(|(_, fleet)| under_way(fleet))
                    .sum::<u32>()
                    < WINDOW
            })?;
        }
        self.pump(|halves| halves.iter().all(|(_, fleet)| under_way(fleet) == 0))?;
        let cpu = self.settled()?.saturating_sub(before);
        Ok(scenario::micros(cpu) / (self.notified() - notified) as f64)
    }

    fn notified(&self) -> u64 {
        self.halves
            .iter()
            .map(|(_, fleet)| fleet.tally.notifies)
            .sum()
    }

    /// CPU time of both, at rest.
    fn settled(&mut self) -> Result<Duration, Error> {
        let halves = self.halves.iter_mut();
        let spent = halves.map(|(daemon, fleet)| scenario::settle(fleet, &|| daemon.cpu()));
        spent.sum()
    }

    /// Serves the phones of both until `is_done`.
    fn pump(&mut self, is_done: impl Fn(&[(Daemon, Fleet); 2]) -> bool) -> Result<(), Error> {
        let start = Instant::now();
        while !is_done(&self.halves) {
            let mut served = 0;
            for (_, fleet) in &mut self.halves {
                served += fleet.serve(Duration::ZERO)?;
            }
            if served == 0 {
                self.halves[0].1.serve(Duration::from_millis(1))?;
            }
            if start.elapsed() > PATIENCE {
                return Err("one of two processes does not tell".into());
            }
        }
        Ok(())
    }
}

/// Changes that some watcher does not know yet.
fn under_way(fleet: &Fleet) -> u32 {
    let presentities = 0..PRESENTITIES / 2;
    presentities
        .filter(|&presentity| fleet.is_changing(presentity))
        .count() as u32
}

/// The shard a dialog is on: the first digits of the server's tag.
fn shard_of(tag: &str) -> u16 {
    let digits = tag.get(..4).unwrap_or_default();
    u16::from_str_radix(digits, 16).unwrap_or_default()
}

/// A presentity owned by such a shard, another for every watcher as long as there are any left.
fn presentity(watcher: u32, shard: u16) -> u32 {
    let owner = |presentity: u32| {
        let aor = Aor::new(&format!("p{presentity}"), sip::DOMAIN);
        ShardId::owner_of(&aor, 2).0
    };
    let mut owned = (0..PRESENTITIES).filter(|presentity| owner(*presentity) == shard);
    let count = owned.clone().count().max(1);
    owned.nth(watcher as usize % count).unwrap_or_default()
}
