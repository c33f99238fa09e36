//! Kamailio beside this server, as the one that answers the lamps (PERF 5, number 2).
//!
//! Both get the same messages from the same phones, on the same CPU, in turns; Kamailio in its
//! fastest mode (everything in memory) and in its usual durable one (written through to PostgreSQL).
//! CPU time is that of all processes and threads of a server, its database included. `kamailio.cfg`
//! beside this file is the configuration, `run` installs what is needed and starts this.
//!
//! `bench/kamailio/run`, some minutes; `--quick` for a tenth of the watchers, `--memory` without the
//! durable mode.

mod servers;

use std::time::Duration;

use lamplighter_bench::Error;
use lamplighter_bench::PHONES_CPU;
use lamplighter_bench::bars;
use lamplighter_bench::bars::Bar;
use lamplighter_bench::fleet::Fleet;
use lamplighter_bench::fleet::Size;
use lamplighter_bench::fleet::Stimulus;
use lamplighter_bench::pairs;
use lamplighter_bench::scenario;
use lamplighter_bench::scenario::Work;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::system;
use servers::Postgres;
use servers::Subject;

/// Turns of each server in a comparison.
const TURNS: usize = 7;
/// One try of a rate, and one slice of latencies.
const TRY: Duration = Duration::from_secs(1);
/// A closed-loop turn has about so many NOTIFYs.
const NOTIFIES_PER_TURN: u32 = 2_000;
/// SUBSCRIBEs of one turn, at most.
const SUBSCRIBES_PER_TURN_MAX: u32 = 1_000;

/// The three columns.
const NAMES: [&str; 3] = ["lamplighter", "Kamailio memory", "Kamailio durable"];

/// How a figure compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    /// Theirs / ours says how many times better we are.
    Less,
    /// Ours / theirs does.
    More,
}

struct Row {
    what: String,
    unit: &'static str,
    values: Vec<f64>,
    /// How many times better we are; paired where the servers took turns.
    ratios: Vec<f64>,
}

struct Comparison {
    watchers: u32,
    postgres: Option<Postgres>,
    rows: Vec<Row>,
}

fn main() -> Result<(), Error> {
    system::pin(PHONES_CPU);
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if let Err(error) = std::process::Command::new("kamailio").arg("-v").output() {
        println!("no kamailio here ({error}): bench/kamailio/run installs it");
        return Ok(());
    }
    let postgres = if has("--memory") {
        None
    } else {
        Some(Postgres::start()?)
    };
    let mut comparison = Comparison {
        watchers: if has("--quick") { 1_000 } else { 10_000 },
        postgres,
        rows: Vec::new(),
    };
    comparison.subscribe()?;
    comparison.publish()?;
    comparison.fan_out(20)?;
    comparison.fan_out(1000)?;
    comparison.print();
    Ok(())
}

impl Comparison {
    fn subjects(&self) -> Result<Vec<Subject>, Error> {
        let mut subjects = vec![Subject::lamplighter()?, Subject::memory()?];
        if let Some(postgres) = &self.postgres {
            subjects.push(Subject::durable(postgres)?);
        }
        Ok(subjects)
    }

    /// Lets the servers take turns at `work`, to and fro; what each turn was, by server.
    fn turns(
        subjects: &[Subject],
        fleets: &mut [Fleet],
        turns: usize,
        work: impl Fn(&mut Fleet) -> Result<u64, Error>,
    ) -> Result<Vec<Vec<Work>>, Error> {
        let mut all: Vec<Vec<Work>> = subjects.iter().map(|_| Vec::new()).collect();
        for turn in 0..turns {
            let mut order: Vec<usize> = (0..subjects.len()).collect();
            if turn % 2 == 1 {
                order.reverse();
            }
            for place in order {
                let subject = &subjects[place];
                let done = scenario::measure(&mut fleets[place], || subject.cpu(), &work)?;
                all[place].push(done);
            }
        }
        Ok(all)
    }

    /// Adds a row of what the turns say.
    fn add(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        better: Better,
        turns: &[Vec<Work>],
        value: impl Fn(&Work) -> f64,
    ) {
        let by_server: Vec<Vec<f64>> = turns
            .iter()
            .map(|works| works.iter().map(&value).collect())
            .collect();
        let ratio = |theirs: &Vec<f64>| {
            let pairs = by_server[0].iter().zip(theirs);
            let mut ratios: Vec<f64> = match better {
                Better::Less => pairs.map(|(ours, theirs)| theirs / ours).collect(),
                Better::More => pairs.map(|(ours, theirs)| ours / theirs).collect(),
            };
            pairs::median(&mut ratios)
        };
        let ratios = by_server.iter().map(ratio).collect();
        let values = by_server
            .iter()
            .map(|values| pairs::median(&mut values.clone()))
            .collect();
        self.push(Row {
            what: what.into(),
            unit,
            values,
            ratios,
        });
    }

    /// Adds a row of single values.
    fn add_values(&mut self, what: String, unit: &'static str, better: Better, values: Vec<f64>) {
        let ratio = |theirs: &f64| match better {
            Better::Less => theirs / values[0],
            Better::More => values[0] / theirs,
        };
        let ratios = values.iter().map(ratio).collect();
        self.push(Row {
            what,
            unit,
            values,
            ratios,
        });
    }

    fn push(&mut self, row: Row) {
        eprintln!("{}", row.text());
        self.rows.push(row);
    }

    fn subscribe(&mut self) -> Result<(), Error> {
        let subjects = self.subjects()?;
        let size = Size {
            keys_per_phone: 20,
            ..Size::fan_out(self.watchers / 10, 10)
        };
        let fleets = subjects.iter().map(|subject| {
            let mut fleet = Fleet::new(subject.sip, size)?;
            fleet.publish_all()?;
            Ok(fleet)
        });
        let mut fleets = fleets.collect::<Result<Vec<Fleet>, Error>>()?;
        let memory = |subjects: &[Subject]| -> Result<Vec<u64>, Error> {
            subjects.iter().map(Subject::memory_octets).collect()
        };
        let before = memory(&subjects)?;
        let each = (self.watchers / TURNS as u32).min(SUBSCRIBES_PER_TURN_MAX);
        let works = Self::turns(&subjects, &mut fleets, TURNS, |fleet| {
            fleet.subscribe(each)?;
            Ok(u64::from(each))
        })?;
        let after = memory(&subjects)?;
        let per_change = |work: &Work| micros(work.cpu) / work.changes as f64;
        self.add(
            "CPU per SUBSCRIBE with first NOTIFY",
            "us",
            Better::Less,
            &works,
            per_change,
        );
        let rate = |work: &Work| work.changes as f64 / work.time.as_secs_f64();
        self.add(
            "SUBSCRIBE/s, by the clock",
            "/s",
            Better::More,
            &works,
            rate,
        );
        let subscriptions = (TURNS as u64 * u64::from(each)) as f64;
        let grown = before.iter().zip(&after);
        let each =
            grown.map(|(before, after)| after.saturating_sub(*before) as f64 / subscriptions);
        let what = format!("memory per subscription, of {subscriptions}");
        self.add_values(what, "octets", Better::Less, each.collect());
        Ok(())
    }

    fn fleets(subjects: &[Subject], size: Size) -> Result<Vec<Fleet>, Error> {
        subjects
            .iter()
            .map(|subject| Fleet::subscribed(subject.sip, size))
            .collect()
    }

    fn publish(&mut self) -> Result<(), Error> {
        let subjects = self.subjects()?;
        let mut fleets = Self::fleets(&subjects, Size::fan_out(self.watchers / 10, 1))?;
        let works = Self::turns(&subjects, &mut fleets, TURNS, |fleet| {
            scenario::closed_loop(fleet, Stimulus::Publish, 1000, 32)
        })?;
        let per_change = |work: &Work| micros(work.cpu) / work.changes as f64;
        self.add(
            "CPU per PUBLISH with one watcher",
            "us",
            Better::Less,
            &works,
            per_change,
        );
        Ok(())
    }

    fn fan_out(&mut self, watchers: u32) -> Result<(), Error> {
        let subjects = self.subjects()?;
        // With fewer, changes of one would overtake each other, which is no loss.
        let presentities = (self.watchers / watchers).max(10);
        let mut fleets = Self::fleets(&subjects, Size::fan_out(presentities, watchers))?;
        let changes = u64::from(NOTIFIES_PER_TURN.div_ceil(watchers));
        let works = Self::turns(&subjects, &mut fleets, TURNS, |fleet| {
            scenario::closed_loop(fleet, Stimulus::Publish, changes, 1)
        })?;
        let what = format!("CPU per NOTIFY, fan-out {watchers}");
        self.add(what, "us", Better::Less, &works, Work::cpu_per_notify);
        let mut rates = Vec::new();
        for fleet in &mut fleets {
            rates.push(scenario::most_without_loss(fleet, TRY)?);
        }
        let what = format!("NOTIFY/s without loss, fan-out {watchers}");
        self.add_values(what, "/s", Better::More, rates.clone());
        // Each at half of what it can.
        let mut quantiles = [Vec::new(), Vec::new()];
        for (fleet, rate) in fleets.iter_mut().zip(rates) {
            let changes = (rate / f64::from(watchers) / 2.0).max(1.0);
            let mut outcome = scenario::open_loop(fleet, Stimulus::Publish, changes, TRY * 3)?;
            for (values, share) in quantiles.iter_mut().zip([0.5, 0.99]) {
                values.push(pairs::quantile(&mut outcome.last, share) / 1000.0);
            }
        }
        for (values, name) in quantiles.into_iter().zip(["p50", "p99"]) {
            let what = format!("publish to last of {watchers} at half load, {name}");
            self.add_values(what, "ms", Better::Less, values);
        }
        Ok(())
    }

    fn print(&self) {
        println!(
            "{:<46} {:>14} {:>24} {:>24}",
            "", NAMES[0], NAMES[1], NAMES[2]
        );
        for row in &self.rows {
            println!("{}", row.text());
        }
        println!("(x: how many times better this server is; paired where the servers took turns)");
        let bars: [(&str, Bar); 4] = [
            ("NOTIFY/s without loss, fan-out 20", bars::INCUMBENT_RATE_20),
            (
                "NOTIFY/s without loss, fan-out 1000",
                bars::INCUMBENT_RATE_1000,
            ),
            ("CPU per PUBLISH with one watcher", bars::INCUMBENT_PUBLISH),
            (
                "CPU per SUBSCRIBE with first NOTIFY",
                bars::INCUMBENT_SUBSCRIBE,
            ),
        ];
        for (what, bar) in bars {
            let ratio = self
                .rows
                .iter()
                .find(|row| row.what == what)
                .map(|row| row.ratios[1]);
            match ratio.filter(|ratio| ratio.is_normal()) {
                Some(ratio) => bar.report(ratio),
                // One of the two lost something at every rate: the machine is too busy for this.
                None => println!("no figure for: {what}"),
            }
        }
    }
}

impl Row {
    fn text(&self) -> String {
        let digits = if self.values[0] < 100.0 { 2 } else { 0 };
        let label = format!("{}, {}", self.what, self.unit);
        let mut text = format!("{label:<46} {:>14.digits$}", self.values[0]);
        for (value, ratio) in self.values.iter().zip(&self.ratios).skip(1) {
            text.push_str(&format!(" {value:>14.digits$} {ratio:>7.2}x "));
        }
        text
    }
}
