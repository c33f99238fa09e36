//! What a run found: counters, latencies, the verdict; as a table for people and as JSON for
//! machines.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Examples of what was wrong that are kept; the rest is only counted.
const EXAMPLES_MAX: usize = 10;

/// One part of a run.
#[derive(Clone, Debug)]
pub(crate) struct PhaseReport {
    pub(crate) name: String,
    /// From the first request to the last thing that was waited for.
    pub(crate) duration: Duration,
    /// Requests finished with a 2xx.
    pub(crate) requests: u64,
    /// NOTIFYs seen for the first time.
    pub(crate) notifies: u64,
}

/// Everything that was counted.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) subscriptions: u64,
    /// Subscriptions with a 2xx.
    pub(crate) established: u64,
    /// Subscriptions that were refused or never answered, at the beginning or at the end.
    pub(crate) failed: u64,
    pub(crate) publishes: u64,
    pub(crate) publishes_failed: u64,
    /// Final responses by method and status.
    pub(crate) answers: BTreeMap<(&'static str, u16), u64>,
    pub(crate) requests_retransmitted: u64,
    pub(crate) requests_timed_out: u64,
    /// Requests put off by a 503 with Retry-After.
    pub(crate) deferred: u64,

    /// Seen for the first time.
    pub(crate) notifies: u64,
    /// Recognised as retransmissions and answered again.
    pub(crate) notifies_repeated: u64,
    /// Changes a watcher was never told, and versions that were skipped.
    pub(crate) lost: u64,
    pub(crate) duplicate: u64,
    pub(crate) stale: u64,
    pub(crate) out_of_order: u64,
    pub(crate) wrong: u64,
    /// Messages that could not be read, that no subscription or request belongs to, or that `rsip`
    /// found at fault.
    pub(crate) foreign: u64,
    /// Messages read in full by `rsip`.
    pub(crate) sampled: u64,
    /// Messages thrown away on purpose (`--loss`).
    pub(crate) dropped: u64,
    pub(crate) datagrams_unsent: u64,
    pub(crate) connections_closed: u64,
    pub(crate) examples: Vec<String>,

    pub(crate) subscribe_latency: Latency,
    pub(crate) publish_latency: Latency,
    pub(crate) notify_latency: Latency,
    pub(crate) phases: Vec<PhaseReport>,
}

impl Report {
    pub(crate) fn new(subscriptions: u64) -> Self {
        Self {
            subscriptions,
            established: 0,
            failed: 0,
            publishes: 0,
            publishes_failed: 0,
            answers: BTreeMap::new(),
            requests_retransmitted: 0,
            requests_timed_out: 0,
            deferred: 0,
            notifies: 0,
            notifies_repeated: 0,
            lost: 0,
            duplicate: 0,
            stale: 0,
            out_of_order: 0,
            wrong: 0,
            foreign: 0,
            sampled: 0,
            dropped: 0,
            datagrams_unsent: 0,
            connections_closed: 0,
            examples: Vec::new(),
            subscribe_latency: Latency::new(),
            publish_latency: Latency::new(),
            notify_latency: Latency::new(),
            phases: Vec::new(),
        }
    }

    /// Keeps one line about something that went wrong.
    pub(crate) fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    /// Whether every subscription was established and ended, and every lamp was right at all times.
    pub(crate) fn is_clean(&self) -> bool {
        let faults = [
            self.failed,
            self.publishes_failed,
            self.lost,
            self.duplicate,
            self.stale,
            self.out_of_order,
            self.wrong,
            self.foreign,
            self.connections_closed,
        ];
        self.established == self.subscriptions && faults.iter().all(|&count| count == 0)
    }

    /// The summary as one JSON object.
    pub(crate) fn json(&self) -> String {
        let mut out = String::from("{\n");
        for (name, value) in self.counters() {
            let _ = writeln!(out, "  \"{name}\": {value},");
        }
        for (name, latency) in self.latencies() {
            let _ = writeln!(out, "  \"{name}_microseconds\": {},", latency.json());
        }
        let answers: Vec<String> = self
            .answers
            .iter()
            .map(|((method, status), count)| format!("\"{method} {status}\": {count}"))
            .collect();
        let _ = writeln!(out, "  \"answers\": {{{}}},", answers.join(", "));
        let phases: Vec<String> = self.phases.iter().map(PhaseReport::json).collect();
        let _ = writeln!(out, "  \"phases\": [\n{}\n  ],", phases.join(",\n"));
        let _ = writeln!(out, "  \"clean\": {}\n}}", self.is_clean());
        out
    }

    fn counters(&self) -> [(&'static str, u64); 20] {
        [
            ("subscriptions", self.subscriptions),
            ("established", self.established),
            ("failed", self.failed),
            ("publishes", self.publishes),
            ("publishes_failed", self.publishes_failed),
            ("notifies", self.notifies),
            ("lost", self.lost),
            ("duplicate", self.duplicate),
            ("stale", self.stale),
            ("out_of_order", self.out_of_order),
            ("wrong", self.wrong),
            ("foreign", self.foreign),
            ("notifies_repeated", self.notifies_repeated),
            ("requests_retransmitted", self.requests_retransmitted),
            ("requests_timed_out", self.requests_timed_out),
            ("deferred", self.deferred),
            ("sampled", self.sampled),
            ("dropped", self.dropped),
            ("datagrams_unsent", self.datagrams_unsent),
            ("connections_closed", self.connections_closed),
        ]
    }

    fn latencies(&self) -> [(&'static str, &Latency); 3] {
        [
            ("subscribe_to_200", &self.subscribe_latency),
            ("publish_to_200", &self.publish_latency),
            ("publish_to_notify", &self.notify_latency),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<24}{:>9}{:>13}{:>13}",
            "", "seconds", "requests/s", "NOTIFY/s"
        )?;
        for phase in &self.phases {
            let (requests, notifies) = phase.rates();
            let seconds = phase.duration.as_secs_f64();
            writeln!(
                out,
                "{:<24}{seconds:>9.2}{requests:>13.0}{notifies:>13.0}",
                phase.name
            )?;
        }
        writeln!(
            out,
            "\n{:<24}{:>9}{:>13}{:>13}",
            "latency, ms", "p50", "p99", "max"
        )?;
        for (name, latency) in self.latencies() {
            let [p50, p99, max] = latency.summary().map(|micros| micros as f64 / 1000.0);
            let name = name.replace('_', " ");
            writeln!(out, "{name:<24}{p50:>9.2}{p99:>13.2}{max:>13.2}")?;
        }
        writeln!(out)?;
        for pair in self.counters().chunks(2) {
            for (name, value) in pair {
                write!(out, "{:<24}{value:>9}      ", name.replace('_', " "))?;
            }
            writeln!(out)?;
        }
        let answers = self.answers.iter();
        let answers: Vec<String> = answers
            .map(|((method, status), count)| format!("{method} {status}: {count}"))
            .collect();
        writeln!(out, "{:<24}{}", "answers", answers.join(", "))?;
        for example in &self.examples {
            writeln!(out, "  ! {example}")?;
        }
        let verdict = if self.is_clean() {
            "clean: every watcher saw every change once, in order, and nothing else"
        } else {
            "NOT CLEAN"
        };
        writeln!(out, "{verdict}")
    }
}

impl PhaseReport {
    /// Requests and NOTIFYs a second.
    fn rates(&self) -> (f64, f64) {
        let seconds = self.duration.as_secs_f64().max(1e-6);
        (
            self.requests as f64 / seconds,
            self.notifies as f64 / seconds,
        )
    }

    fn json(&self) -> String {
        let (requests, notifies) = self.rates();
        format!(
            "    {{\"name\": \"{}\", \"seconds\": {:.6}, \"requests\": {}, \"notifies\": {}, \
             \"requests_per_second\": {requests:.0}, \"notifies_per_second\": {notifies:.0}}}",
            self.name,
            self.duration.as_secs_f64(),
            self.requests,
            self.notifies,
        )
    }
}

/// Latencies from one microsecond to a minute, three digits exact.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Option<Histogram<u64>>);

impl Latency {
    const MICROSECONDS_MAX: u64 = 60_000_000;

    fn new() -> Self {
        // The bounds are constants that hdrhistogram accepts; without a histogram nothing would be
        // recorded.
        Self(Histogram::new_with_bounds(1, Self::MICROSECONDS_MAX, 3).ok())
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record((latency.as_micros() as u64).max(1));
        }
    }

    /// p50, p99 and maximum in microseconds.
    fn summary(&self) -> [u64; 3] {
        self.0.as_ref().map_or([0; 3], |histogram| {
            let quantile = |quantile| histogram.value_at_quantile(quantile);
            [quantile(0.5), quantile(0.99), histogram.max()]
        })
    }

    fn json(&self) -> String {
        let [p50, p99, max] = self.summary();
        let count = self.0.as_ref().map_or(0, Histogram::len);
        format!("{{\"count\": {count}, \"p50\": {p50}, \"p99\": {p99}, \"max\": {max}}}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn clean() -> Report {
        let mut report = Report::new(2);
        report.established = 2;
        report.phases.push(PhaseReport {
            name: "subscribe".to_owned(),
            duration: Duration::from_millis(500),
            requests: 2,
            notifies: 2,
        });
        report
    }

    #[test]
    fn each_kind_of_fault_spoils_the_verdict() {
        assert!(clean().is_clean());
        let spoils: [fn(&mut Report); 10] = [
            |report| report.established = 1,
            |report| report.failed = 1,
            |report| report.publishes_failed = 1,
            |report| report.lost = 1,
            |report| report.duplicate = 1,
            |report| report.stale = 1,
            |report| report.out_of_order = 1,
            |report| report.wrong = 1,
            |report| report.foreign = 1,
            |report| report.connections_closed = 1,
        ];
        for spoil in spoils {
            let mut report = clean();
            spoil(&mut report);
            assert!(!report.is_clean());
            assert!(report.to_string().contains("NOT CLEAN"));
            assert!(report.json().contains("\"clean\": false"));
        }
    }

    #[test]
    fn the_table_and_the_json_have_the_numbers() {
        let mut report = clean();
        report.notify_latency.record(Duration::from_millis(3));
        report.notify_latency.record(Duration::from_secs(100));
        report.answers.insert(("SUBSCRIBE", 200), 2);
        let table = report.to_string();
        assert!(table.contains("SUBSCRIBE 200: 2"), "{table}");
        let json = report.json();
        assert!(json.contains("\"requests_per_second\": 4"), "{json}");
        let latency = "\"publish_to_notify_microseconds\": {\"count\": 2, \"p50\": 3001";
        assert!(json.contains(latency), "{json}");
        assert_eq!(json.matches('{').count(), json.matches('}').count());
    }

    #[test]
    fn examples_are_bounded() {
        let mut report = clean();
        (0..100).for_each(|number| report.example(|| number.to_string()));
        assert_eq!(report.examples.len(), EXAMPLES_MAX);
    }
}
