//! Where a trace goes: the interface, and lines of JSON.

use std::io;
use std::io::Write;

use serde_json::{Value, json};

use crate::cli::trace::summary::Summary;
use crate::trace::{Entry, Event};

/// Takes the entries of a trace, in order.
pub(super) trait Sink {
    /// Takes an entry.
    fn take(&mut self, entry: &Entry) -> io::Result<()>;

    /// Messages are missing here, because the server had no room for them.
    fn miss(&mut self, _count: u64) -> io::Result<()> {
        Ok(())
    }

    /// Writes out what was taken.
    fn flush(&mut self) -> io::Result<()>;

    /// A remark to print at the end.
    fn remark(&self) -> Option<String> {
        None
    }
}

/// One object a line, on standard output.
#[derive(Debug)]
pub(super) struct JsonLines(io::Stdout);

impl Default for JsonLines {
    fn default() -> Self {
        Self(io::stdout())
    }
}

impl Sink for JsonLines {
    fn take(&mut self, entry: &Entry) -> io::Result<()> {
        writeln!(self.0, "{}", line(entry))
    }

    fn miss(&mut self, count: u64) -> io::Result<()> {
        writeln!(self.0, "{}", json!({ "not_kept": count }))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn line(entry: &Entry) -> Value {
    let mut line = json!({
        "time": humantime::format_rfc3339_micros(entry.at).to_string(),
        "at_seconds": entry.since_1970().as_secs(),
    });
    match &entry.event {
        Event::Note(text) => line["note"] = text.as_ref().into(),
        Event::Message {
            path,
            is_sent,
            octets,
        } => {
            let summary = Summary::of(octets);
            line["is_sent"] = (*is_sent).into();
            line["transport"] = path.transport.name().into();
            line["local"] = path.local.to_string().into();
            line["peer"] = path.peer.to_string().into();
            line["method"] = summary.method.into();
            line["status"] = summary.status.into();
            line["call_id"] = summary.call_id.into();
            line["cseq"] = summary.cseq.into();
            line["event"] = summary.event.into();
            line["subscription_state"] = summary.subscription_state.into();
            line["message"] = String::from_utf8_lossy(octets).into();
        }
    }
    line
}
