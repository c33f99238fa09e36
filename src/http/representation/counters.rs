//! Every counter.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::write_silent;
use crate::shard::contract::counters::{NotifyOutcomes, TransportCounters};
use crate::sip::Transport;

/// The counters of all shards added up, and of the process.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Name and value, in stable order: the shards' first.
    pub(crate) values: Vec<(&'static str, u64)>,
    /// Active subscriptions of each event package.
    pub(crate) subscriptions: Vec<(&'static str, u64)>,
    /// Active subscriptions to users of each domain, in no order.
    pub(crate) domains: Vec<(Arc<str>, u64)>,
    /// What went over each transport, in the order of [`Transport::ALL`].
    pub(crate) transports: [TransportCounters; Transport::ALL.len()],
    /// NOTIFYs that ended.
    pub(crate) notify_outcomes: Vec<NotifyOutcomes>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Counters {
    /// The value with a name; 0 when nothing counted it.
    pub(crate) fn value(&self, name: &str) -> u64 {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, value)| *value)
    }
}

impl Representation for Counters {
    fn text(&self, _: Option<usize>) -> String {
        let mut table = Table::new(&["COUNTER", "VALUE"]);
        for (name, value) in &self.values {
            table.add([(*name).to_owned(), value.to_string()]);
        }
        let mut text = String::new();
        table.write(None, &mut text);
        if !self.notify_outcomes.is_empty() {
            let mut table = Table::new(&["NOTIFY ENDED WITH", "PROFILE", "TIMES"]);
            for outcomes in &self.notify_outcomes {
                let status = shown_status(outcomes.status);
                let profile = outcomes.profile.to_string();
                table.add([status, profile, outcomes.count.to_string()]);
            }
            text.push('\n');
            table.write(None, &mut text);
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        let values = self.values.iter();
        let counters: Map<String, Value> = values
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let subscriptions = self.subscriptions.iter();
        let subscriptions: Map<String, Value> = subscriptions
            .map(|(event, count)| ((*event).to_owned(), (*count).into()))
            .collect();
        let outcomes = self.notify_outcomes.iter().map(|outcomes| {
            json!({
                "status": shown_status(outcomes.status),
                "profile": *outcomes.profile,
                "count": outcomes.count,
            })
        });
        json!({
            "counters": counters,
            "subscriptions": subscriptions,
            "notify_outcomes": outcomes.collect::<Vec<_>>(),
            "silent_shards": self.silent,
        })
    }
}

/// `481`, `2xx`, `4xx` for an unusual one, `none` if no response came.
pub(crate) fn shown_status(status: Option<u16>) -> String {
    match status {
        None => "none".to_owned(),
        Some(class) if class < 10 => format!("{class}xx"),
        Some(status) => status.to_string(),
    }
}
