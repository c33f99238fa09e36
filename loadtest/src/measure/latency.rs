//! Latencies, one histogram per kind: from one microsecond to two minutes, with three significant
//! digits.

use std::time::Duration;

use hdrhistogram::Histogram;

const MICROSECONDS_MAX: u64 = 120_000_000;

/// The kinds of latency. All except the last count from the moment a request was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// From a change until a watcher shows it: one value for each watcher.
    Lamp,
    /// From a change until the first watcher shows it.
    LampFirst,
    /// From a change until the last of its watchers shows it.
    LampLast,
    /// From a SUBSCRIBE that begins a dialog until its 2xx.
    SubscribeResponse,
    /// From a SUBSCRIBE that begins a dialog until its first NOTIFY.
    SubscribeNotify,
    /// From a SUBSCRIBE in a dialog until its 2xx.
    RefreshResponse,
    /// From a SUBSCRIBE in a dialog until its NOTIFY.
    RefreshNotify,
    /// From a PUBLISH until its 2xx.
    PublishResponse,
    /// From a GET of call_state.htm until its 200.
    HttpResponse,
    /// How late requests were sent: the tool's own share of all latencies above.
    StartLag,
}

impl Measure {
    pub(crate) const ALL: [Self; 10] = [
        Self::Lamp,
        Self::LampFirst,
        Self::LampLast,
        Self::SubscribeResponse,
        Self::SubscribeNotify,
        Self::RefreshResponse,
        Self::RefreshNotify,
        Self::PublishResponse,
        Self::HttpResponse,
        Self::StartLag,
    ];

    /// Its key in the JSON report.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Lamp => "publish_to_lamp",
            Self::LampFirst => "publish_to_first_lamp",
            Self::LampLast => "publish_to_last_lamp",
            Self::SubscribeResponse => "subscribe_to_200",
            Self::SubscribeNotify => "subscribe_to_notify",
            Self::RefreshResponse => "refresh_to_200",
            Self::RefreshNotify => "refresh_to_notify",
            Self::PublishResponse => "publish_to_200",
            Self::HttpResponse => "http_to_200",
            Self::StartLag => "generator_lag",
        }
    }
}

/// One histogram.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Option<Histogram<u64>>);

impl Latency {
    pub(crate) fn new() -> Self {
        // The limits are constants that hdrhistogram accepts; without a histogram nothing would be
        // recorded.
        Self(Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3).ok())
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record((latency.as_micros() as u64).max(1));
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The quantile in microseconds; 0 without values.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |histogram| histogram.value_at_quantile(quantile))
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.as_ref().map_or(0.0, Histogram::mean)
    }

    pub(crate) fn clear(&mut self) {
        if let Some(histogram) = &mut self.0 {
            histogram.reset();
        }
    }
}

/// All histograms of a run, and one for the current interval.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    all: Vec<Latency>,
    /// Lamps of the current interval.
    pub(crate) interval: Latency,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self {
            all: vec![Latency::new(); Measure::ALL.len()],
            interval: Latency::new(),
        }
    }

    pub(crate) fn record(&mut self, measure: Measure, latency: Duration) {
        self.all[measure as usize].record(latency);
        if measure == Measure::Lamp {
            self.interval.record(latency);
        }
    }

    pub(crate) fn of(&self, measure: Measure) -> &Latency {
        &self.all[measure as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_has_its_place() {
        for (index, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(measure as usize, index);
        }
        let mut latencies = Latencies::new();
        latencies.record(Measure::Lamp, Duration::from_millis(3));
        latencies.record(Measure::StartLag, Duration::from_secs(3600));
        assert_eq!(latencies.of(Measure::Lamp).count(), 1);
        assert_eq!(latencies.interval.quantile(0.5), 3001);
        assert!(latencies.of(Measure::StartLag).quantile(1.0) >= MICROSECONDS_MAX);
        assert_eq!(latencies.of(Measure::LampLast).quantile(0.99), 0);
        latencies.interval.clear();
        assert_eq!(latencies.interval.count(), 0);
    }
}
