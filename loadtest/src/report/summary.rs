//! The result of a run: the contents of the JSON file, from which every other report is written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::latency::{Latency, Measure};
use crate::measure::process::Usage;
use crate::report::search::{Limit, Overload};
use crate::report::units::Unit;
use crate::report::{search, units};
use crate::run::{Outcome, Point};
use crate::swarm::Stage;

/// Version of the format: increased if a field changes its meaning.
const FORMAT: u32 = 3;
/// A generator busier than this may have limited the run.
pub(crate) const BUSY_MAX: f64 = 0.9;
const BUSY_SPAN_MIN: Duration = Duration::from_millis(500);
/// Nines of the highest percentile, and points per nine.
const NINES_MAX: u32 = 6;
const POINTS_PER_NINE: u32 = 8;

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) format: u32,
    pub(crate) tool: String,
    pub(crate) scenario: String,
    pub(crate) about: String,
    pub(crate) server: String,
    /// UTC, RFC 3339.
    pub(crate) began: String,
    pub(crate) seconds: f64,
    pub(crate) clean: bool,
    /// The reasons why it is not clean, in words.
    pub(crate) reasons: Vec<String>,
    /// Remarks for the reader that are not faults.
    pub(crate) remarks: Vec<String>,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) responses: BTreeMap<String, u64>,
    pub(crate) latencies: BTreeMap<String, LatencySummary>,
    pub(crate) stages: Vec<StageSummary>,
    /// Only if the server's processes are known.
    pub(crate) cost: Option<Cost>,
    pub(crate) overload: Option<Overload>,
    pub(crate) generator: Generator,
    pub(crate) timeline: Vec<PointSummary>,
    pub(crate) examples: Vec<String>,
    /// Every key of the scenario.
    pub(crate) keys: BTreeMap<String, serde_json::Value>,
}

/// One kind of latency, in microseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LatencySummary {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    /// Quantiles: pairs of a share (0 to 1) and its latency.
    pub(crate) percentiles: Vec<(f64, u64)>,
}

/// One stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StageSummary {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) notifies: u64,
    pub(crate) changes: u64,
    pub(crate) lamps: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) notifies_per_second: f64,
    pub(crate) server_cpu_seconds: f64,
    pub(crate) server_resident_octets: u64,
}

/// The server's resource use; a figure is missing if there was no such event.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_octets: u64,
    /// CPU time of the stage subscribe per subscription, including its first NOTIFY.
    pub(crate) cpu_us_per_subscription: Option<f64>,
    /// Memory gained in that stage per subscription.
    pub(crate) octets_per_subscription: Option<f64>,
    /// CPU time of the load per acknowledged NOTIFY, per change, per refresh: the total CPU time of
    /// the load divided by each count, so a figure is meaningful only if that kind dominates the
    /// load.
    pub(crate) cpu_us_per_notify: Option<f64>,
    pub(crate) cpu_us_per_change: Option<f64>,
    pub(crate) cpu_us_per_refresh: Option<f64>,
}

/// The resource use of this tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Generator {
    pub(crate) cpu_seconds: f64,
    /// Share of one CPU in the busiest stage.
    pub(crate) busy: f64,
    pub(crate) datagrams_dropped_by_machine: u64,
}

/// One point of the timeline; rates are per second.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PointSummary {
    pub(crate) at: f64,
    pub(crate) stage: String,
    pub(crate) notifies: f64,
    pub(crate) requests: f64,
    pub(crate) retransmissions: f64,
    pub(crate) lamp_p50: u64,
    pub(crate) lamp_p99: u64,
    pub(crate) lamp_max: u64,
    /// Share of one CPU.
    pub(crate) server_cpu: f64,
}

impl Summary {
    /// Sums up a run.
    pub(crate) fn new(outcome: &Outcome) -> Self {
        let Outcome {
            setting,
            scenario,
            swarm,
            ..
        } = outcome;
        let known = !setting.server_pids.is_empty();
        let overload = search::overload(outcome);
        let seconds = outcome.duration.as_secs_f64();
        let generator = Generator {
            cpu_seconds: (0..outcome.own.len())
                .map(|index| outcome.own_cpu(index).as_secs_f64())
                .sum(),
            busy: busy(outcome),
            datagrams_dropped_by_machine: outcome.datagrams_dropped,
        };
        let mut reasons = reasons(outcome);
        if let Some(overload) = &overload {
            reasons.extend(search::reasons(overload, outcome));
        }
        let latencies = Measure::ALL.into_iter().filter_map(|measure| {
            let latency = swarm.latencies().of(measure);
            let summary = LatencySummary::new(latency);
            (latency.count() > 0).then(|| (measure.key().to_owned(), summary))
        });
        let responses = swarm.tally().responses.iter();
        Self {
            format: FORMAT,
            tool: concat!("lamplighter-load ", env!("CARGO_PKG_VERSION")).to_owned(),
            scenario: setting.name.clone(),
            about: scenario.about.clone(),
            server: setting.target.server.to_string(),
            began: humantime::format_rfc3339_seconds(outcome.began).to_string(),
            seconds,
            clean: reasons.is_empty(),
            reasons,
            remarks: remarks(outcome, &generator, overload.as_ref()),
            faults: owned(swarm.tally().faults()),
            counts: counts(outcome),
            responses: responses
                .map(|((method, status), count)| (format!("{method} {status}"), *count))
                .collect(),
            latencies: latencies.collect(),
            stages: stages(outcome),
            cost: known.then(|| cost(outcome)),
            overload,
            generator,
            timeline: points(&outcome.timeline),
            examples: swarm.tally().examples.clone(),
            keys: keys(outcome),
        }
    }

    /// Parses the output of [`Self::json`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let summary: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match summary.format {
            FORMAT => Ok(summary),
            other => Err(format!("format {other}, expected {FORMAT}")),
        }
    }

    /// The summary as JSON.
    pub(crate) fn json(&self) -> String {
        // Maps with text keys and plain numbers always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The stage with that name, the longest if there are several.
    pub(crate) fn stage(&self, name: &str) -> Option<&StageSummary> {
        let named = self.stages.iter().filter(|stage| stage.name == name);
        named.max_by(|one, two| one.seconds.total_cmp(&two.seconds))
    }
}

impl Cost {
    /// Each figure with its name, in display order.
    pub(crate) fn figures(&self) -> [(&'static str, Unit, Option<f64>); 7] {
        let octets = Some(self.resident_octets as f64);
        [
            ("CPU", Unit::Time, Some(self.cpu_seconds * 1e6)),
            ("memory", Unit::Octets, octets),
            (
                "CPU per subscription",
                Unit::Time,
                self.cpu_us_per_subscription,
            ),
            (
                "CPU of the load per NOTIFY",
                Unit::Time,
                self.cpu_us_per_notify,
            ),
            (
                "CPU of the load per change",
                Unit::Time,
                self.cpu_us_per_change,
            ),
            (
                "CPU of the load per refresh",
                Unit::Time,
                self.cpu_us_per_refresh,
            ),
            (
                "memory per subscription",
                Unit::Octets,
                self.octets_per_subscription,
            ),
        ]
    }
}

impl LatencySummary {
    /// p50, p90, p99, p99.9 and the maximum.
    pub(crate) const fn quantiles(&self) -> [u64; 5] {
        [self.p50, self.p90, self.p99, self.p999, self.max]
    }

    fn new(latency: &Latency) -> Self {
        let mut percentiles = Vec::new();
        for step in 0..=NINES_MAX * POINTS_PER_NINE {
            let rest = 10_f64.powf(-f64::from(step) / f64::from(POINTS_PER_NINE));
            if rest * (latency.count() as f64) < 1.0 {
                break;
            }
            percentiles.push((1.0 - rest, latency.quantile(1.0 - rest)));
        }
        percentiles.push((1.0, latency.quantile(1.0)));
        Self {
            count: latency.count(),
            mean: latency.mean(),
            p50: latency.quantile(0.5),
            p90: latency.quantile(0.9),
            p99: latency.quantile(0.99),
            p999: latency.quantile(0.999),
            max: latency.quantile(1.0),
            percentiles,
        }
    }
}

fn owned<const N: usize>(pairs: [(&str, u64); N]) -> BTreeMap<String, u64> {
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

fn counts(outcome: &Outcome) -> BTreeMap<String, u64> {
    let tally = outcome.swarm.tally();
    owned([
        ("subscriptions", tally.subscriptions),
        ("established", tally.established),
        ("subscribes", tally.subscribes),
        ("refreshes", tally.refreshes),
        ("publishes", tally.publishes),
        ("http_requests", tally.http_requests),
        ("changes", tally.changes),
        ("lamps", tally.lamps),
        ("notifies", tally.notifies),
        ("acknowledged", tally.acknowledged),
        ("superseded", tally.superseded),
        ("held_back", tally.held_back),
        ("calls_blocked", tally.calls_blocked),
        ("reboots", tally.reboots),
        ("forgotten", tally.forgotten),
        ("withheld", tally.withheld),
        ("orphans", tally.orphans),
        ("retransmitted", tally.retransmitted),
        ("repeated", tally.repeated),
        ("dropped", tally.dropped),
        ("deferred", tally.deferred),
        ("unsent", tally.unsent),
        ("reopened", tally.reopened),
        ("sampled", tally.sampled),
    ])
}

fn reasons(outcome: &Outcome) -> Vec<String> {
    let tally = outcome.swarm.tally();
    let found = tally.faults().into_iter().filter(|(_, count)| *count > 0);
    let mut reasons: Vec<String> = found
        .map(|(fault, count)| format!("{}: {count}", fault.replace('_', " ")))
        .collect();
    debug_assert_eq!(tally.is_clean(), reasons.is_empty());
    if tally.notifies == 0 {
        reasons.push("no NOTIFY was received".to_owned());
    }
    reasons
}

fn remarks(outcome: &Outcome, generator: &Generator, overload: Option<&Overload>) -> Vec<String> {
    let tally = outcome.swarm.tally();
    let mut remarks = Vec::new();
    if generator.busy > BUSY_MAX {
        remarks.push(format!(
            "The generator used {:.0} % of its CPU: it may have been the limit, not the server.",
            generator.busy * 100.0
        ));
    }
    match overload.map(|overload| overload.limited_by) {
        Some(Limit::Generator) => remarks
            .push("The generator's CPU limited the search: the server can do more.".to_owned()),
        Some(Limit::Neither) => remarks.push(
            "The search ended where neither the server nor the generator was busy: others had the \
             CPU, or the network was the limit."
                .to_owned(),
        ),
        Some(Limit::Server) | None => {}
    }
    if generator.datagrams_dropped_by_machine > 0 {
        remarks.push(format!(
            "{} datagrams were dropped on the generator's machine because a receive buffer was full.",
            units::number(generator.datagrams_dropped_by_machine as f64)
        ));
    }
    if tally.superseded > 0 {
        remarks.push(format!(
            "{} times a watcher was shown a newer state instead of an older one; this is permitted.",
            units::number(tally.superseded as f64)
        ));
    }
    if tally.held_back + tally.calls_blocked > 0 {
        remarks.push(format!(
            "{} events were skipped: no user was free, or too many changes were still without a response.",
            units::number((tally.held_back + tally.calls_blocked) as f64)
        ));
    }
    remarks
}

/// The share of one CPU that this thread used in the busiest stage; short stages are ignored.
fn busy(outcome: &Outcome) -> f64 {
    let records = outcome.swarm.records().iter().enumerate();
    let shares = records
        .filter(|(_, record)| record.duration >= BUSY_SPAN_MIN)
        .map(|(index, record)| {
            outcome.own_cpu(index).as_secs_f64() / record.duration.as_secs_f64()
        });
    shares.fold(0.0, f64::max)
}

fn stages(outcome: &Outcome) -> Vec<StageSummary> {
    let records = outcome.swarm.records().iter();
    records
        .zip(outcome.usages.windows(2))
        .map(|(record, usages)| {
            let seconds = record.duration.as_secs_f64();
            let per_second = |count: u64| count as f64 / seconds.max(1e-6);
            StageSummary {
                name: record.stage.name().to_owned(),
                seconds,
                requests: record.requests,
                notifies: record.notifies,
                changes: record.changes,
                lamps: record.lamps,
                requests_per_second: per_second(record.requests),
                notifies_per_second: per_second(record.notifies),
                server_cpu_seconds: cpu_between(usages).as_secs_f64(),
                server_resident_octets: usages[1].resident_octets,
            }
        })
        .collect()
}

fn cpu_between(usages: &[Usage]) -> Duration {
    usages[1].cpu.saturating_sub(usages[0].cpu)
}

fn cost(outcome: &Outcome) -> Cost {
    let mut cost = Cost::default();
    let records = outcome.swarm.records().iter();
    for (record, usages) in records.zip(outcome.usages.windows(2)) {
        let cpu = cpu_between(usages).as_secs_f64();
        let each = |count: u64| (count > 0).then(|| cpu * 1e6 / count as f64);
        cost.cpu_seconds += cpu;
        cost.resident_octets = cost.resident_octets.max(usages[1].resident_octets);
        match record.stage {
            Stage::Subscribe => {
                let gained = usages[1].resident_octets as f64 - usages[0].resident_octets as f64;
                cost.cpu_us_per_subscription = each(record.subscribes);
                // A server that used this memory before shows no gain.
                cost.octets_per_subscription = (record.subscribes > 0 && gained > 0.0)
                    .then(|| gained / record.subscribes as f64);
            }
            Stage::Load => {
                cost.cpu_us_per_notify = each(record.acknowledged);
                cost.cpu_us_per_change = each(record.changes);
                cost.cpu_us_per_refresh = each(record.refreshes);
            }
            _ => {}
        }
    }
    cost
}

fn points(timeline: &[Point]) -> Vec<PointSummary> {
    let mut cpu_before = timeline
        .first()
        .map_or(Duration::ZERO, |one| one.server_cpu);
    let mut points = Vec::new();
    for point in timeline {
        let seconds = point.length.as_secs_f64().max(1e-6);
        let cpu = point.server_cpu.saturating_sub(cpu_before).as_secs_f64();
        cpu_before = point.server_cpu;
        points.push(PointSummary {
            at: point.at.as_secs_f64(),
            stage: point.stage.name().to_owned(),
            notifies: point.notifies as f64 / seconds,
            requests: point.requests as f64 / seconds,
            retransmissions: (point.retransmitted + point.repeated) as f64 / seconds,
            lamp_p50: point.lamp_p50,
            lamp_p99: point.lamp_p99,
            lamp_max: point.lamp_max,
            server_cpu: cpu / seconds,
        });
    }
    points
}

fn keys(outcome: &Outcome) -> BTreeMap<String, serde_json::Value> {
    let table = outcome.scenario.table().into_iter();
    table
        .filter(|(key, _)| key != "about")
        .map(|(key, value)| (key, serde_json::to_value(value).unwrap_or_default()))
        .collect()
}

/// A summary for the tests of the reports.
#[cfg(test)]
pub(crate) fn example() -> Summary {
    let mut latency = Latency::new();
    (1..=10_000_u64).for_each(|n| latency.record(Duration::from_micros(100 + n / 10)));
    let point = |at: f64| PointSummary {
        at,
        stage: if at < 2.0 { "subscribe" } else { "load" }.to_owned(),
        notifies: 1000.0 * at,
        requests: 100.0,
        retransmissions: 0.0,
        lamp_p50: 300,
        lamp_p99: 900,
        lamp_max: 1100,
        server_cpu: 0.3,
    };
    Summary {
        format: FORMAT,
        tool: "lamplighter-load test".to_owned(),
        scenario: "fan-out".to_owned(),
        about: "One user & many <watchers>.".to_owned(),
        server: "127.0.0.1:5060".to_owned(),
        began: "2026-11-22T12:00:00Z".to_owned(),
        seconds: 10.0,
        clean: true,
        reasons: Vec::new(),
        remarks: vec!["Nothing much.".to_owned()],
        faults: owned([("lost", 0), ("wrong", 0)]),
        counts: owned([("notifies", 10_000), ("changes", 10)]),
        responses: owned([("SUBSCRIBE 200", 1000)]),
        latencies: BTreeMap::from([("publish_to_lamp".to_owned(), LatencySummary::new(&latency))]),
        stages: vec![StageSummary {
            name: "load".to_owned(),
            seconds: 8.0,
            requests: 100,
            notifies: 10_000,
            changes: 10,
            lamps: 10_000,
            requests_per_second: 12.5,
            notifies_per_second: 1250.0,
            server_cpu_seconds: 0.2,
            server_resident_octets: 30 << 20,
        }],
        cost: Some(Cost {
            cpu_seconds: 0.2,
            resident_octets: 30 << 20,
            cpu_us_per_notify: Some(20.0),
            ..Cost::default()
        }),
        overload: None,
        generator: Generator {
            cpu_seconds: 1.0,
            busy: 0.1,
            datagrams_dropped_by_machine: 0,
        },
        timeline: (0..20).map(|n| point(f64::from(n) / 2.0)).collect(),
        examples: Vec::new(),
        keys: BTreeMap::from([("phones".to_owned(), 1000.into())]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_back() {
        let summary = example();
        let read = Summary::parse(&summary.json()).unwrap();
        assert_eq!(read.latencies["publish_to_lamp"].p99, 1090);
        assert_eq!(read.keys, summary.keys);
        assert_eq!(read.stage("load").unwrap().notifies, 10_000);
        assert!(read.stage("drain").is_none());
        let current = format!("\"format\": {FORMAT}");
        let other = summary.json().replacen(&current, "\"format\": 9", 1);
        assert!(Summary::parse(&other).unwrap_err().contains("format 9"));
        assert!(Summary::parse("{}").is_err());
    }

    #[test]
    fn percentiles_end_where_there_are_no_more_values() {
        let summary = example();
        let latency = &summary.latencies["publish_to_lamp"];
        let shares: Vec<f64> = latency.percentiles.iter().map(|pair| pair.0).collect();
        assert!(shares.is_sorted());
        // Ten thousand values: four nines, then the maximum.
        let before_last = shares[shares.len() - 2];
        assert!((0.9998..0.99995).contains(&before_last), "{before_last}");
        assert_eq!(shares.last(), Some(&1.0));
        assert!(latency.p50 <= latency.p90 && latency.p999 <= latency.max);
    }
}
