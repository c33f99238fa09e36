//! Kamailio compared with this server as a presence server for busy lamps.
//!
//! `lamplighter-load` runs the same scenarios (`*.toml` beside this file) against both on the same
//! CPU, alternating, each server started again for each run: Kamailio in its fastest mode
//! (everything in memory) against this server without a store, and in a durable one (written through to
//! PostgreSQL) against this server with a store, where each acknowledges what is on the disk. All figures
//! are those of its reports, whose CPU time is that of all processes and threads of a server, its
//! database included. `kamailio.cfg` beside this file is the configuration, `run` installs what is
//! needed and starts this.
//!
//! `bench/kamailio/run`, a quarter of an hour; `--quick` for one turn each, `--memory` without the
//! durable mode.

mod load;
mod servers;
mod table;

use lamplighter_bench::bars::Bar;
use lamplighter_bench::{Error, PHONES_CPU, bars, system};
use load::{Load, Report};
use servers::{Postgres, Subject};
use table::{Better, Runs, Table};

/// The columns: this server and Kamailio in memory, this server with a store, Kamailio with PostgreSQL.
const NAMES: [&str; 4] = [
    "lamplighter",
    "Kamailio memory",
    "lamplighter synced",
    "Kamailio durable",
];
/// The column that each is compared with.
const OPPONENTS: [usize; 4] = [0, 0, 0, SYNCED];
/// The bars of servers in memory are against this one.
const INCUMBENT: usize = 1;
const SYNCED: usize = 2;
/// The bars of durable servers are against this one.
const INCUMBENT_DURABLE: usize = 3;

const RATE_20: &str = "NOTIFY/s without loss, fan-out 20";
const RATE_1000: &str = "NOTIFY/s without loss, fan-out 1,000";
const PUBLISH: &str = "CPU per PUBLISH with one watcher, at most";
const SUBSCRIBE: &str = "CPU per SUBSCRIBE with first NOTIFY, cold boot";
const SUBSCRIBE_RATE: &str = "SUBSCRIBE/s, cold boot of 1,000";
const PUBLISH_RATE: &str = "PUBLISH/s without loss, one watcher";
const BARS: [(&str, usize, Bar); 6] = [
    (RATE_20, INCUMBENT, bars::INCUMBENT_RATE_20),
    (RATE_1000, INCUMBENT, bars::INCUMBENT_RATE_1000),
    (PUBLISH, INCUMBENT, bars::INCUMBENT_PUBLISH),
    (SUBSCRIBE, INCUMBENT, bars::INCUMBENT_SUBSCRIBE),
    (
        SUBSCRIBE_RATE,
        INCUMBENT_DURABLE,
        bars::INCUMBENT_DURABLE_SUBSCRIBE,
    ),
    (
        PUBLISH_RATE,
        INCUMBENT_DURABLE,
        bars::INCUMBENT_DURABLE_PUBLISH,
    ),
];

/// The users of the durable modes where each has one watcher.
const SLOW_PUBLISH: [&str; 3] = ["phones=1000", "presentities=1000", "subscribe_rate=250"];

/// A search's best rate.
const NOTIFY_RATE: &str = "/overload/best_notifies_per_second";
/// CPU at that rate; and, below, at half of it.
const BEST_CPU_PER_NOTIFY: &str = "/overload/best_cpu_us_per_notify";
const BEST_CPU_PER_CHANGE: &str = "/overload/best_cpu_us_per_change";
const CPU_PER_SUBSCRIPTION: &str = "/cost/cpu_us_per_subscription";
const CPU_PER_NOTIFY: &str = "/cost/cpu_us_per_notify";
const CPU_PER_CHANGE: &str = "/cost/cpu_us_per_change";

/// How often the servers take turns.
#[derive(Clone, Copy)]
struct Turns {
    all: usize,
    /// The durable modes, of which Kamailio's is slow, take part in this many of them, from the first on.
    durable: usize,
    /// Each server runs the scenario once, to its end, before it is measured: the highest cost of a
    /// server that has just started is the page faults of memory that it uses for the first time.
    warm: bool,
}

struct Comparison {
    load: Load,
    postgres: Option<Postgres>,
    quick: bool,
    table: Table,
}

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if let Err(error) = std::process::Command::new("kamailio").arg("-v").output() {
        println!("no kamailio here ({error}): bench/kamailio/run installs it");
        return Ok(());
    }
    let load = Load::find()?;
    let postgres = match has("--memory") {
        true => None,
        false => Some(Postgres::start()?),
    };
    let servers = if postgres.is_some() { 4 } else { 2 };
    let mut comparison = Comparison {
        load,
        postgres,
        quick: has("--quick"),
        table: Table::new(&NAMES[..servers], &OPPONENTS[..servers]),
    };
    comparison.cold_boot()?;
    comparison.subscribe()?;
    comparison.publish()?;
    comparison.publish_seldom()?;
    comparison.fan_out(
        "fan-out-20",
        "20",
        RATE_20,
        &["phones=1000", "presentities=50"],
    )?;
    comparison.fan_out(
        "fan-out-1000",
        "1,000",
        RATE_1000,
        &["phones=2000", "presentities=2"],
    )?;
    comparison.table.print();
    for (what, incumbent, bar) in BARS {
        match comparison.table.ratio(what, incumbent) {
            Some(ratio) => bar.report(ratio),
            None if incumbent >= servers => {}
            // One of the two lost messages at every rate: the machine is too busy.
            None => println!("not measured: {what}"),
        }
    }
    Ok(())
}

impl Comparison {
    /// Starts the server of a column.
    fn subject(&self, column: usize) -> Result<Subject, Error> {
        match (column, &self.postgres) {
            (0, _) => Subject::lamplighter(),
            (SYNCED, _) => Subject::synced(),
            (INCUMBENT_DURABLE, Some(postgres)) => Subject::durable(postgres),
            _ => Subject::memory(),
        }
    }

    /// Runs a scenario against the servers in turns, to and fro; returns the reports by column. The
    /// scenario has the name of its file and the title in the table. The keys in `slow` apply to
    /// the durable modes only: Kamailio's takes no more than some hundred SUBSCRIBEs a second.
    fn runs(
        &mut self,
        (scenario, label): (&str, &'static str),
        set: &[&str],
        slow: &[&str],
        turns: Turns,
    ) -> Result<Runs, Error> {
        let mut runs: Runs = vec![Vec::new(); self.table.servers()];
        for turn in 0..turns.all {
            let mut order: Vec<usize> = (0..runs.len()).collect();
            order.retain(|column| *column <= INCUMBENT || turn < turns.durable);
            if turn % 2 == 1 {
                order.reverse();
            }
            for column in order {
                let subject = self.subject(column)?;
                let slow = if column > INCUMBENT { slow } else { &[] };
                let set: Vec<String> = [set, slow]
                    .concat()
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                if turns.warm {
                    self.load
                        .run(scenario, &["leave=true".to_owned()], &subject)?;
                }
                runs[column].push(self.load.run(scenario, &set, &subject)?);
            }
        }
        self.table.faults(label, &runs);
        Ok(runs)
    }

    fn turns(&self, all: usize, quick: usize, durable: usize) -> Turns {
        Turns {
            all: if self.quick { quick } else { all },
            durable,
            warm: false,
        }
    }

    fn cold_boot(&mut self) -> Result<(), Error> {
        let turns = Turns {
            warm: true,
            ..self.turns(7, 5, 3)
        };
        let runs = self.runs(("cold-boot", "cold-boot"), &[], &[], turns)?;
        let cpu = |run: &Report| run.number(CPU_PER_SUBSCRIPTION);
        self.table.add(SUBSCRIBE, "us", Better::Less, &runs, cpu);
        let rate = |run: &Report| run.stage("subscribe", "requests_per_second");
        self.table
            .add(SUBSCRIBE_RATE, "/s", Better::More, &runs, rate);
        Ok(())
    }

    fn subscribe(&mut self) -> Result<(), Error> {
        let tenth = ["phones=50", "presentities=100"];
        let set = if self.quick { &tenth[..] } else { &[] };
        let slow = ["phones=50", "presentities=100", "subscribe_rate=250"];
        let scenario = ("subscribe", "subscribe");
        let runs = self.runs(scenario, set, &slow, self.turns(3, 1, 1))?;
        let cpu = |run: &Report| run.number(CPU_PER_SUBSCRIPTION);
        let what = "CPU per SUBSCRIBE with first NOTIFY, 1,000/s";
        self.table.add(what, "us", Better::Less, &runs, cpu);
        let memory = |run: &Report| run.number("/cost/octets_per_subscription");
        let what = match self.quick {
            true => "memory per subscription, of 1,000",
            false => "memory per subscription, of 10,000",
        };
        self.table.add(what, "octets", Better::Less, &runs, memory);
        Ok(())
    }

    fn publish(&mut self) -> Result<(), Error> {
        let scenario = ("publish", "publish");
        let runs = self.runs(scenario, &[], &SLOW_PUBLISH, self.turns(3, 1, 1))?;
        // One NOTIFY each.
        let rate = |run: &Report| run.number(NOTIFY_RATE);
        self.table.add_rate(PUBLISH_RATE, &runs, rate);
        let cpu = |run: &Report| run.number(BEST_CPU_PER_CHANGE);
        self.table.add(PUBLISH, "us", Better::Less, &runs, cpu);
        let cpu = |run: &Report| run.number(CPU_PER_CHANGE);
        let what = "CPU per PUBLISH with one watcher, half load";
        self.table.add(what, "us", Better::Less, &runs, cpu);
        Ok(())
    }

    /// At a rate that is low for all servers, most of the cost is waking up.
    fn publish_seldom(&mut self) -> Result<(), Error> {
        let set = ["overload=0", "change_rate=200"];
        let scenario = ("publish", "publish 200/s");
        let runs = self.runs(scenario, &set, &SLOW_PUBLISH, self.turns(3, 1, 1))?;
        let cpu = |run: &Report| run.number(CPU_PER_CHANGE);
        let what = "CPU per PUBLISH with one watcher, 200/s";
        self.table.add(what, "us", Better::Less, &runs, cpu);
        Ok(())
    }

    fn fan_out(
        &mut self,
        scenario: &'static str,
        watchers: &str,
        rate: &'static str,
        slow: &[&str],
    ) -> Result<(), Error> {
        let slow = [slow, &["subscribe_rate=250"]].concat();
        let runs = self.runs((scenario, scenario), &[], &slow, self.turns(3, 1, 1))?;
        let best = |run: &Report| run.number(NOTIFY_RATE);
        self.table.add_rate(rate, &runs, best);
        for (when, place) in [
            ("at most", BEST_CPU_PER_NOTIFY),
            ("half load", CPU_PER_NOTIFY),
        ] {
            let cpu = |run: &Report| run.number(place);
            let what = format!("CPU per NOTIFY, fan-out {watchers}, {when}");
            self.table.add(&what, "us", Better::Less, &runs, cpu);
        }
        for (name, place) in [
            ("p50", "/latencies/publish_to_last_lamp/p50"),
            ("p99", "/latencies/publish_to_last_lamp/p99"),
        ] {
            let latency = |run: &Report| Some(run.number(place)? / 1000.0);
            let what = format!("publish to last of {watchers}, half load, {name}");
            self.table.add(&what, "ms", Better::Less, &runs, latency);
        }
        Ok(())
    }
}
