//! `/metrics`: everything that is counted, as families of values; in the format that the client prefers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use crate::http::engine::Engine;
use crate::http::monitor;
use crate::http::monitor::catalogue::description;
use crate::http::monitor::family::{Family, Kind};
use crate::http::monitor::{protobuf, relays, text};
use crate::http::representation::accept;
use crate::http::representation::counters::{Counters, shown_status};
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::Site;
use crate::shard::contract::counters::TransportCounters;
use crate::sip::Transport;
use crate::telemetry::durations::{Distribution, Durations};
use crate::telemetry::{self, CoreCounters};
use crate::tls::{Certificate, SharedKeyring};

/// Refusals by method and status are counted as `refused_subscribe_403`.
const REFUSED: &str = "refused_";
/// Domains that are labels, at most; every other is [`OTHER`]. So a node has so many series, whatever the
/// number of its domains.
const DOMAINS_MAX: usize = 20;
/// The label of all other domains. A domain of that name is one of them.
const OTHER: &str = "other";
/// Requests shed are counted as `requests_shed_by_phone`.
const SHED: &str = "requests_shed_by_";
/// What is shown in another way here: the lengths of turns as a histogram, times in seconds.
const SHOWN_OTHERWISE: [&str; 5] = [
    "turn_nanoseconds_p50",
    "turn_nanoseconds_p99",
    "turn_nanoseconds_p999",
    "turn_nanoseconds_max",
    "timer_lateness_milliseconds",
];

/// `GET /metrics`
pub(crate) async fn metrics<E: Engine>(request: Request<Incoming>, site: &Site<E>) -> Response {
    let headers = request.headers();
    let is_protobuf = accept::prefers(headers, protobuf::MEDIA_TYPE, &protobuf::PARAMETERS);
    let families = families(site).await;
    if is_protobuf {
        response::typed(
            StatusCode::OK,
            protobuf::CONTENT_TYPE,
            protobuf::write(&families),
        )
    } else {
        response::typed(StatusCode::OK, text::CONTENT_TYPE, text::write(&families))
    }
}

/// Everything that is shown.
async fn families<E: Engine>(site: &Site<E>) -> Vec<Family> {
    let engine = &site.engine;
    let counted = monitor::count(site).await;
    let cores = telemetry::cores();
    let gauge = |name, help, value: u64| Family::new(name, Kind::Gauge, help).with(value);
    let mut families = process(site.facts.started);
    families.extend([
        gauge("shards", "Shards that run.", engine.shards().into()),
        gauge(
            "shards_silent",
            "Shards that did not say what they count.",
            counted.silent.len() as u64,
        ),
        gauge("ready", "1 if new work is taken.", engine.is_ready().into()),
    ]);
    families.extend(values(&counted.values));
    families.extend([
        refusals(&counted.values),
        sheds(&counted.values),
        subscriptions(&counted),
        domains(&counted.domains),
        by_transport(
            &counted,
            "messages_received_by_transport",
            "SIP requests and responses received that could be parsed, by transport.",
            |transport| transport.messages_received,
        ),
        by_transport(
            &counted,
            "notifies_sent_by_transport",
            "NOTIFYs sent, without retransmissions, by transport.",
            |transport| transport.notifies_sent,
        ),
        notify_outcomes(&counted),
        lateness(&counted),
        turns(&cores),
        requests(&cores, &site.call_state_durations),
        certificates(&site.facts.keyrings),
    ]);
    families.extend(super::connectors::families(site).await);
    families.extend(relays::families(&site.relays().await.0));
    families
}

/// What is counted, except what has labels.
fn values(values: &[(&str, u64)]) -> impl Iterator<Item = Family> {
    let is_labelled = |name: &str| {
        [REFUSED, SHED]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let is_shown = move |name: &str| !is_labelled(name) && !SHOWN_OTHERWISE.contains(&name);
    let shown = values.iter().filter(move |(name, _)| is_shown(name));
    shown.filter_map(|(name, value)| {
        let described = description(name);
        debug_assert!(described.is_some(), "{name} has no description");
        let described = described?;
        Some(Family::new(name, described.kind, described.help).with(*value))
    })
}

fn refusals(values: &[(&str, u64)]) -> Family {
    let refusals = values.iter().filter_map(|(name, value)| {
        let (method, status) = name.strip_prefix(REFUSED)?.split_once('_')?;
        Some((method.to_ascii_uppercase(), status, *value))
    });
    let help = "Requests refused, by method and status.";
    let family = Family::new("refusals", Kind::Counter, help);
    refusals.fold(family, |family, (method, status, value)| {
        family.with_labels(&[("method", &method), ("status", status)], value)
    })
}

fn sheds(values: &[(&str, u64)]) -> Family {
    let help = "503 responses and commands refused, by the limit that was exceeded; requests_shed_by_... in lamplighter counters.";
    let family = Family::new("requests_shed", Kind::Counter, help);
    let sheds = values
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(SHED)?, *value)));
    sheds.fold(family, |family, (limit, value)| {
        family.with_labels(&[("limit", limit)], value)
    })
}

fn subscriptions(counted: &Counters) -> Family {
    let help = "Active subscriptions, by event package.";
    let family = Family::new("subscriptions_by_event", Kind::Gauge, help);
    let counts = counted.subscriptions.iter();
    counts.fold(family, |family, (event, count)| {
        family.with_labels(&[("event", event)], *count)
    })
}

/// The domains with the most subscriptions, and all others as one.
fn domains(counts: &[(Arc<str>, u64)]) -> Family {
    let help = "Active subscriptions to users of a domain: of the 20 domains with most, and of all others together.";
    let family = Family::new("subscriptions_by_domain", Kind::Gauge, help);
    let mut named: Vec<_> = counts.iter().filter(|(name, _)| **name != *OTHER).collect();
    named.sort_by(|(one, of_one), (two, of_two)| (of_two, one).cmp(&(of_one, two)));
    named.truncate(DOMAINS_MAX);
    let shown = |(domain, count): &&(Arc<str>, u64)| (Arc::clone(domain), *count);
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let of_named: u64 = named.iter().map(|(_, count)| count).sum();
    let labelled = named
        .iter()
        .map(shown)
        .chain([(OTHER.into(), all - of_named)]);
    labelled.fold(family, |family, (domain, count)| {
        family.with_labels(&[("domain", &domain)], count)
    })
}

fn by_transport(
    counted: &Counters,
    name: &str,
    help: &str,
    of: impl Fn(&TransportCounters) -> u64,
) -> Family {
    let family = Family::new(name, Kind::Counter, help);
    let counters = Transport::ALL.iter().zip(&counted.transports);
    counters.fold(family, |family, (transport, counters)| {
        family.with_labels(&[("transport", transport.name())], of(counters))
    })
}

fn notify_outcomes(counted: &Counters) -> Family {
    let help =
        "NOTIFYs that ended, by profile and the status of the response; none if none came in time.";
    let family = Family::new("notify_outcomes", Kind::Counter, help);
    counted
        .notify_outcomes
        .iter()
        .fold(family, |family, outcomes| {
            let status = shown_status(outcomes.status);
            let labels = [("profile", &*outcomes.profile), ("status", &status)];
            family.with_labels(&labels, outcomes.count)
        })
}

fn lateness(counted: &Counters) -> Family {
    let help = "How late the earliest timer was after the last turn that handled timers; of all cores the largest.";
    let seconds = counted.value("timer_lateness_milliseconds") as f64 / 1e3;
    Family::new("timer_lateness_seconds", Kind::Gauge, help).with(seconds)
}

/// The lengths of the turns of every core.
fn turns(cores: &[Arc<CoreCounters>]) -> Family {
    let help = "Lengths of a shard's turns. A long one delays every lamp of its shard.";
    let family = Family::new("turn_duration_seconds", Kind::Histogram, help);
    cores.iter().fold(family, |family, counters| {
        let core = counters.core().to_string();
        let distribution = Distribution::of([&counters.turn_durations]);
        family.with_labels(&[("core", &core)], distribution)
    })
}

/// How long accepted requests took.
fn requests(cores: &[Arc<CoreCounters>], call_state: &Durations) -> Family {
    let help = "Times from the arrival of a request until its 2xx was handed to the socket, the commit of the store included; of call_state.htm until its response was.";
    let of_cores = |of: fn(&CoreCounters) -> &Durations| {
        Distribution::of(cores.iter().map(|counters| of(counters)))
    };
    Family::new("request_duration_seconds", Kind::Histogram, help)
        .with_labels(
            &[("request", "PUBLISH")],
            of_cores(|core| &core.publish_durations),
        )
        .with_labels(
            &[("request", "SUBSCRIBE")],
            of_cores(|core| &core.subscribe_durations),
        )
        .with_labels(
            &[("request", "REGISTER")],
            of_cores(|core| &core.register_durations),
        )
        .with_labels(
            &[("request", "call_state.htm")],
            Distribution::of([call_state]),
        )
}

/// What Prometheus knows of every process, and the version.
fn process(started: Instant) -> Vec<Family> {
    let help = "1; the label says which version runs.";
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    let build = Family::new("build_info", Kind::Gauge, help).with_labels(&version, 1);
    // Computed once: Prometheus takes a start time that changes for a restart.
    static STARTED: OnceLock<f64> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let started = now.unwrap_or_default().saturating_sub(started.elapsed());
        started.as_secs_f64()
    });
    let gauge = |name, help| Family::standard(name, Kind::Gauge, help);
    let help = "Start time of the process since the Unix epoch in seconds.";
    let start = gauge("process_start_time_seconds", help).with(*started);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = resident_octets(&status).map(|octets| {
        let help = "Resident memory size in bytes.";
        gauge("process_resident_memory_bytes", help).with(octets)
    });
    let files = std::fs::read_dir("/proc/self/fd").ok().map(|files| {
        let help = "Number of open file descriptors.";
        gauge("process_open_fds", help).with(files.count() as u64)
    });
    let families = [Some(build), Some(start), memory, files];
    families.into_iter().flatten().collect()
}

/// When each certificate runs out.
fn certificates(keyrings: &[SharedKeyring]) -> Family {
    let keyrings = keyrings.iter().map(SharedKeyring::current);
    let certificates = keyrings.flat_map(|keyring| keyring.certificates.to_vec());
    // Several listeners may have one certificate.
    let times: BTreeMap<String, u64> = certificates.map(|one| not_after(&one)).collect();
    let help = "When each certificate runs out, since the Unix epoch.";
    let family = Family::new("tls_certificate_not_after_seconds", Kind::Gauge, help);
    times.iter().fold(family, |family, (file, seconds)| {
        family.with_labels(&[("file", file)], *seconds)
    })
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
        names.extend(["store_commits_lost", "store_batches_waiting"]);
        names.extend(["history_changes", "history_thinned"]);
        names.extend(["history_pruned", "history_failing"]);
        names.extend(["history_files_damaged", "history_salvaged"]);
        for name in &names {
            assert!(description(name).is_some(), "{name}");
        }
        names.extend(["shards", "shards_silent", "ready", "timer_lateness_seconds"]);
        names.extend(["build_info", "turn_duration_seconds", "refusals"]);
        names.push("requests_shed");
        names.push("request_duration_seconds");
        names.extend(["subscriptions_by_event", "notify_outcomes"]);
        names.extend(["subscriptions_by_domain", "notifies_sent_by_transport"]);
        names.push("messages_received_by_transport");
        names.extend([
            "connector_status",
            "connector_subscriptions",
            "connector_users",
        ]);
        names.extend(["connector_notifies", "connector_failures"]);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn domains_beyond_the_largest_are_one() {
        let many = (1..=100).map(|count| (Arc::from(format!("d{count}.example")), count));
        let mut counts: Vec<(Arc<str>, u64)> = many.collect();
        counts.push((Arc::from("other"), 1000));
        let labels = |counts: &[(Arc<str>, u64)]| {
            let text = text::write(&[domains(counts)]);
            let lines = text.lines().filter_map(|line| line.split_once("domain=\""));
            lines.map(|(_, rest)| rest.to_owned()).collect::<Vec<_>>()
        };
        let shown = labels(&counts);
        assert_eq!(shown.len(), DOMAINS_MAX + 1);
        assert_eq!(shown[0], "d100.example\"} 100");
        assert_eq!(shown[19], "d81.example\"} 81");
        assert_eq!(shown[20], format!("other\"}} {}", 1000 + 80 * 81 / 2));
        assert_eq!(labels(&[]), ["other\"} 0"]);
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
