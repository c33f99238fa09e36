//! What a second shard costs, and a state change that crosses from one to the other (PERF 5,
//! number 10).
//!
//! 10,000 watchers on 1,000 ports, ten presentities of a thousand watchers each (so many that it
//! does not matter which shard took the PUBLISH), one shard against two. The kernel deals ports out to shards and a hash deals out presentities; so watchers are
//! given presentities of their own shard, of the other, or half of each. CPU time of the whole
//! process per acknowledged NOTIFY, in turns; it needs no two quiet CPUs, for it is CPU time.
//!
//! `cargo bench --bench shards`, half a minute.

use lamplighter::presence::Aor;
use lamplighter::shard::Shard;
use lamplighter_bench::Error;
use lamplighter_bench::PHONES_CPU;
use lamplighter_bench::bars;
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::Fleet;
use lamplighter_bench::fleet::Size;
use lamplighter_bench::fleet::Stimulus;
use lamplighter_bench::pairs;
use lamplighter_bench::pairs::Side;
use lamplighter_bench::scenario;
use lamplighter_bench::sip;
use lamplighter_bench::system;

const WATCHERS: u32 = 10_000;
const PRESENTITIES: u32 = 10;
/// Pairs of slices.
const PAIRS: usize = 9;
/// Changes of one slice.
const CHANGES: u64 = 20;

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
    let crossings = [
        (0, Some(bars::SHARDS_APART)),
        (50, Some(bars::SHARDS_CROSSING)),
        (100, None),
    ];
    for (crossing, bar) in crossings {
        let two = Daemon::start_with(binary, 2, "")?;
        let mut fleet = Fleet::new(two.sip, size)?;
        // A first round tells which shard the kernel deals each port to.
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
        fleet.serve_for(std::time::Duration::from_millis(300))?;
        let publish =
            |fleet: &mut Fleet| scenario::closed_loop(fleet, Stimulus::Publish, CHANGES, 4);
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
    }
    Ok(())
}

/// The shard a dialog is on: the first digits of the server's tag.
fn shard_of(tag: &str) -> u16 {
    let digits = tag.get(..4).unwrap_or_default();
    u16::from_str_radix(digits, 16).unwrap_or_default()
}

/// A presentity that such a shard owns, another for every watcher as long as there are some.
fn presentity(watcher: u32, shard: u16) -> u32 {
    let owner = |presentity: u32| {
        let aor = Aor::new(&format!("p{presentity}"), sip::DOMAIN);
        Shard::owner(&aor, 2).0
    };
    let mut owned = (0..PRESENTITIES).filter(|presentity| owner(*presentity) == shard);
    let count = owned.clone().count().max(1);
    owned.nth(watcher as usize % count).unwrap_or_default()
}
