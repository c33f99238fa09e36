//! The report of the search for the best rate: its steps, its result, what limited it, and the
//! goodput of the load after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::report::summary::BUSY_MAX;
use crate::run::Outcome;
use crate::swarm::{SearchStep, Stage};

/// If neither the generator nor the server was busier than this, something else was the limit.
const IDLE_MAX: f64 = 0.6;

/// What limited a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Limit {
    /// The server; also if the server's CPU use is unknown.
    Server,
    /// This tool: the server can do more.
    Generator,
    /// Other processes on the machine, or the network.
    Neither,
}

/// The result of the search for the best rate, and of the load after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Overload {
    /// The highest rate without loss, as changes, lamps and acknowledged NOTIFYs; 0 if there was
    /// none.
    pub(crate) best_changes_per_second: f64,
    pub(crate) best_lamps_per_second: f64,
    pub(crate) best_notifies_per_second: f64,
    /// The server's CPU time at that rate, divided by the changes and by the NOTIFYs.
    pub(crate) best_cpu_us_per_change: Option<f64>,
    pub(crate) best_cpu_us_per_notify: Option<f64>,
    /// The highest rate of lamps in any step, with or without loss.
    pub(crate) most_lamps_per_second: f64,
    /// What ran out of CPU at the lowest rate that was too high.
    pub(crate) limited_by: Limit,
    /// The offered load as a percentage of the best rate, and the resulting lamps per second.
    pub(crate) percent: f64,
    pub(crate) lamps_per_second: f64,
    /// That rate as a percentage of the offered load, or of the best step if that is less.
    pub(crate) goodput_percent: f64,
    pub(crate) stale_seconds: f64,
    pub(crate) steps: Vec<StepSummary>,
}

/// A step of the search; rates are per second.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepSummary {
    /// Changes that were offered.
    pub(crate) changes: f64,
    pub(crate) lamps: f64,
    pub(crate) notifies: f64,
    /// Requests and NOTIFYs that were retransmitted.
    pub(crate) resent: u64,
    /// Nothing was lost.
    pub(crate) good: bool,
    /// Shares of one CPU.
    pub(crate) generator_busy: f64,
    pub(crate) server_cpu: f64,
}

/// Sums up the search of a run that had one.
pub(crate) fn overload(outcome: &Outcome) -> Option<Overload> {
    let search = outcome.swarm.search()?;
    let (_, load) = outcome.stage(Stage::Load)?;
    let best = search.best();
    let best_lamps = best.map_or(0.0, SearchStep::lamp_rate);
    let most_lamps = search.steps().iter().map(SearchStep::lamp_rate);
    let most_lamps = most_lamps.fold(0.0, f64::max);
    let rate = load.lamps as f64 / load.duration.as_secs_f64().max(1e-9);
    let percent = outcome.scenario.overload;
    let could_be = most_lamps.min(best_lamps * percent / 100.0);
    let stale = outcome.swarm.stale_after_load().unwrap_or(Duration::ZERO);
    let known = !outcome.setting.server_pids.is_empty();
    let best_cpu = best.filter(|_| known).and_then(|best| {
        let at = search.steps().iter().position(|step| step == best)?;
        let marks = outcome.marks.get(at * 2..at * 2 + 2)?;
        let cpu = marks[1].server.saturating_sub(marks[0].server);
        let each = |count: u64| cpu.as_secs_f64() * 1e6 / count.max(1) as f64;
        Some([best.changes, best.notifies].map(each))
    });
    let steps = steps(outcome, search.steps());
    Some(Overload {
        best_changes_per_second: best.map_or(0.0, |best| best.rate),
        best_lamps_per_second: best_lamps,
        best_notifies_per_second: best.map_or(0.0, SearchStep::notify_rate),
        best_cpu_us_per_change: best_cpu.map(|cpu| cpu[0]),
        best_cpu_us_per_notify: best_cpu.map(|cpu| cpu[1]),
        most_lamps_per_second: most_lamps,
        limited_by: limited_by(&steps, known),
        percent,
        lamps_per_second: rate,
        goodput_percent: 100.0 * rate / could_be.max(1e-9),
        stale_seconds: stale.as_secs_f64(),
        steps,
    })
}

fn steps(outcome: &Outcome, steps: &[SearchStep]) -> Vec<StepSummary> {
    let marks = outcome.marks.chunks_exact(2);
    let summaries = steps.iter().zip(marks).map(|(step, marks)| {
        let seconds = marks[1].at.duration_since(marks[0].at).as_secs_f64();
        let share = |before: Duration, after: Duration| {
            after.saturating_sub(before).as_secs_f64() / seconds.max(1e-6)
        };
        StepSummary {
            changes: step.rate,
            lamps: step.lamp_rate(),
            notifies: step.notify_rate(),
            resent: step.resent,
            good: step.good,
            generator_busy: share(marks[0].own, marks[1].own),
            server_cpu: share(marks[0].server, marks[1].server),
        }
    });
    summaries.collect()
}

/// The step with the lowest rate that was too high.
fn too_much(steps: &[StepSummary]) -> Option<&StepSummary> {
    let best = steps.iter().filter(|step| step.good);
    let best = best.map(|step| step.changes).fold(0.0, f64::max);
    let too_much = steps.iter().filter(|step| step.changes > best);
    too_much.min_by(|one, two| one.changes.total_cmp(&two.changes))
}

fn limited_by(steps: &[StepSummary], known: bool) -> Limit {
    match too_much(steps) {
        Some(step) if step.generator_busy > BUSY_MAX && step.server_cpu < BUSY_MAX => {
            Limit::Generator
        }
        Some(step) if known && step.generator_busy.max(step.server_cpu) < IDLE_MAX => {
            Limit::Neither
        }
        _ => Limit::Server,
    }
}

/// Why the run is not clean, as far as the search and the load after it are concerned.
pub(crate) fn reasons(overload: &Overload, outcome: &Outcome) -> Vec<String> {
    let mut reasons = Vec::new();
    if overload.best_changes_per_second == 0.0 {
        reasons.push("the search found no rate without loss".to_owned());
    }
    if overload.goodput_percent < outcome.scenario.goodput_min {
        reasons.push(format!(
            "at {:.0} % load the goodput was {:.0} %, below the required {:.0} %",
            overload.percent, overload.goodput_percent, outcome.scenario.goodput_min
        ));
    }
    if overload.stale_seconds > outcome.scenario.stale_max.as_secs_f64() {
        reasons.push(format!(
            "lamps were stale for {:.1} s after the load, longer than the permitted {:.1} s",
            overload.stale_seconds,
            outcome.scenario.stale_max.as_secs_f64()
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_reports_what_ended_it() {
        let step = |changes, good, generator_busy, server_cpu| StepSummary {
            changes,
            lamps: changes,
            notifies: changes,
            resent: 0,
            good,
            generator_busy,
            server_cpu,
        };
        let ended = |generator, server| {
            let steps = [
                step(100.0, true, 0.2, 0.3),
                step(200.0, false, 1.0, 0.1),
                step(150.0, false, generator, server),
            ];
            limited_by(&steps, true)
        };
        assert_eq!(ended(0.95, 0.5), Limit::Generator);
        assert_eq!(ended(0.95, 0.99), Limit::Server);
        assert_eq!(ended(0.3, 0.97), Limit::Server);
        assert_eq!(ended(0.3, 0.4), Limit::Neither);
        let unknown = [step(100.0, true, 0.2, 0.0), step(200.0, false, 0.3, 0.0)];
        assert_eq!(limited_by(&unknown, false), Limit::Server);
        assert_eq!(limited_by(&[], true), Limit::Server);
    }
}
