//! A web server that a relay talks to, in Python: `web.py` checks each request, and says what it saw.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::PATIENCE;

/// Ends when it is dropped.
pub(crate) struct Web {
    child: Child,
    pub(crate) port: u16,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Web {
    /// A server of that kind; the words after it are its secret, its port and the file of its certificate.
    pub(crate) fn start(kind: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relays/web.py");
        let mut command = Command::new("python3");
        let command = command.arg("-B").arg(script).args(kind);
        let command = command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let told = Arc::clone(&seen);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                told.lock()
                    .unwrap()
                    .push(serde_json::from_str(&line).unwrap());
            }
        });
        let scheme = if kind.len() > 3 { "https" } else { "http" };
        Self {
            child,
            port,
            scheme,
            seen,
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    /// Responds so to the next requests.
    pub(crate) fn script(&self, answers: &Value) {
        self.put("script", answers);
    }

    /// Users do that from now on in the other system.
    pub(crate) fn play(&self, people: &Value) {
        self.put("people", people);
    }

    fn put(&self, what: &str, body: &Value) {
        let (url, body) = (format!("{}/{what}", self.url()), body.to_string());
        let mut curl = Command::new("curl");
        let curl = curl.args(["-ksS", "-f", "-X", "PUT", "--data", &body, &url]);
        assert!(curl.status().unwrap().success());
    }

    /// The next request of which this is so; those before it are skipped.
    pub(crate) fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut seen = self.seen.lock().unwrap();
            for request in &*seen {
                assert_eq!(request["faults"], serde_json::json!([]), "{request:#}");
            }
            if let Some(at) = seen.iter().position(&is_it) {
                return seen.drain(..=at).next_back().unwrap();
            }
            assert!(Instant::now() < deadline, "no {what} in {seen:#?}");
            drop(seen);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The next request.
    pub(crate) fn next(&self) -> Value {
        self.wait_for("request", |_| true)
    }

    /// How many requests were not looked at yet.
    pub(crate) fn waiting(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
