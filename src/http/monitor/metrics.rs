//! `/metrics`: everything that is counted, in Prometheus' text format.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;

use crate::http::engine::Engine;
use crate::http::monitor;
use crate::http::monitor::catalogue::description;
use crate::http::monitor::exposition::{self, Exposition, Kind};
use crate::http::representation::counters::{Counters, shown_status};
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::Site;
use crate::telemetry::durations::{Distribution, Durations};
use crate::telemetry::{self, CoreCounters};
use crate::tls::{Certificate, SharedKeyring};

/// Refusals by method and status are counted as `refused_subscribe_403`.
const REFUSED: &str = "refused_";
/// What is shown in another way here: the lengths of turns as a histogram, times in seconds.
const SHOWN_OTHERWISE: [&str; 5] = [
    "turn_nanoseconds_p50",
    "turn_nanoseconds_p99",
    "turn_nanoseconds_p999",
    "turn_nanoseconds_max",
    "timer_lateness_milliseconds",
];

/// `GET /metrics`
pub(crate) async fn metrics<E: Engine>(site: &Site<E>) -> Response {
    let engine = &site.engine;
    let counted = monitor::count(site).await;
    let mut out = Exposition::default();
    process(&mut out, site.facts.started);
    let mut gauge = |name, help, value| out.family(name, Kind::Gauge, help).value(value);
    gauge("shards", "Shards that run.", engine.shards().into());
    gauge(
        "shards_silent",
        "Shards that did not say what they count.",
        counted.silent.len() as u64,
    );
    gauge(
        "ready",
        "1 if new work is taken.",
        u64::from(engine.is_ready()),
    );
    values(&mut out, &counted.values);
    labelled(&mut out, &counted);
    let late = counted.value("timer_lateness_milliseconds");
    out.family(
        "timer_lateness_seconds",
        Kind::Gauge,
        "How late the earliest timer was after the last turn that handled timers; of all cores the largest.",
    )
    .value(late as f64 / 1e3);
    let cores = telemetry::cores();
    turns(&mut out, &cores);
    requests(&mut out, &cores, &site.call_state_durations);
    certificates(&mut out, &site.facts.keyrings);
    response::typed(StatusCode::OK, exposition::CONTENT_TYPE, out.into_text())
}

/// What is counted, and refusals by method and status.
fn values(out: &mut Exposition, values: &[(&str, u64)]) {
    let is_refusal = |name: &str| name.starts_with(REFUSED);
    let shown = values
        .iter()
        .filter(|(name, _)| !is_refusal(name) && !SHOWN_OTHERWISE.contains(name));
    for (name, value) in shown {
        let Some(described) = description(name) else {
            debug_assert!(false, "{name} has no description");
            continue;
        };
        out.family(name, described.kind, described.help)
            .value(value);
    }
    let refusals = values.iter().filter_map(|(name, value)| {
        let (method, status) = name.strip_prefix(REFUSED)?.split_once('_')?;
        Some((method, status, value))
    });
    let mut family = out.family(
        "refusals",
        Kind::Counter,
        "Requests refused, by method and status.",
    );
    for (method, status, value) in refusals {
        let method = method.to_ascii_uppercase();
        family.sample(&[("method", &method), ("status", status)], value);
    }
}

/// What is counted by event package, and by profile and status.
fn labelled(out: &mut Exposition, counted: &Counters) {
    let help = "Active subscriptions, by event package.";
    let mut family = out.family("subscriptions_by_event", Kind::Gauge, help);
    for (event, count) in &counted.subscriptions {
        family.sample(&[("event", event)], count);
    }
    let mut family = out.family(
        "notify_failures",
        Kind::Counter,
        "NOTIFYs answered with another status than 2xx, or with none in time, by profile and status.",
    );
    for failures in &counted.notify_failures {
        let status = shown_status(failures.status);
        let labels = [("profile", &*failures.profile), ("status", &status)];
        family.sample(&labels, failures.count);
    }
}

/// How long accepted requests took.
fn requests(out: &mut Exposition, cores: &[Arc<CoreCounters>], call_state: &Durations) {
    let mut family = out.family(
        "request_duration_seconds",
        Kind::Histogram,
        "Times from the arrival of a request until its 2xx was handed to the socket, the commit of the store included; of call_state.htm until its response was.",
    );
    let of_cores = |of: fn(&CoreCounters) -> &Durations| {
        Distribution::of(cores.iter().map(|counters| of(counters)))
    };
    for (request, distribution) in [
        ("PUBLISH", of_cores(|core| &core.publish_durations)),
        ("SUBSCRIBE", of_cores(|core| &core.subscribe_durations)),
        ("REGISTER", of_cores(|core| &core.register_durations)),
        ("call_state.htm", Distribution::of([call_state])),
    ] {
        family.histogram(("request", request), &distribution);
    }
}

/// The lengths of the turns of every core.
fn turns(out: &mut Exposition, cores: &[Arc<CoreCounters>]) {
    let mut family = out.family(
        "turn_duration_seconds",
        Kind::Histogram,
        "Lengths of a shard's turns. A long one delays every lamp of its shard.",
    );
    for counters in cores {
        let core = counters.core().to_string();
        let distribution = Distribution::of([&counters.turn_durations]);
        family.histogram(("core", &core), &distribution);
    }
}

/// What Prometheus knows of every process, and the version.
fn process(out: &mut Exposition, started: Instant) {
    out.family(
        "build_info",
        Kind::Gauge,
        "1; the label says which version runs.",
    )
    .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    // Computed once: Prometheus takes a start time that changes for a restart.
    static STARTED: OnceLock<f64> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let started = now.unwrap_or_default().saturating_sub(started.elapsed());
        started.as_secs_f64()
    });
    let help = "Start time of the process since the Unix epoch in seconds.";
    out.standard("process_start_time_seconds", Kind::Gauge, help)
        .value(started);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(octets) = resident_octets(&status) {
        let help = "Resident memory size in bytes.";
        out.standard("process_resident_memory_bytes", Kind::Gauge, help)
            .value(octets);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let help = "Number of open file descriptors.";
        out.standard("process_open_fds", Kind::Gauge, help)
            .value(files.count());
    }
}

/// When each certificate runs out.
fn certificates(out: &mut Exposition, keyrings: &[SharedKeyring]) {
    let keyrings = keyrings.iter().map(SharedKeyring::current);
    let certificates = keyrings.flat_map(|keyring| keyring.certificates.to_vec());
    // Several listeners may have one certificate.
    let times: BTreeMap<String, u64> = certificates.map(|one| not_after(&one)).collect();
    let mut family = out.family(
        "tls_certificate_not_after_seconds",
        Kind::Gauge,
        "When each certificate runs out, since the Unix epoch.",
    );
    for (file, seconds) in &times {
        family.sample(&[("file", file)], seconds);
    }
}

/// The file of a certificate, and when it runs out in seconds since 1970.
fn not_after(certificate: &Certificate) -> (String, u64) {
    let since = certificate.not_after.duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    (certificate.path.display().to_string(), seconds)
}

/// `VmRSS:     5124 kB`
fn resident_octets(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::CONTROL_CONNECTIONS;
    use crate::http::connections::Connections;
    use crate::http::transport_counters::TransportCounters;
    use crate::shard::{Command, CommandId, Input, Options, Outbox, Reply, Shard, ShardId};
    use crate::telemetry;
    use std::sync::Arc;

    /// A name that stood for two things would make the exposition invalid.
    #[test]
    fn every_name_is_there_once_and_described() {
        let now = Instant::now();
        let options = Options::new(ShardId(0), 1, now, [1; 32]);
        let mut shard = Shard::new(options, Arc::default(), [2; 32]);
        let mut outbox = Outbox::default();
        shard.handle(
            Input::Command(CommandId(1), Command::Counters),
            now,
            &mut outbox,
        );
        let [(CommandId(1), Reply::Counters(engine))] = &outbox.replies[..] else {
            unreachable!("one command, one reply")
        };
        let mut names: Vec<&str> = engine.values.iter().map(|(name, _)| *name).collect();
        names.extend(telemetry::totals().iter().map(|(name, _)| *name));
        names.extend(
            Connections::new(CONTROL_CONNECTIONS)
                .counters()
                .map(|(name, _)| name),
        );
        let transport = TransportCounters::default();
        names.extend(transport.values().map(|(name, _)| name));
        names.extend(["http_attempts_wrong", "http_attempts_refused"]);
        names.extend(["store_commits", "store_rows", "store_failing"]);
        names.extend(["store_rows_unwritten", "store_rows_impossible"]);
        names.extend(["store_files_damaged", "store_rows_salvaged"]);
        names.extend(["store_commits_lost"]);
        names.extend(["history_changes", "history_thinned"]);
        names.extend(["history_pruned", "history_failing"]);
        names.extend(["history_files_damaged", "history_salvaged"]);
        for name in &names {
            assert!(description(name).is_some(), "{name}");
        }
        names.extend(["shards", "shards_silent", "ready", "timer_lateness_seconds"]);
        names.extend(["build_info", "turn_duration_seconds", "refusals"]);
        names.push("request_duration_seconds");
        names.extend(["subscriptions_by_event", "notify_failures"]);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn resident_memory_is_read() {
        assert_eq!(
            resident_octets("Name:\tx\nVmRSS:\t    5124 kB\n"),
            Some(5124 << 10)
        );
        assert_eq!(resident_octets(""), None);
    }
}
