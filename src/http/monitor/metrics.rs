//! `/metrics`: every counter in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use hyper::header::HeaderValue;
use hyper::{StatusCode, header};

use crate::http::engine::Engine;
use crate::http::monitor;
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::Site;
use crate::tls::{Certificate, SharedKeyring};

/// `GET /metrics`
pub(crate) async fn metrics<E: Engine>(site: &Site<E>) -> Response {
    let engine = &site.engine;
    let counted = monitor::count(site).await;
    let mut text = String::new();
    for (name, value) in &counted.values {
        sample(&mut text, name, *value);
    }
    sample(&mut text, "shards", engine.shards().into());
    sample(&mut text, "shards_silent", counted.silent.len() as u64);
    sample(&mut text, "ready", engine.is_ready().into());
    if let Some(octets) =
        resident_octets(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
    {
        sample(&mut text, "resident_memory_bytes", octets);
    }
    certificates(&mut text, &site.facts.keyrings);
    let exposition = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response::with(
        response::text(StatusCode::OK, text),
        header::CONTENT_TYPE,
        exposition,
    )
}

/// One value with its type. Counters and gauges share one name list, so all are exposed as untyped.
fn sample(text: &mut String, name: &str, value: u64) {
    let legal = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(legal).collect();
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "# TYPE lamplighter_{name} untyped\nlamplighter_{name} {value}"
    );
}

/// When each certificate runs out, in seconds since 1970.
fn certificates(text: &mut String, keyrings: &[SharedKeyring]) {
    const NAME: &str = "lamplighter_tls_certificate_not_after_seconds";
    let keyrings = keyrings.iter().map(SharedKeyring::current);
    let certificates = keyrings.flat_map(|keyring| keyring.certificates.to_vec());
    // Several listeners may have one certificate.
    let times: BTreeMap<String, u64> = certificates.map(|one| not_after(&one)).collect();
    if !times.is_empty() {
        let _ = writeln!(text, "# TYPE {NAME} gauge");
    }
    for (file, seconds) in times {
        let _ = writeln!(text, "{NAME}{{file=\"{file}\"}} {seconds}");
    }
}

/// The file of a certificate as the value of a label, and when it runs out.
fn not_after(certificate: &Certificate) -> (String, u64) {
    let file = certificate.path.display().to_string();
    let file = file.replace('\\', "\\\\").replace('"', "\\\"");
    let since = certificate.not_after.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    (file.replace('\n', "\\n"), seconds)
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
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::http::CONTROL_CONNECTIONS;
    use crate::http::connections::Connections;
    use crate::http::transport_counters::TransportCounters;
    use crate::shard::{Command, CommandId, Input, Options, Outbox, Reply, Shard, ShardId};
    use crate::telemetry;

    #[test]
    fn a_sample_has_a_legal_name() {
        let mut text = String::new();
        sample(&mut text, "Notify sent-2xx", 7);
        assert_eq!(
            text,
            "# TYPE lamplighter_notify_sent_2xx untyped\nlamplighter_notify_sent_2xx 7\n"
        );
    }

    /// A name that stood for two things would make the exposition invalid.
    #[test]
    fn every_name_is_exposed_once() {
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
        let mut names: Vec<&str> = engine.iter().map(|(name, _)| *name).collect();
        names.extend(telemetry::totals().iter().map(|(name, _)| *name));
        names.extend(
            Connections::new(CONTROL_CONNECTIONS)
                .counters()
                .map(|(name, _)| name),
        );
        let transport = TransportCounters::default();
        names.extend(transport.values().map(|(name, _)| name));
        names.extend(["shards", "shards_silent", "ready", "resident_memory_bytes"]);
        names.extend(["store_commits", "store_rows", "store_failing"]);
        names.extend(["store_rows_unwritten", "store_rows_impossible"]);
        names.extend(["store_files_damaged", "store_rows_salvaged"]);
        names.extend(["store_commits_lost"]);
        names.extend(["history_changes", "history_thinned"]);
        names.extend(["history_pruned", "history_failing"]);
        names.extend(["history_files_damaged", "history_salvaged"]);
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
