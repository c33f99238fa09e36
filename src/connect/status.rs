//! How a connector is, for the operator. Its worker writes it; any thread reads it.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connect::protocol::Fault;
use crate::directory::connectors::Connector;
use crate::shard::contract::connector::{ConnectorCounts, ConnectorReport, ConnectorStatus};
use crate::shard::contract::probe::ServerStatus;

/// What a worker knows.
#[derive(Debug)]
pub(super) struct Status(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    status: ConnectorStatus,
    since: Instant,
    peer: Option<SocketAddr>,
    next_attempt: Option<Instant>,
    users: usize,
    counts: ConnectorCounts,
}

impl Default for Status {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            status: ConnectorStatus::Requesting,
            since: Instant::now(),
            peer: None,
            next_attempt: None,
            users: 0,
            counts: ConnectorCounts::default(),
        }))
    }
}

impl Status {
    /// Everything was read. True if that was not so before.
    pub(super) fn works(&self) -> bool {
        self.become_so(ConnectorStatus::Known(ServerStatus::UpAndRunning))
    }

    /// An attempt ended, and there will be another after `delay`. True if the status is another now.
    pub(super) fn fails(&self, fault: &Fault, delay: Duration) -> bool {
        let mut inner = self.inner();
        inner.counts.failures += 1;
        inner.next_attempt = Instant::now().checked_add(delay);
        drop(inner);
        self.become_so(ConnectorStatus::Known(match fault {
            Fault::Forbidden(_) => ServerStatus::Forbidden,
            _ => ServerStatus::ConnectionError,
        }))
    }

    /// There is a connection to that address.
    pub(super) fn connected(&self, peer: SocketAddr) {
        self.inner().peer = Some(peer);
    }

    /// Events came, or lists.
    pub(super) fn heard(&self, frames: u64) {
        self.inner().counts.notifies += frames;
    }

    /// That many users are reported on.
    pub(super) fn users(&self, users: usize) {
        self.inner().users = users;
    }

    /// For the operator. `configured`: a status that the configuration gives.
    pub(super) fn report(
        &self,
        connector: &Connector,
        configured: Option<ConnectorStatus>,
    ) -> ConnectorReport {
        let inner = self.inner();
        let now = Instant::now();
        let next = inner.next_attempt.filter(|_| configured.is_none());
        ConnectorReport {
            name: connector.name.clone(),
            domain: connector.domain.clone(),
            status: configured.unwrap_or(inner.status),
            age: configured.is_none().then(|| inner.since.elapsed()),
            peer: inner.peer,
            next_attempt: next.map(|next| next.saturating_duration_since(now)),
            users: Vec::new(),
            subscriptions: inner.users,
            counts: inner.counts,
        }
    }

    fn become_so(&self, status: ConnectorStatus) -> bool {
        let mut inner = self.inner();
        let is_other = inner.status != status;
        if is_other {
            (inner.status, inner.since) = (status, Instant::now());
        }
        if status == ConnectorStatus::Known(ServerStatus::UpAndRunning) {
            inner.next_attempt = None;
        }
        is_other
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
