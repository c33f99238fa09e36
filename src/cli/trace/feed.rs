//! Asks the running server again and again what is new in a trace.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::cli::client::{Format, Request};
use crate::cli::question;
use crate::sip::Transport;
use crate::trace::{Entry, Event, Path, TraceReport};

/// A trace of the running server.
#[derive(Debug)]
pub(super) struct Feed {
    socket: PathBuf,
    id: String,
}

impl Feed {
    /// Begins a trace. Returns what the server remarks on it, too.
    pub(super) fn begin(socket: PathBuf, of: &str) -> Result<(Self, Option<String>), String> {
        let request = Request::post("/trace/begin").with("of", of);
        let begun = question::ask(&request, &socket, Format::Text)?;
        let mut lines = begun.lines().map(str::to_owned);
        let id = lines.next().unwrap_or_default();
        Ok((Self { socket, id }, lines.next()))
    }

    /// What is new.
    pub(super) fn next(&self) -> Result<TraceReport, String> {
        let request = Request::get("/trace").with("id", &self.id);
        let body = question::ask(&request, &self.socket, Format::Json).map_err(reason)?;
        report(&body).ok_or_else(|| "the server's response is of another version".to_owned())
    }

    /// Ends the trace. If that fails, the server ends it by itself.
    pub(super) fn end(&self) {
        let request = Request::post("/trace/end").with("id", &self.id);
        let _ = question::ask(&request, &self.socket, Format::Text);
    }
}

/// The text of a refusal, which is JSON, or another complaint as it is.
fn reason(complaint: String) -> String {
    let refusal: Option<Value> = serde_json::from_str(&complaint).ok();
    let reason = refusal.and_then(|refusal| Some(refusal["error"].as_str()?.to_owned()));
    reason.unwrap_or(complaint)
}

fn report(body: &str) -> Option<TraceReport> {
    let body: Value = serde_json::from_str(body).ok()?;
    let entries = body["entries"].as_array()?.iter().map(entry);
    Some(TraceReport {
        entries: entries.collect::<Option<_>>()?,
        not_kept: body["not_kept"].as_u64()?,
        has_more: body["has_more"].as_bool()?,
    })
}

fn entry(value: &Value) -> Option<Entry> {
    let seconds = value["at_seconds"].as_u64()?;
    let microseconds = value["at_microseconds"].as_u64()?;
    let at = Duration::from_secs(seconds) + Duration::from_micros(microseconds);
    let event = match value["note"].as_str() {
        Some(note) => Event::Note(note.into()),
        None => message(value)?,
    };
    Some(Entry {
        at: SystemTime::UNIX_EPOCH + at,
        event,
    })
}

fn message(value: &Value) -> Option<Event> {
    let address = |name: &str| value[name].as_str()?.parse().ok();
    let transport = value["transport"].as_str()?;
    // An octet is a character.
    let octets = value["message"].as_str()?.chars();
    let octets = octets.map(|octet| u8::try_from(u32::from(octet)).ok());
    Some(Event::Message {
        path: Path {
            transport: Transport::from_via_token(transport.as_bytes())?,
            connection: value["connection"].as_u64()?,
            local: address("local")?,
            peer: address("peer")?,
        },
        is_sent: value["is_sent"].as_bool()?,
        octets: octets.collect::<Option<Vec<u8>>>()?.into(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_octet_by_octet() {
        let body = r#"{"has_more": true, "not_kept": 3, "entries": [
            {"at_seconds": 5, "at_microseconds": 7, "note": "busy"},
            {"at_seconds": 5, "at_microseconds": 8, "is_sent": true, "transport": "wss",
             "connection": 4294967297, "local": "[::1]:443", "peer": "[::1]:9", "message": "A\u00ff\r\n"}]}"#;
        let report = report(body).unwrap();
        assert_eq!((report.not_kept, report.has_more), (3, true));
        assert_eq!(report.entries[0].event, Event::Note("busy".into()));
        let Event::Message { path, octets, .. } = &report.entries[1].event else {
            unreachable!()
        };
        assert_eq!(
            (path.transport, path.connection),
            (Transport::Wss, (1 << 32) + 1)
        );
        assert_eq!(&**octets, b"A\xff\r\n");
        assert_eq!(
            report.entries[1].since_1970(),
            Duration::from_micros(5_000_008)
        );
        assert!(super::report("{}").is_none());
    }
}
