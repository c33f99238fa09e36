//! Prometheus' text format (version 0.0.4), written family by family.
//!
//! Guarantee: names and labels are legal and every family has HELP and TYPE, whatever a help text or a
//! label's value contains. Not checked here: that a family is written once.

use std::fmt::{Display, Write};

use crate::telemetry::durations::Distribution;

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The prefix of our own names.
const PREFIX: &str = "lamplighter_";

/// What the values of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only grow, until the process ends. Names end in `_total`.
    Counter,
    /// They grow and fall.
    Gauge,
    /// Counts of values up to each bound.
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// The family that is being written. One without values is left out.
#[derive(Debug)]
pub(super) struct Family<'e> {
    text: &'e mut String,
    name: String,
    /// HELP and TYPE, until they are written.
    head: Option<String>,
}

impl Exposition {
    /// Begins a family of ours, whose name has no prefix yet.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let suffix = if kind == Kind::Counter { "_total" } else { "" };
        self.standard(&format!("{PREFIX}{name}{suffix}"), kind, help)
    }

    /// Begins a family with a name that is the same for every process, such as `process_open_fds`.
    pub(super) fn standard(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        debug_assert!(
            name.bytes().all(|letter| letter.is_ascii_lowercase()
                || letter.is_ascii_digit()
                || letter == b'_'),
            "{name}"
        );
        let help = help.trim().replace('\\', r"\\").replace('\n', r"\n");
        let kind = kind.word();
        Family {
            text: &mut self.0,
            name: name.to_owned(),
            head: Some(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")),
        }
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// The only value of the family.
    pub(super) fn value(mut self, value: impl Display) {
        self.sample(&[], value);
    }

    /// One of its values.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// A histogram: the counts of values up to each bound, of all values, and their sum.
    pub(super) fn histogram(&mut self, label: (&str, &str), values: &Distribution) {
        for (bound, within) in values.up_to() {
            self.line("_bucket", &[label, ("le", &bound.to_string())], within);
        }
        self.line("_bucket", &[label, ("le", "+Inf")], values.count());
        self.line("_sum", &[label], values.seconds());
        self.line("_count", &[label], values.count());
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.extend(self.head.take());
        // Writing into a String cannot fail.
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (label, of)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let of = of.replace('\\', r"\\").replace('"', "\\\"");
            let _ = write!(self.text, "{before}{label}=\"{}\"", of.replace('\n', r"\n"));
        }
        let after = if labels.is_empty() { "" } else { "}" };
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
        let mut exposition = Exposition::default();
        let counter = exposition.family("notifies_sent", Kind::Counter, " NOTIFYs\nsent. ");
        counter.value(7);
        let mut gauge = exposition.standard("process_x", Kind::Gauge, "A \\ b.");
        gauge.sample(&[("file", "a\"b\\c\nd"), ("of", "e")], 0.5);
        exposition.family("refusals", Kind::Counter, "No value.");
        assert_eq!(
            exposition.into_text(),
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
        let mut exposition = Exposition::default();
        let mut family = exposition.family("turn_duration_seconds", Kind::Histogram, "Turns.");
        let durations = Durations::default();
        for milliseconds in [1, 250, 300, 10_000] {
            durations.record(Duration::from_millis(milliseconds));
        }
        family.histogram(("core", "0"), &Distribution::of([&durations]));
        let text = exposition.into_text();
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
