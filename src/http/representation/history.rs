//! A page of the history: a table, JSON, or CSV (RFC 4180).

use serde_json::{Value, json};

use crate::changes::shown::{system_time, time};
use crate::http::representation::table::Table;
use crate::http::representation::{Representation, visible};
use crate::presence::history::{HistoryChange, HistoryPage};

/// The columns of the CSV file and of the table.
const COLUMNS: [&str; 9] = [
    "time", "address", "status", "lamp", "source", "reason", "party", "note", "basic",
];
/// Columns of the table without --wide.
const NARROW: usize = 8;

/// The changes of an address or a domain.
#[derive(Debug)]
pub(crate) struct History {
    /// Whose: an address, or a domain.
    pub(crate) subject: String,
    /// The changes.
    pub(crate) page: HistoryPage,
}

impl Representation for History {
    fn text(&self, columns: Option<usize>) -> String {
        let subject = visible(&self.subject);
        if self.page.changes.is_empty() && self.page.next.is_none() {
            return format!("{subject} has no history in that time.\n");
        }
        let mut text = String::new();
        let shown = columns.map_or(COLUMNS.len(), |_| NARROW);
        let headings = COLUMNS.map(str::to_uppercase);
        let headings = headings.each_ref().map(String::as_str);
        let mut table = Table::new(&headings[..shown]);
        for change in &self.page.changes {
            let time = time_in_seconds(change.at);
            table.add(cells(change, time).into_iter().take(shown));
        }
        table.write(columns, &mut text);
        if let Some(next) = self.page.next {
            text.push_str(&format!("There are older changes: --from {next}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        json!({
            "subject": self.subject,
            "changes": self.page.changes.iter().map(change_json).collect::<Vec<_>>(),
            "next": self.page.next,
        })
    }

    fn csv(&self) -> Option<String> {
        let mut text = COLUMNS.join(",") + "\r\n";
        for change in &self.page.changes {
            let cells = cells(change, time(change.at)).map(|cell| csv_field(&cell));
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        Some(text)
    }
}

fn cells(change: &HistoryChange, time: String) -> [String; COLUMNS.len()] {
    [
        time,
        change.address.clone(),
        change.status.clone(),
        change.lamp.clone(),
        change.decider.clone(),
        change.rule.clone(),
        change.party.clone().unwrap_or_default(),
        change.note.clone().unwrap_or_default(),
        change.basic.clone(),
    ]
}

fn change_json(change: &HistoryChange) -> Value {
    json!({
        "time": time(change.at),
        "aor": change.address,
        "availability": change.status,
        "lamp": change.lamp,
        "basic": change.basic,
        "source": change.decider,
        "rule": change.rule,
        "party": change.party,
        "note": change.note,
    })
}

/// `2026-11-29T12:00:00Z`
fn time_in_seconds(unix_milliseconds: i64) -> String {
    humantime::format_rfc3339_seconds(system_time(unix_milliseconds)).to_string()
}

/// A field, in quotes if it needs them. Peers write notes: a text that a spreadsheet would take for a
/// formula gets an apostrophe in front.
fn csv_field(text: &str) -> String {
    let text = match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let change = HistoryChange {
            at: 1_795_953_600_123,
            address: "123@abc.com".to_owned(),
            status: "busy".to_owned(),
            basic: "open".to_owned(),
            lamp: "confirmed".to_owned(),
            decider: "publish".to_owned(),
            rule: "a call is confirmed".to_owned(),
            party: Some("sip:5@abc.com".to_owned()),
            note: Some("=1+1, \"ten\"".to_owned()),
        };
        History {
            subject: "123@abc.com".to_owned(),
            page: HistoryPage {
                changes: vec![change],
                next: Some(7),
            },
        }
    }

    #[test]
    fn a_page_is_a_table_json_and_csv() {
        let history = history();
        let text = history.text(None);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("TIME "), "{text}");
        assert!(
            lines[1].starts_with("2026-11-29T12:00:00Z  123@abc.com  busy    confirmed  publish"),
            "{text}"
        );
        assert_eq!(lines[2], "There are older changes: --from 7");
        assert_eq!(
            history.csv().as_deref(),
            Some(
                "time,address,status,lamp,source,reason,party,note,basic\r\n\
                 2026-11-29T12:00:00.123Z,123@abc.com,busy,confirmed,publish,\
                 a call is confirmed,sip:5@abc.com,\"'=1+1, \"\"ten\"\"\",open\r\n"
            )
        );
        let json = history.json();
        assert_eq!(json["next"], 7);
        assert_eq!(json["changes"][0]["rule"], "a call is confirmed");
        assert_eq!(json["changes"][0]["party"], "sip:5@abc.com");
    }

    #[test]
    fn an_empty_page_says_so() {
        let mut history = history();
        history.page = HistoryPage::default();
        assert_eq!(
            history.text(None),
            "123@abc.com has no history in that time.\n"
        );
        assert_eq!(history.json()["changes"], json!([]));
    }
}
