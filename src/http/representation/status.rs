//! Server status: readiness, listeners and load.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::facts::{Facts, Scheme, counted};
use crate::http::representation::Representation;
use crate::http::representation::text::{span, write_silent};

/// Status.
#[derive(Debug)]
pub(crate) struct Status {
    /// Whether new work is taken.
    pub(crate) is_ready: bool,
    /// Whether all subscriptions were ended and new ones are refused until the next start.
    pub(crate) is_draining: bool,
    /// Where it listens.
    pub(crate) facts: Facts,
    /// Time since it was started.
    pub(crate) uptime: Duration,
    /// Domains that are served.
    pub(crate) domains: usize,
    /// Their accounts.
    pub(crate) accounts: usize,
    /// Shards that run.
    pub(crate) shards: u16,
    /// Active subscriptions.
    pub(crate) subscriptions: u64,
    /// NOTIFYs sent since the start.
    pub(crate) notifies_sent: u64,
    /// Why the store cannot be written; None if it can, or if there is none.
    pub(crate) store_failure: Option<String>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Representation for Status {
    fn text(&self, _: Option<usize>) -> String {
        let ready = match (self.is_ready, self.is_draining) {
            (true, _) => "ready",
            (false, false) => "not ready",
            (false, true) => "not ready: draining",
        };
        let mut text = format!(
            "Lamplighter {} is {ready}, up {}\n{}\n{}, {}\n{}, {}, {} sent\n",
            env!("CARGO_PKG_VERSION"),
            span(self.uptime),
            self.facts.listeners(),
            counted(self.domains as u64, "domain"),
            counted(self.accounts as u64, "account"),
            counted(self.shards.into(), "shard"),
            counted(self.subscriptions, "subscription"),
            counted(self.notifies_sent, "NOTIFY"),
        );
        if let Some(failure) = &self.store_failure {
            text.push_str(&format!("the store cannot be written: {failure}\n"));
        }
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        let sip = self.facts.sip.iter().map(|(transport, address)| {
            json!({
                "transport": transport.name(),
                "address": address.to_string(),
            })
        });
        let http = |scheme| -> Vec<String> {
            let listeners = self.facts.http.iter();
            let of_scheme = listeners.filter(|(known, _)| *known == scheme);
            of_scheme.map(|(_, address)| address.to_string()).collect()
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.is_ready,
            "draining": self.is_draining,
            "uptime_seconds": self.uptime.as_secs(),
            "sip": sip.collect::<Vec<_>>(),
            "http": http(Scheme::Http),
            "https": http(Scheme::Https),
            "domains": self.domains,
            "accounts": self.accounts,
            "shards": self.shards,
            "subscriptions": self.subscriptions,
            "notifies_sent": self.notifies_sent,
            "store_failure": self.store_failure,
            "silent_shards": self.silent,
        })
    }
}
