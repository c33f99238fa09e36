//! Prometheus' protobuf format: messages `io.prometheus.client.MetricFamily`, each behind its length. A
//! histogram has classic and native buckets; both are exact counts.

use prost::Message;

use crate::http::monitor::family::{Family, Kind, Sample, Value};
use crate::telemetry::durations::{Distribution, SCHEMA, ZERO_THRESHOLD};

/// The format in Accept.
pub(super) const MEDIA_TYPE: &str = "application/vnd.google.protobuf";
/// The parameters that it must have there.
pub(super) const PARAMETERS: [(&str, &str); 2] = [
    ("proto", "io.prometheus.client.MetricFamily"),
    ("encoding", "delimited"),
];

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// The families that have values.
pub(super) fn write(families: &[Family]) -> Vec<u8> {
    let shown = families.iter().filter(|family| !family.samples.is_empty());
    shown
        .flat_map(|family| MetricFamily::from(family).encode_length_delimited_to_vec())
        .collect()
}

// As in client_model's metrics.proto: the fields that we use. One that is 0 is left out.

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(enumeration = "MetricType", tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `Counter` and `Gauge`, which are alike.
#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    /// The count of each bucket of the spans, less that of the one before.
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
}

/// Buckets side by side.
#[derive(Clone, PartialEq, Message)]
struct BucketSpan {
    /// The index of the first span; of others, how many buckets are empty before.
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

impl From<&Family> for MetricFamily {
    fn from(family: &Family) -> Self {
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let metric = |sample| Metric::of(sample, family.kind);
        Self {
            name: family.name.clone(),
            help: family.help.clone(),
            kind: kind.into(),
            metric: family.samples.iter().map(metric).collect(),
        }
    }
}

impl Metric {
    fn of(sample: &Sample, kind: Kind) -> Self {
        let labels = sample.labels.iter().map(|(name, value)| LabelPair {
            name: (*name).to_owned(),
            value: value.clone(),
        });
        let metric = Self {
            label: labels.collect(),
            ..Self::default()
        };
        let value = match &sample.value {
            Value::Count(count) => *count as f64,
            Value::Real(real) => *real,
            Value::Distribution(values) => {
                let histogram = Some(values.into());
                return Self {
                    histogram,
                    ..metric
                };
            }
        };
        let number = Some(Number { value });
        match kind {
            Kind::Counter => Self {
                counter: number,
                ..metric
            },
            Kind::Gauge | Kind::Histogram => Self {
                gauge: number,
                ..metric
            },
        }
    }
}

impl From<&Distribution> for Histogram {
    fn from(values: &Distribution) -> Self {
        let classic = values
            .up_to()
            .map(|(upper_bound, cumulative_count)| Bucket {
                cumulative_count,
                upper_bound,
            });
        let mut histogram = Self {
            sample_count: values.count(),
            sample_sum: values.seconds(),
            bucket: classic.collect(),
            schema: SCHEMA,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: values.zero_count(),
            ..Self::default()
        };
        let (mut next, mut before) = (0, 0);
        for (index, count) in values.buckets() {
            match histogram.positive_span.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => histogram.positive_span.push(BucketSpan {
                    offset: index - next,
                    length: 1,
                }),
            }
            histogram.positive_delta.push(count as i64 - before);
            (next, before) = (index + 1, count as i64);
        }
        histogram
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::telemetry::durations::Durations;
    use std::time::Duration;

    fn read(mut octets: &[u8]) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        while !octets.is_empty() {
            families.push(MetricFamily::decode_length_delimited(&mut octets).unwrap());
        }
        families
    }

    #[test]
    fn families_are_delimited_and_those_without_values_left_out() {
        let written = write(&[
            Family::new("notifies_sent", Kind::Counter, "NOTIFYs.").with(7),
            Family::new("refusals", Kind::Counter, "No value."),
            Family::new("load", Kind::Gauge, "Load.").with_labels(&[("core", "1")], 0.5),
        ]);
        // name, help, type 0 left out, metric { counter { value: 7.0 } }
        let first = b"\x3b\x0a\x1flamplighter_notifies_sent_total\x12\x08NOTIFYs.\x22\x0b\x1a\x09\x09\0\0\0\0\0\0\x1c\x40";
        let (length, rest) = written.split_first().unwrap();
        assert_eq!(usize::from(*length), first.len() - 1);
        assert_eq!(rest[..first.len() - 1], first[1..]);
        let [counter, gauge] = &read(&written)[..] else {
            panic!("{written:?}")
        };
        assert_eq!(counter.metric[0].counter, Some(Number { value: 7.0 }));
        assert_eq!(
            (gauge.kind(), gauge.name.as_str()),
            (MetricType::Gauge, "lamplighter_load")
        );
        assert_eq!(gauge.metric[0].gauge, Some(Number { value: 0.5 }));
        assert_eq!(gauge.metric[0].label[0].value, "1");
    }

    #[test]
    fn a_histogram_has_both_forms() {
        let durations = Durations::default();
        for milliseconds in [0, 1, 1, 1, 250, 251] {
            durations.record(Duration::from_millis(milliseconds));
        }
        let family = Family::new("turn_duration_seconds", Kind::Histogram, "Turns.");
        let written = write(&[family.with(Distribution::of([&durations]))]);
        let families = read(&written);
        let histogram = families[0].metric[0].histogram.as_ref().unwrap();
        assert_eq!(
            (
                histogram.schema,
                histogram.sample_count,
                histogram.zero_count
            ),
            (3, 6, 1)
        );
        assert_eq!(histogram.sample_sum, 0.504);
        assert_eq!(histogram.bucket.last().unwrap().cumulative_count, 6);
        // 1 ms is below 2^(-79/8) s; 250 ms is 2^(-16/8) s, whose bucket it belongs to.
        let spans = [(-79, 1), (62, 2)].map(|(offset, length)| BucketSpan { offset, length });
        assert_eq!(histogram.positive_span, spans);
        assert_eq!(histogram.positive_delta, [3, -2, 0]);
    }

    /// Prometheus knows a native histogram without values by its zero threshold.
    #[test]
    fn an_empty_histogram_is_native_too() {
        let none = Histogram::from(&Distribution::of([]));
        assert!(none.zero_threshold > 0.0 && none.sample_count == 0);
    }
}
