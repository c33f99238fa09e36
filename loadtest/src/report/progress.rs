//! The progress of a run: a bar with live rates on a terminal, otherwise a plain line every few
//! seconds; one line per stage in both cases. It is written to standard error, so that the table
//! can be saved separately.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::report::units;
use crate::run::Point;
use crate::scenario::Scenario;
use crate::swarm::{StageRecord, Swarm};

/// Points of the timeline between two plain lines.
const POINTS_PER_LINE: u32 = 4;
/// Steps of the bar.
const STEPS: u64 = 1000;

/// Shows the progress of a run.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    points: u32,
}

impl Progress {
    pub(crate) fn new(name: &str, scenario: &Scenario, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::new(STEPS);
            if let Ok(style) = ProgressStyle::with_template("{prefix:10} {bar:30} {msg}") {
                bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            }
            bar
        });
        let progress = Self {
            bar,
            quiet,
            points: 0,
        };
        progress.say(&format!(
            "{name}: {} phones, {} subscriptions, {} users behind {} ports",
            units::number(f64::from(scenario.phones)),
            units::number(f64::from(scenario.subscriptions())),
            units::number(f64::from(scenario.presentities)),
            units::number(f64::from(scenario.ports())),
        ));
        progress
    }

    /// A stage has ended.
    pub(crate) fn stage_ended(&self, record: &StageRecord) {
        self.say(&format!(
            "{:<10}{:>8.2} s  {:>10} requests  {:>10} NOTIFYs",
            record.stage.name(),
            record.duration.as_secs_f64(),
            units::number(record.requests as f64),
            units::number(record.notifies as f64),
        ));
    }

    /// An interval has ended.
    pub(crate) fn point(&mut self, swarm: &Swarm, point: &Point, now: Instant) {
        let seconds = point.length.as_secs_f64().max(1e-6);
        let per_second = |count: u64| units::number((count as f64 / seconds).round());
        let mut text = format!(
            "{} NOTIFY/s  {} requests/s  {} in flight",
            per_second(point.notifies),
            per_second(point.requests),
            units::number(swarm.in_flight() as f64),
        );
        if point.lamp_p99 > 0 {
            let [p50, p99] = [point.lamp_p50, point.lamp_p99].map(|one| units::time(one as f64));
            text.push_str(&format!("  lamps p50 {p50} p99 {p99}"));
        }
        let faults: u64 = swarm.tally().faults()[..6]
            .iter()
            .map(|(_, count)| count)
            .sum();
        if faults > 0 {
            text.push_str(&format!("  {faults} faults"));
        }
        self.points += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(point.stage.name());
                bar.set_position((swarm.share_done(now) * STEPS as f64) as u64);
                bar.set_message(text);
            }
            None if !self.quiet && self.points.is_multiple_of(POINTS_PER_LINE) => {
                eprintln!(
                    "{:>7.1} s  {:<10}{text}",
                    point.at.as_secs_f64(),
                    point.stage.name()
                );
            }
            None => {}
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None if !self.quiet => eprintln!("{line}"),
            None => {}
        }
    }
}
