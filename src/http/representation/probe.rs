//! Progress of a probe.

use serde_json::{Value, json};

use crate::http::representation::{Representation, visible};
use crate::shard::contract::probe::{ProbeEntry, ProbeEvent, ProbeId, ProbeReport};

/// A probe has begun.
#[derive(Debug)]
pub(crate) struct ProbeBegun(pub(crate) ProbeId);

impl Representation for ProbeBegun {
    fn text(&self, _: Option<usize>) -> String {
        format!("{}\n", text_of(self.0))
    }

    fn json(&self) -> Value {
        json!({ "id": text_of(self.0) })
    }
}

/// Events since the last poll, one line each in text.
#[derive(Debug)]
pub(crate) struct ProbeProgress(pub(crate) ProbeReport);

impl Representation for ProbeProgress {
    fn text(&self, _: Option<usize>) -> String {
        self.0.entries.iter().map(line).collect()
    }

    fn json(&self) -> Value {
        json!({
            "is_over": self.0.is_over,
            "events": self.0.entries.iter().map(event_json).collect::<Vec<_>>(),
        })
    }
}

fn text_of(id: ProbeId) -> String {
    format!("{}-{:x}", id.shard.0, id.number)
}

fn line(entry: &ProbeEntry) -> String {
    let seconds = entry.at.as_secs_f64();
    format!("{seconds:7.3} s  {}\n", visible(&entry.event.to_string()))
}

fn event_json(entry: &ProbeEntry) -> Value {
    let (server, user) = match entry.event {
        ProbeEvent::Server(status) => (Some(status.as_str()), None),
        ProbeEvent::User(status) => (None, Some(status.as_str())),
        _ => (None, None),
    };
    json!({
        "at_seconds": entry.at.as_secs(),
        "text": entry.event.to_string(),
        "server_status": server,
        "user_status": user,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shard::contract::probe::UserStatus;

    #[test]
    fn each_event_is_one_line() {
        let entry = |event| ProbeEntry {
            at: Duration::from_millis(30_012),
            event,
        };
        let reason = "Not\nFound".into();
        let progress = ProbeProgress(ProbeReport {
            entries: vec![
                entry(ProbeEvent::Response {
                    code: 404,
                    reason,
                    expires: None,
                }),
                entry(ProbeEvent::User(UserStatus::NotFound)),
            ],
            is_over: false,
        });
        assert_eq!(
            progress.text(None),
            " 30.012 s  404 Not\u{fffd}Found\n 30.012 s  user status: Not Found\n"
        );
        assert_eq!(progress.json()["events"][1]["user_status"], "Not Found");
    }
}
