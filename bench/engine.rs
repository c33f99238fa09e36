//! The cost of the engine without sockets: composition, rendering, subscription table and timer
//! wheel, each measured by the message that needs it.
//!
//! - `fan_out`: a PUBLISH whose change goes to 1,000 watchers, by NOTIFY: reading its XML, composing,
//!   one body, a head each, a timer each.
//! - `unwatched`: a PUBLISH without watchers: parsing and composing alone.
//! - `single`: a PUBLISH with one watcher, with its NOTIFY and the 200 to that (by `--rounds` alone).
//! - `spread`: the same for 10,000 presentities in turn, whose data is not in the CPU's caches (by
//!   `--rounds` alone; the time is of interest, not the instructions).
//! - `joined`: a first SUBSCRIBE, with its 200, its NOTIFY and the 200 to that (by `--rounds` alone).
//! - `recorded`: the same with a record, on whose commit the 200 waits (by `--rounds` alone).
//! - `joined_together`, `recorded_together`: the same, 32 at a time, with one commit for all (by
//!   `--rounds` alone; each round is 32 of them).
//! - `recovered`: a dialog recovered from its record after a restart (by `--rounds` alone: that many).
//! - `answered`: the 200 to a NOTIFY: found by its branch, its timer cancelled.
//! - `refreshed`: a SUBSCRIBE in a dialog among 1,000 and among 100,000, with its 200, its NOTIFY
//!   and the 200 to that.
//!
//! `cargo bench --bench engine`, a quarter of a minute. Criterion is given CPU time of this thread,
//! so that a busy machine disturbs less; the phones' writing counts where it cannot be kept apart
//! (`unwatched`, `refreshed`). Compare two runs with `--save-baseline` and `--baseline`.
//!
//! `-- --rounds fan_out 20` (or another of these names) runs only
//! that, for callgrind, whose instruction counts do not depend on how busy the machine is.

mod inside;

use std::time::Duration;

use criterion::{Criterion, Throughput};
use inside::Inside;
use lamplighter::shard::Durability;
use lamplighter_bench::{Error, system};

const WATCHERS: u32 = 1000;
/// Odd, so that each presentity is published in another state every time.
const SPREAD: u32 = 9_999;
/// SUBSCRIBEs with one commit.
const TOGETHER: u32 = 32;

fn main() -> Result<(), Error> {
    if let Some((what, rounds)) = counted() {
        return run(&what, rounds);
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();

    let mut inside = Inside::new(WATCHERS, 1)?;
    let mut group = criterion.benchmark_group("change");
    group.throughput(Throughput::Elements(u64::from(WATCHERS)));
    group.bench_function("fan_out", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let start = system::thread_cpu();
                inside.publish(0);
                spent += system::thread_cpu() - start;
                inside.acknowledge(1);
            }
            spent
        });
    });
    group.bench_function("answered", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                inside.publish(0);
                let responses = inside.responses(1);
                let start = system::thread_cpu();
                inside.take_responses(&responses);
                spent += system::thread_cpu() - start;
                inside.out.clear();
            }
            spent
        });
    });
    group.finish();

    let mut unwatched = Inside::new(0, 1)?;
    criterion.bench_function("change/unwatched", |bencher| {
        bencher.iter_custom(|rounds| {
            let start = system::thread_cpu();
            for _ in 0..rounds {
                unwatched.publish(0);
                unwatched.out.clear();
            }
            system::thread_cpu() - start
        });
    });

    for watchers in [WATCHERS, 100 * WATCHERS] {
        let mut inside = Inside::new(watchers, watchers / 10)?;
        let mut next = 0;
        criterion.bench_function(&format!("refreshed/{watchers}"), |bencher| {
            bencher.iter_custom(|rounds| {
                let start = system::thread_cpu();
                for _ in 0..rounds {
                    // Coprime to both sizes, so accesses are spread over the table.
                    next = (next + 7_919) % watchers;
                    inside.refresh(next);
                    inside.acknowledge(1);
                }
                system::thread_cpu() - start
            });
        });
    }
    criterion.final_summary();
    Ok(())
}

/// The two words behind `--rounds`.
fn counted() -> Option<(String, u32)> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == "--rounds")?;
    Some((arguments.next()?, arguments.next()?.parse().ok()?))
}

/// Runs one measurement that many times, for a tool that counts instructions.
fn run(what: &str, rounds: u32) -> Result<(), Error> {
    if what == "recovered" {
        return recover(rounds);
    }
    let (watchers, presentities) = match what {
        "unwatched" => (0, 1),
        "single" => (1, 1),
        "spread" => (SPREAD, SPREAD),
        "joined" | "recorded" | "joined_together" | "recorded_together" => (0, WATCHERS),
        _ => (WATCHERS, 1),
    };
    let durability = match what {
        "recorded" | "recorded_together" => Durability::Synced,
        _ => Durability::None,
    };
    let mut inside = Inside::with(durability, watchers, presentities)?;
    for round in 0..rounds {
        match what {
            "fan_out" | "unwatched" | "single" => inside.publish(0),
            "spread" => inside.publish(round % SPREAD),
            "refreshed" => inside.refresh(round % WATCHERS),
            "joined" | "recorded" => inside.join(round),
            "joined_together" | "recorded_together" => {
                inside.join_together(round * TOGETHER..(round + 1) * TOGETHER);
                continue;
            }
            _ => return Err(format!("{what}: unknown workload").into()),
        }
        inside.acknowledge(1);
    }
    Ok(())
}

/// Recovers that many dialogs, and prints the CPU time of each.
fn recover(dialogs: u32) -> Result<(), Error> {
    let presentities = dialogs.div_ceil(10);
    let mut inside = Inside::with(Durability::Relaxed, dialogs, presentities)?;
    inside.restart()?;
    let start = system::thread_cpu();
    let written = inside.recover();
    let each = (system::thread_cpu() - start) / dialogs;
    println!("{each:?} a dialog, {written} records written");
    Ok(())
}
