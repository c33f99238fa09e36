//! Prometheus' text format (version 0.0.4). Histograms are classic.
//!
//! Guarantee: every family has HELP and TYPE, whatever a help text or a label's value contains.

use std::fmt::{Display, Write};

use crate::http::monitor::family::{Family, Kind, Value};
use crate::telemetry::durations::Distribution;

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The families that have values.
pub(super) fn write(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        write_family(family, &mut text);
    }
    text
}

fn write_family(family: &Family, text: &mut String) {
    let name = &family.name;
    let help = family.help.replace('\\', r"\\").replace('\n', r"\n");
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    // Writing into a String cannot fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for sample in &family.samples {
        let mut line = Line {
            name,
            labels: &sample.labels,
            text,
        };
        match &sample.value {
            Value::Count(count) => line.write("", None, count),
            Value::Real(real) => line.write("", None, real),
            Value::Distribution(values) => line.write_histogram(values),
        }
    }
}

/// The lines of one value.
struct Line<'t> {
    name: &'t str,
    labels: &'t [(&'static str, String)],
    text: &'t mut String,
}

impl Line<'_> {
    /// The counts of values up to each bound, and of all; their sum.
    fn write_histogram(&mut self, values: &Distribution) {
        for (bound, within) in values.up_to() {
            self.write("_bucket", Some(&bound.to_string()), within);
        }
        self.write("_bucket", Some("+Inf"), values.count());
        self.write("_sum", None, values.seconds());
        self.write("_count", None, values.count());
    }

    /// `bound`: of a bucket.
    fn write(&mut self, suffix: &str, bound: Option<&str>, value: impl Display) {
        let labels = self.labels.iter().map(|(label, of)| (*label, of.as_str()));
        let labels = labels.chain(bound.map(|bound| ("le", bound)));
        let _ = write!(self.text, "{}{suffix}", self.name);
        let mut before = '{';
        for (label, of) in labels {
            let of = of.replace('\\', r"\\").replace('"', "\\\"");
            let _ = write!(self.text, "{before}{label}=\"{}\"", of.replace('\n', r"\n"));
            before = ',';
        }
        let after = if before == ',' { "}" } else { "" };
        let _ = writeln!(self.text, "{after} {value}");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::telemetry::durations::Durations;
    use std::time::Duration;

    #[test]
    fn a_family_has_help_type_and_values() {
        let gauge = Family::standard("process_x", Kind::Gauge, "A \\ b.");
        let families = [
            Family::new("notifies_sent", Kind::Counter, " NOTIFYs\nsent. ").with(7),
            gauge.with_labels(&[("file", "a\"b\\c\nd"), ("of", "e")], 0.5),
            Family::new("refusals", Kind::Counter, "No value."),
        ];
        assert_eq!(
            write(&families),
            "# HELP lamplighter_notifies_sent_total NOTIFYs\\nsent.\n\
             # TYPE lamplighter_notifies_sent_total counter\n\
             lamplighter_notifies_sent_total 7\n\
             # HELP process_x A \\\\ b.\n\
             # TYPE process_x gauge\n\
             process_x{file=\"a\\\"b\\\\c\\nd\",of=\"e\"} 0.5\n"
        );
    }

    #[test]
    fn the_counts_of_a_histogram_add_up() {
        let durations = Durations::default();
        for milliseconds in [1, 250, 300, 10_000] {
            durations.record(Duration::from_millis(milliseconds));
        }
        let family = Family::new("turn_duration_seconds", Kind::Histogram, "Turns.");
        let text = write(&[family.with_labels(&[("core", "0")], Distribution::of([&durations]))]);
        let (first, rest) = text.split_once("_bucket").unwrap();
        assert_eq!(
            first,
            "# HELP lamplighter_turn_duration_seconds Turns.\n\
             # TYPE lamplighter_turn_duration_seconds histogram\n\
             lamplighter_turn_duration_seconds"
        );
        for line in [
            "_bucket{core=\"0\",le=\"0.0009765625\"} 0\n",
            "_bucket{core=\"0\",le=\"0.25\"} 2\n",
            "_bucket{core=\"0\",le=\"0.5\"} 3\n",
            "_bucket{core=\"0\",le=\"+Inf\"} 4\n",
            "_sum{core=\"0\"} 10.551\n",
            "_count{core=\"0\"} 4\n",
        ] {
            assert!(rest.contains(line), "{line}{text}");
        }
    }
}
