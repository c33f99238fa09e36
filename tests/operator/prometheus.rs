//! A real Prometheus scrapes the running daemon: by protobuf, with native histograms, as its
//! configuration in the guide says.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Daemon, Folder, PATIENCE, free_address};
use crate::{address, call_state, tenants};

/// Prometheus, which reads `/metrics` of one target every 200 ms.
struct Prometheus {
    child: Child,
    at: SocketAddr,
}

impl Prometheus {
    fn start(folder: &Folder, target: &str) -> Self {
        let configuration = format!(
            "scrape_configs:\n- job_name: lamplighter\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  \
             static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        let file = folder.0.join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let at = free_address();
        let log = fs::File::create(folder.0.join("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.0.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={at}"))
            .arg("--enable-feature=native-histograms")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, at }
    }

    /// What it says of an expression; None if it does not answer (yet).
    fn ask(&self, expression: &str) -> Option<Value> {
        let escape = |octet: u8| match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => char::from(octet).to_string(),
            _ => format!("%{octet:02x}"),
        };
        let query: String = expression.bytes().map(escape).collect();
        let request = format!(
            "GET /api/v1/query?query={query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.at).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).ok()
    }

    /// The only value of an expression; None if there is none (yet).
    fn value(&self, expression: &str) -> Option<f64> {
        let answer = self.ask(expression)?;
        let [found] = &answer["data"]["result"].as_array()?[..] else {
            return None;
        };
        found["value"][1].as_str()?.parse().ok()
    }

    /// Waits until an expression has a value that is as it should be.
    fn wait_for(&self, expression: &str, is_it: impl Fn(f64) -> bool) -> f64 {
        let start = Instant::now();
        loop {
            let value = self.value(expression);
            if let Some(value) = value.filter(|value| is_it(*value)) {
                return value;
            }
            assert!(start.elapsed() < 2 * PATIENCE, "{expression}: {value:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn prometheus_reads_native_histograms_counters_and_gauges() {
    let folder = Folder::new("prometheus", &tenants(&[("a.example", 2)]));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let http = address(&ready, "HTTP on ");
    for number in ["1", "2", "3"] {
        call_state(http, "a.example", number);
    }
    let prometheus = Prometheus::start(&folder, http);
    let positive = |value: f64| value > 0.0;
    prometheus.wait_for("up", positive);
    // Without `_bucket`: of the native histogram.
    let quantile = "histogram_quantile(0.99, rate(lamplighter_turn_duration_seconds[1m]))";
    let p99 = prometheus.wait_for(quantile, positive);
    assert!(p99 < 10.0, "{p99}");
    let requests = "lamplighter_request_duration_seconds{request=\"call_state.htm\"}";
    prometheus.wait_for(&format!("histogram_count({requests})"), |count| {
        count == 3.0
    });
    let sum = prometheus.wait_for(&format!("histogram_sum({requests})"), positive);
    // The median lies between the bounds of a bucket, and three times the shortest is less than all.
    let median = prometheus.wait_for(&format!("histogram_quantile(0.5, {requests})"), positive);
    assert!(median < sum, "{median}, {sum}");
    // A counter, a gauge, labels.
    let updates = "lamplighter_state_updates_accepted_total";
    prometheus.wait_for(updates, |value| value == 3.0);
    prometheus.wait_for("lamplighter_presentities", |value| value == 1.0);
    let dialog = "lamplighter_subscriptions_by_event{event=\"dialog\"}";
    prometheus.wait_for(dialog, |value| value == 0.0);
    let version = format!(
        "lamplighter_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    prometheus.wait_for(&version, |value| value == 1.0);
    let asked = expressions();
    assert!(asked.len() > 80, "{}", asked.len());
    for expression in &asked {
        let answer = prometheus.ask(expression).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    // The dashboard's quantiles are there with native histograms alone.
    let is_latency = |expression: &&String| expression.contains("request=\"call_state.htm\"");
    let latency = asked.iter().find(is_latency).unwrap();
    call_state(http, "a.example", "4");
    prometheus.wait_for(latency, positive);
    daemon.stop();
}

/// Those of the dashboard and of the alerts.
fn expressions() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/monitoring");
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let of_panels = targets.map(|target| {
        let expression = target["expr"].as_str().unwrap();
        let expression = expression.replace("$instance", ".*");
        expression.replace("$__rate_interval", "1m")
    });
    let alerts = read("alerts.yml");
    let of_alerts = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .map(str::to_owned);
    of_panels.chain(of_alerts).collect()
}
