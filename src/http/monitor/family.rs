//! What `/metrics` shows, before it is written in one of Prometheus' formats: families of values.
//!
//! Guarantee: every family has a legal name, a type and a help text. Not checked here: that a family is
//! there once.

use crate::telemetry::durations::Distribution;

/// The prefix of our own names.
const PREFIX: &str = "lamplighter_";

/// What the values of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only grow, until the process ends. Names end in `_total`.
    Counter,
    /// They grow and fall.
    Gauge,
    /// Counts of values by their size.
    Histogram,
}

/// Values with one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What the values are; a sentence.
    pub(super) help: String,
    /// Empty if there is none: then the family is left out.
    pub(super) samples: Vec<Sample>,
}

/// A value, and its labels.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// Of a counter or gauge.
    Count(u64),
    /// As well.
    Real(f64),
    /// Of a histogram.
    Distribution(Distribution),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

impl From<Distribution> for Value {
    fn from(distribution: Distribution) -> Self {
        Self::Distribution(distribution)
    }
}

impl Family {
    /// A family of ours without values; its name has no prefix yet.
    pub(super) fn new(name: &str, kind: Kind, help: &str) -> Self {
        let suffix = if kind == Kind::Counter { "_total" } else { "" };
        Self::standard(&format!("{PREFIX}{name}{suffix}"), kind, help)
    }

    /// One with a name that is the same for every process, such as `process_open_fds`.
    pub(super) fn standard(name: &str, kind: Kind, help: &str) -> Self {
        let is_legal =
            |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
        debug_assert!(name.bytes().all(is_legal), "{name}");
        Self {
            name: name.to_owned(),
            kind,
            help: help.trim().to_owned(),
            samples: Vec::new(),
        }
    }

    /// With a value without labels.
    pub(super) fn with(self, value: impl Into<Value>) -> Self {
        self.with_labels(&[], value)
    }

    /// With a value with these labels.
    pub(super) fn with_labels(
        mut self,
        labels: &[(&'static str, &str)],
        value: impl Into<Value>,
    ) -> Self {
        let labels = labels.iter().map(|(name, of)| (*name, (*of).to_owned()));
        self.samples.push(Sample {
            labels: labels.collect(),
            value: value.into(),
        });
        self
    }
}
