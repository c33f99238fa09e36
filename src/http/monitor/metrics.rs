//! `/metrics`: every counter in Prometheus' text format.

use std::fmt::Write;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header;
use hyper::header::HeaderValue;

use crate::http::Site;
use crate::http::answer::response::Answer;
use crate::http::engine::Engine;
use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::ShardId;
use crate::telemetry;

/// The counters of all shards added up, and of the process.
#[derive(Debug)]
pub(crate) struct Counted {
    /// Name and value, in stable order: the shards' first.
    pub(crate) values: Vec<(&'static str, u64)>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

/// Asks every shard, and adds what the cores count themselves.
pub(crate) async fn count<E: Engine>(site: &Site<E>) -> Counted {
    let engine = &site.engine;
    let mut counted = Counted {
        values: Vec::new(),
        silent: Vec::new(),
    };
    for shard in 0..engine.shards() {
        match engine.ask(ShardId(shard), Command::Counters).await {
            Ok(Reply::Counters(values)) => values
                .into_iter()
                .for_each(|value| add(&mut counted.values, value)),
            Ok(_) | Err(_) => counted.silent.push(shard),
        }
    }
    counted.values.extend(telemetry::totals());
    counted.values.extend(site.public.counters());
    counted.values.extend(site.attempts.counters());
    counted
}

fn add(values: &mut Vec<(&'static str, u64)>, (name, value): (&'static str, u64)) {
    match values.iter_mut().find(|(known, _)| *known == name) {
        Some((_, sum)) => *sum = sum.saturating_add(value),
        None => values.push((name, value)),
    }
}

/// `GET /metrics`
pub(crate) async fn answer<E: Engine>(site: &Site<E>) -> Answer {
    let engine = &site.engine;
    let counted = count(site).await;
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
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// One value with its type. Counters and gauges come under one list of names, so that all are
/// untyped.
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
    use crate::shard::CommandId;
    use crate::shard::Input;
    use crate::shard::Options;
    use crate::shard::Outbox;
    use crate::shard::Shard;

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
        names.extend(["shards", "shards_silent", "ready", "resident_memory_bytes"]);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn shards_are_added_up() {
        let mut values = vec![("a", 1), ("b", u64::MAX)];
        add(&mut values, ("b", 5));
        add(&mut values, ("c", 2));
        assert_eq!(values, [("a", 1), ("b", u64::MAX), ("c", 2)]);
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
