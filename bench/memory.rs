//! Memory per subscription, and the longest turn in a storm of timers.
//!
//! A million subscriptions to 100,000 presentities (ten watchers each, twenty keys a phone) are
//! made on the real server; its memory after, less its memory before, per subscription. Then, in
//! this process and with the engine alone, 100,000 phones subscribe and their subscriptions expire
//! in the same second: how long the longest turn took, and what each cost. And one presentity with
//! 10,000 watchers changes: its longest turn must leave time for others.
//!
//! `cargo bench --bench memory`, about a minute; `-- --small` stops at 100,000.

mod inside;

use std::time::Duration;

use inside::Inside;
use lamplighter_bench::daemon::Daemon;
use lamplighter_bench::fleet::{Fleet, Size};
use lamplighter_bench::scenario::micros;
use lamplighter_bench::{Error, PHONES_CPU, bars, system};

const SUBSCRIPTIONS: u32 = 1_000_000;
/// Numbers of subscriptions at which memory is measured.
const STEPS: [u32; 3] = [10_000, 100_000, SUBSCRIPTIONS];
const STORM: u32 = 100_000;
/// Watchers of the hot presentity.
const CROWD: u32 = 10_000;
/// How often it changes.
const CHANGES: usize = 50;

fn main() -> Result<(), Error> {
    storm()?;
    hot()?;
    system::pin(PHONES_CPU);
    let daemon = Daemon::start(env!("CARGO_BIN_EXE_lamplighter"))?;
    let size = Size {
        ports: lamplighter_bench::PORTS,
        watchers: SUBSCRIPTIONS,
        presentities: SUBSCRIPTIONS / 10,
        keys_per_phone: 20,
    };
    let mut fleet = Fleet::new(daemon.sip, size)?;
    // Warm up buffers and rings before measuring the table.
    fleet.subscribe(2_000)?;
    let before = system::memory_octets(daemon.process())?;
    println!("memory of the server, proportional set size");
    let mut at = 2_000;
    let is_small = std::env::args().any(|argument| argument == "--small");
    let steps: &[u32] = if is_small { &STEPS[..2] } else { &STEPS };
    for &step in steps {
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
    let mut inside = Inside::new(0, STORM / 10)?;
    let epoch = inside.now;
    let mut longest_join = Duration::ZERO;
    for watcher in 0..STORM {
        // They subscribe within one second, so they expire within one second.
        inside.now = epoch + Duration::from_secs(1) * watcher / STORM;
        let start = system::thread_cpu();
        inside.join(watcher);
        longest_join = longest_join.max(system::thread_cpu() - start);
    }
    println!("{STORM} phones subscribe one after the other, the engine alone");
    println!(
        "  longest from a SUBSCRIBE to its NOTIFY, where tables grow, {:.1} us",
        micros(longest_join)
    );
    let (mut turns, mut sum, mut longest, mut notifies) = (0, Duration::ZERO, Duration::ZERO, 0);
    // Past expiry and grace, but not so far that the last NOTIFYs count as unanswered.
    let end = epoch + Duration::from_secs(3600 + 34);
    while let Some(due) = inside.shard.poll_timeout().filter(|due| *due <= end) {
        inside.now = inside.now.max(due);
        let start = system::thread_cpu();
        inside.shard.handle_timeout(inside.now, &mut inside.out);
        let turn = system::thread_cpu() - start;
        notifies += inside.out.transmits.len();
        inside.acknowledge(0);
        turns += 1;
        sum += turn;
        longest = longest.max(turn);
    }
    println!("{STORM} subscriptions run out within a second, the engine alone");
    println!(
        "  {notifies} last NOTIFYs in {turns} turns, {:.3} us each",
        micros(sum) / f64::from(STORM)
    );
    println!(
        "  mean turn {:.1} us, longest {:.1} us",
        micros(sum) / f64::from(turns.max(1)),
        micros(longest)
    );
    Ok(())
}

/// The medians over all changes of each one's first and longest turn, so that pauses of the machine
/// do not count.
fn hot() -> Result<(), Error> {
    let mut inside = Inside::new(CROWD, 1)?;
    let (mut first, mut longest, mut count) = (Vec::new(), Vec::new(), 0);
    for _ in 0..CHANGES {
        inside.now += Duration::from_millis(20);
        let turns = inside.publish_in_turns(0);
        first.extend(turns.first().copied());
        longest.extend(turns.iter().max().copied());
        count = turns.len();
    }
    first.sort_unstable();
    longest.sort_unstable();
    let middle = |times: &[Duration]| times.get(times.len() / 2).copied().unwrap_or_default();
    let milliseconds = micros(middle(&longest)) / 1000.0;
    println!("one change with {CROWD} watchers in {count} turns, the engine alone");
    println!(
        "  first turn {:.1} us, longest {:.1} us, longest of all {:.1} us",
        micros(middle(&first)),
        micros(middle(&longest)),
        micros(longest.last().copied().unwrap_or_default())
    );
    bars::TURN.report(milliseconds);
    Ok(())
}
