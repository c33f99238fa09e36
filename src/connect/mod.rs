//! Connectors without SIP: Asterisk by its manager interface, FreeSWITCH by its event socket, Microsoft Teams by polls. What a PBX tells of
//! the users of a domain becomes the contributions `upstream:NAME`, as what our subscriptions bring does.
//!
//! ```text
//! PBX ─► worker ─► protocol (ami, event_socket) ─► board ─► reports of users, in batches ─► shards
//! ```
//! One service in the background runs all of them. A protocol is a file for its framing, one for its dialogue and
//! one for what its events mean; none has a socket or a clock.
//!
//! Guarantees: no shard waits for a PBX. What comes from it is outside input: nothing in it makes us panic, and
//! everything that is kept has a limit. While it is not connected, what it told is stale; once it is again, all is
//! read anew, and what it does not tell any more is over.

mod ami;
mod board;
mod event_socket;
mod facts;
mod headers;
mod protocol;
mod service;
mod session;
mod status;
mod teams;
mod teller;
mod users;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::background::{Background, Service, Shards};
use crate::connect::service::{Wanted, serve};
use crate::connect::status::Status;
use crate::directory::connectors::{Connector, Protocol};
use crate::relay::{Relays, TeamsSource};
use crate::shard::contract::connector::{
    ConnectorOrder, ConnectorReport, ConnectorStatus, ConnectorUserReport,
};
use crate::tls::SharedTlsClient;

/// The connectors of a node that are not spoken to by SIP. Clones are handles of the same ones.
#[derive(Clone, Debug, Default)]
pub struct Connectors(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    all: Vec<Entry>,
    service: Option<Service<Vec<Wanted>>>,
    runs: u64,
    /// How they connect by TLS.
    tls: Option<SharedTlsClient>,
}

/// A connector as other threads see it.
#[derive(Clone, Debug)]
struct Entry {
    connector: Connector,
    is_stopped: bool,
    /// Another run begins with another number.
    run: u64,
    status: Arc<Status>,
    /// Where one that reads Teams begins.
    teams: Option<TeamsSource>,
}

impl Connectors {
    /// Puts these connectors into force, in place of those before. One that did not change goes on. Those that read
    /// what a relay tells find it among `relays`.
    pub fn put<S>(
        &self,
        connectors: &[Connector],
        relays: &Relays,
        tls: &SharedTlsClient,
        background: &Background<S>,
    ) where
        S: Shards + Clone + Send + 'static,
    {
        let mut inner = self.inner();
        let before = std::mem::take(&mut inner.all);
        inner.tls = Some(tls.clone());
        let ours = |connector: &&Connector| !matches!(connector.protocol, Protocol::Sip(_));
        for connector in connectors.iter().filter(ours) {
            let teams = match &connector.protocol {
                Protocol::Teams(teams) => relays.teams(&teams.relay),
                _ => None,
            };
            let known = before.iter().find(|entry| entry.connector == *connector);
            let run = inner.runs + 1;
            let entry = match known {
                Some(entry) if entry.teams == teams => entry.clone(),
                Some(entry) => Entry {
                    run,
                    teams,
                    ..entry.clone()
                },
                None => Entry::new(connector, run, teams),
            };
            inner.runs = run;
            inner.all.push(entry);
        }
        if inner.service.is_none() && !inner.all.is_empty() {
            inner.service = background.start("connectors", serve);
        }
        inner.tell();
    }

    /// Starts, stops or restarts a connector, if it is one of these.
    pub fn order(&self, name: &str, order: ConnectorOrder) {
        let mut inner = self.inner();
        inner.runs += 1;
        let run = inner.runs;
        let mut entries = inner.all.iter_mut();
        if let Some(entry) = entries.find(|entry| *entry.connector.name == *name) {
            entry.is_stopped = order == ConnectorOrder::Stop;
            if order == ConnectorOrder::Restart {
                entry.run = run;
            }
        }
        inner.tell();
    }

    /// How each is, in the order of the configuration.
    #[must_use]
    pub fn report(&self) -> Vec<ConnectorReport> {
        self.inner().all.iter().map(Entry::report).collect()
    }

    /// The users of a connector from a place on, and the place from where to go on; None if it is not one of these.
    #[must_use]
    pub fn users(&self, name: &str, from: u32) -> Option<(Vec<ConnectorUserReport>, Option<u32>)> {
        let inner = self.inner();
        let mut entries = inner.all.iter();
        let entry = entries.find(|entry| *entry.connector.name == *name)?;
        Some(match entry.runs() {
            true => entry.status.users(&entry.connector, from),
            false => (Vec::new(), None),
        })
    }

    /// Ends all. What they told stays, for the next process.
    pub fn end(&self) {
        let service = self.inner().service.take();
        if let Some(service) = service {
            service.end();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Tells the service what is to run.
    fn tell(&self) {
        let wanted = self.all.iter().filter(|entry| entry.runs());
        let wanted = wanted
            .map(|entry| entry.wanted(self.tls.as_ref()))
            .collect();
        if let Some(service) = &self.service {
            service.order(wanted);
        }
    }
}

impl Entry {
    fn new(connector: &Connector, run: u64, teams: Option<TeamsSource>) -> Self {
        Self {
            connector: connector.clone(),
            is_stopped: false,
            run,
            status: Arc::default(),
            teams,
        }
    }

    const fn runs(&self) -> bool {
        self.connector.is_enabled && self.connector.has_server() && !self.is_stopped
    }

    fn wanted(&self, tls: Option<&SharedTlsClient>) -> Wanted {
        Wanted {
            teams: self.teams.clone(),
            tls: tls.cloned(),
            connector: self.connector.clone(),
            run: self.run,
            status: Arc::clone(&self.status),
        }
    }

    fn report(&self) -> ConnectorReport {
        let connector = &self.connector;
        let configured = match connector.has_server() {
            _ if !connector.is_enabled || self.is_stopped => Some(ConnectorStatus::Disabled),
            false => Some(ConnectorStatus::NotConfigured),
            true => None,
        };
        self.status.report(connector, configured)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
