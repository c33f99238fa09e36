//! The table of ratios: what each server does, how many times better this one is, and the errors of
//! each while it was measured.

use lamplighter_bench::pairs;

use crate::load::Report;

/// The reports of each server, turn by turn.
pub(crate) type Runs = Vec<Vec<Report>>;

/// How a figure compares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Theirs / ours says how many times better we are.
    Less,
    /// Ours / theirs does.
    More,
}

/// A server's figure.
#[derive(Clone, Copy)]
struct Cell {
    value: f64,
    /// How many times better we are: the median of the paired turns.
    ratio: f64,
    /// The load generator was the limit, not the server.
    at_least: bool,
}

struct Row {
    what: String,
    unit: &'static str,
    /// None where no turn had such a figure.
    cells: Vec<Option<Cell>>,
    opponents: Vec<usize>,
}

/// How right a server was in the runs of a scenario.
struct Faults {
    scenario: &'static str,
    server: usize,
    runs: usize,
    lost: u64,
    duplicate: u64,
    stale: u64,
    other: u64,
    /// Requests and NOTIFYs that were sent again.
    resent: u64,
    /// Older states that a newer one replaced.
    superseded: u64,
    /// Share of a CPU that the load generator took at most.
    generator: f64,
    /// Who ended its searches.
    limits: Vec<String>,
    reasons: Vec<String>,
}

/// All of it.
pub(crate) struct Table {
    names: Vec<&'static str>,
    /// By column, the column of ours that it is compared with.
    opponents: Vec<usize>,
    rows: Vec<Row>,
    faults: Vec<Faults>,
}

impl Table {
    pub(crate) fn new(names: &[&'static str], opponents: &[usize]) -> Self {
        Self {
            names: names.to_vec(),
            opponents: opponents.to_vec(),
            rows: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn servers(&self) -> usize {
        self.names.len()
    }

    /// Adds a row of what the runs say.
    pub(crate) fn add(
        &mut self,
        what: &str,
        unit: &'static str,
        better: Better,
        runs: &Runs,
        value: impl Fn(&Report) -> Option<f64>,
    ) {
        let figures = |reports: &Vec<Report>| -> Vec<Option<f64>> {
            let values = reports.iter().map(&value);
            values
                .map(|value| value.filter(|value| *value > 0.0))
                .collect()
        };
        let cells = runs.iter().zip(&self.opponents).map(|(reports, opponent)| {
            let (ours, theirs) = (figures(&runs[*opponent]), figures(reports));
            let mut values: Vec<f64> = theirs.iter().copied().flatten().collect();
            let pairs = ours.iter().zip(&theirs);
            let pairs = pairs.filter_map(|(ours, theirs)| Some(((*ours)?, (*theirs)?)));
            let mut ratios: Vec<f64> = pairs
                .map(|(ours, theirs)| match better {
                    Better::Less => theirs / ours,
                    Better::More => ours / theirs,
                })
                .collect();
            (!values.is_empty()).then(|| Cell {
                value: pairs::median(&mut values),
                ratio: pairs::median(&mut ratios),
                at_least: false,
            })
        });
        let row = Row {
            what: what.to_owned(),
            unit,
            cells: cells.collect(),
            opponents: self.opponents.clone(),
        };
        eprintln!("{}", row.text());
        self.rows.push(row);
    }

    /// Adds a row of rates that a search found; some of them may be the load generator's limit.
    pub(crate) fn add_rate(
        &mut self,
        what: &str,
        runs: &Runs,
        value: impl Fn(&Report) -> Option<f64>,
    ) {
        self.add(what, "/s", Better::More, runs, value);
        let cells = self.rows.last_mut().map(|row| row.cells.iter_mut());
        for (cell, reports) in cells.into_iter().flatten().zip(runs) {
            if let Some(cell) = cell {
                let by_generator = |run: &Report| run.limited_by() == Some("generator");
                cell.at_least = reports.iter().any(by_generator);
            }
        }
    }

    /// Adds how right the servers were.
    pub(crate) fn faults(&mut self, scenario: &'static str, runs: &Runs) {
        for (server, reports) in runs.iter().enumerate() {
            let sum = |place| reports.iter().map(|run| run.count(place)).sum::<u64>();
            let [lost, duplicate, stale] =
                ["/faults/lost", "/faults/duplicate", "/faults/stale"].map(sum);
            let all: u64 = reports.iter().map(Report::faults).sum();
            let busy = reports
                .iter()
                .filter_map(|run| run.number("/generator/busy"));
            self.faults.push(Faults {
                scenario,
                server,
                runs: reports.len(),
                lost,
                duplicate,
                stale,
                other: all - lost - duplicate - stale,
                resent: sum("/counts/retransmitted") + sum("/counts/repeated"),
                superseded: sum("/counts/superseded"),
                generator: busy.fold(0.0, f64::max),
                limits: reports
                    .iter()
                    .filter_map(|run| run.limited_by().map(str::to_owned))
                    .collect(),
                reasons: reports.iter().flat_map(Report::reasons).collect(),
            });
        }
    }

    /// How many times better we are than that server; None if one of the two has no figure.
    pub(crate) fn ratio(&self, what: &str, server: usize) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.what == what)?;
        let ratio = (*row.cells.get(server)?)?.ratio;
        ratio.is_normal().then_some(ratio)
    }

    pub(crate) fn print(&self) {
        print!("\n{:<52}", "");
        for (server, name) in self.names.iter().enumerate() {
            let width = if server == 0 { 14 } else { 24 };
            print!(" {name:>width$}");
        }
        println!();
        for row in &self.rows {
            println!("{}", row.text());
        }
        println!(
            "\n{:<14}{:<18}{:>5}{:>7}{:>11}{:>7}{:>7}{:>12}{:>12}{:>11}  searches ended by",
            "scenario",
            "server",
            "runs",
            "lost",
            "duplicate",
            "stale",
            "other",
            "sent again",
            "superseded",
            "generator"
        );
        for faults in &self.faults {
            println!("{}", faults.text(self.names[faults.server]));
            for reason in &faults.reasons {
                println!("{:14}not clean: {reason}", "");
            }
        }
    }
}

impl Row {
    fn text(&self) -> String {
        let label = format!("{}, {}", self.what, self.unit);
        let mut text = format!("{label:<52}");
        for (server, cell) in self.cells.iter().enumerate() {
            let Some(cell) = cell else {
                text.push_str(if server == 0 {
                    "              -"
                } else {
                    "                        -"
                });
                continue;
            };
            let digits = if cell.value < 100.0 { 2 } else { 0 };
            let at_least = if cell.at_least { ">=" } else { "" };
            let value = format!("{at_least}{:.digits$}", cell.value);
            text.push_str(&format!(" {value:>14}"));
            if server > 0 {
                // If our rate was limited by the generator, the true ratio is higher.
                let ours = self.cells[self.opponents[server]];
                let ours = ours.is_some_and(|ours| ours.at_least);
                let ratio = format!("{}{:.2}x", if ours { ">=" } else { "" }, cell.ratio);
                text.push_str(&format!(" {ratio:>9}"));
            }
        }
        text
    }
}

impl Faults {
    fn text(&self, name: &str) -> String {
        let Self {
            scenario,
            runs,
            lost,
            duplicate,
            stale,
            other,
            resent,
            superseded,
            generator,
            limits,
            ..
        } = self;
        format!(
            "{scenario:<14}{name:<18}{runs:>5}{lost:>7}{duplicate:>11}{stale:>7}{other:>7}{resent:>12}\
             {superseded:>12}{:>10.0}%  {}",
            generator * 100.0,
            limits.join(", ")
        )
    }
}
