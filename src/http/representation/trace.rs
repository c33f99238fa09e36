//! The messages of a trace.
//!
//! In JSON each octet of a message is one character, whose code point is the value of the octet: so a message
//! may have any octets. A reader makes octets of the characters before it reads them as UTF-8.

use serde_json::{Value, json};

use crate::http::representation::{Representation, visible};
use crate::trace::{Entry, Event, TraceId, TraceReport};

/// A trace has begun.
#[derive(Debug)]
pub(crate) struct TraceBegun {
    pub(crate) id: TraceId,
    /// Why it may remain empty.
    pub(crate) remark: Option<String>,
}

impl Representation for TraceBegun {
    fn text(&self, _: Option<usize>) -> String {
        let remark = self.remark.as_ref();
        let remark = remark.map_or_else(String::new, |remark| visible(remark) + "\n");
        format!("{:x}\n{remark}", self.id.0)
    }

    fn json(&self) -> Value {
        json!({ "id": format!("{:x}", self.id.0), "remark": self.remark })
    }
}

/// It has ended.
#[derive(Debug)]
pub(crate) struct TraceEnded;

impl Representation for TraceEnded {
    fn text(&self, _: Option<usize>) -> String {
        "the trace is over\n".to_owned()
    }

    fn json(&self) -> Value {
        json!({ "is_over": true })
    }
}

/// What is new since the reader last asked; in text a line for each message.
#[derive(Debug)]
pub(crate) struct TraceProgress(pub(crate) TraceReport);

impl Representation for TraceProgress {
    fn text(&self, _: Option<usize>) -> String {
        let lines: String = self.0.entries.iter().map(line).collect();
        match self.0.not_kept {
            0 => lines,
            count => format!("{lines}{count} messages were not kept\n"),
        }
    }

    fn json(&self) -> Value {
        json!({
            "has_more": self.0.has_more,
            "not_kept": self.0.not_kept,
            "entries": self.0.entries.iter().map(entry).collect::<Vec<_>>(),
        })
    }
}

fn line(entry: &Entry) -> String {
    let at = humantime::format_rfc3339_micros(entry.at);
    match &entry.event {
        Event::Note(text) => format!("{at} {}\n", visible(text)),
        Event::Message {
            path,
            is_sent,
            octets,
        } => {
            let first = octets.split(|octet| *octet == b'\r').next();
            let first = String::from_utf8_lossy(first.unwrap_or_default());
            let (transport, peer) = (path.transport.name(), path.peer);
            let way = if *is_sent { "to" } else { "from" };
            format!("{at} {way} {transport} {peer}: {}\n", visible(&first))
        }
    }
}

fn entry(entry: &Entry) -> Value {
    let at = entry.since_1970();
    let mut value = json!({
        "at_seconds": at.as_secs(),
        "at_microseconds": at.subsec_micros(),
    });
    match &entry.event {
        Event::Note(text) => value["note"] = text.as_ref().into(),
        Event::Message {
            path,
            is_sent,
            octets,
        } => {
            value["is_sent"] = (*is_sent).into();
            value["transport"] = path.transport.name().into();
            value["connection"] = path.connection.into();
            value["local"] = path.local.to_string().into();
            value["peer"] = path.peer.to_string().into();
            let text: String = octets.iter().map(|octet| char::from(*octet)).collect();
            value["message"] = text.into();
        }
    }
    value
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::sip::Transport;
    use crate::trace::Path;

    #[test]
    fn messages_are_lines_and_octets_are_characters() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_000);
        let message = Event::Message {
            path: Path {
                transport: Transport::Udp,
                connection: 0,
                local: "127.0.0.1:5060".parse().unwrap(),
                peer: "10.0.0.9:5070".parse().unwrap(),
            },
            is_sent: true,
            octets: (*b"NOTIFY a\x1b\xff\r\n\r\n").into(),
        };
        let events = [message, Event::Note("busy".into())];
        let progress = TraceProgress(TraceReport {
            entries: events.map(|event| Entry { at, event }).into(),
            not_kept: 12,
            has_more: false,
        });
        assert_eq!(
            progress.text(None),
            "1970-01-01T00:00:01.500000Z to udp 10.0.0.9:5070: NOTIFY a\u{fffd}\u{fffd}\n\
             1970-01-01T00:00:01.500000Z busy\n12 messages were not kept\n"
        );
        let json = progress.json();
        assert_eq!(
            json["entries"][0]["message"],
            "NOTIFY a\u{1b}\u{ff}\r\n\r\n"
        );
        assert_eq!(json["entries"][0]["at_microseconds"], 500_000);
        assert_eq!(json["entries"][1]["note"], "busy");
    }
}
