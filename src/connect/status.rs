//! How a connector is, for the operator. Its worker writes it; any thread reads it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connect::protocol::Fault;
use crate::directory::connectors::Connector;
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::shard::contract::connector::{
    ConnectorCounts, ConnectorReport, ConnectorStatus, ConnectorUserReport, add_users,
};
use crate::shard::contract::probe::{ServerStatus, UserStatus};

/// Users that are listed at once.
const USERS_AT_ONCE: usize = 1_000;

/// What a worker knows.
#[derive(Debug)]
pub(super) struct Status(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    status: ConnectorStatus,
    since: Instant,
    peer: Option<SocketAddr>,
    next_attempt: Option<Instant>,
    users: BTreeMap<Box<str>, UserStatus>,
    counts: ConnectorCounts,
}

impl Default for Status {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            status: ConnectorStatus::Requesting,
            since: Instant::now(),
            peer: None,
            next_attempt: None,
            users: BTreeMap::new(),
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

    /// A user is so; None: nothing is told of it any more.
    pub(super) fn user(&self, user: &str, status: Option<UserStatus>) {
        let mut inner = self.inner();
        match status {
            Some(status) => drop(inner.users.insert(user.into(), status)),
            None => drop(inner.users.remove(user)),
        }
    }

    /// Nothing is told of any user any more.
    pub(super) fn forget_users(&self) {
        self.inner().users.clear();
    }

    /// The users, in their order, from a place on, and the place from where to go on.
    pub(super) fn users(
        &self,
        connector: &Connector,
        from: u32,
    ) -> (Vec<ConnectorUserReport>, Option<u32>) {
        let inner = self.inner();
        let users = inner.users.iter().skip(from as usize).take(USERS_AT_ONCE);
        let users = users.map(|(user, status)| ConnectorUserReport {
            aor: Aor::new(user, &connector.domain),
            target: user.clone(),
            package: Package::Dialog,
            status: inner.shown(*status),
            remaining: None,
        });
        let users: Vec<_> = users.collect();
        let end = from.saturating_add(users.len() as u32);
        let next = ((end as usize) < inner.users.len()).then_some(end);
        (users, next)
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
        let is_used = configured.is_none();
        let mut users = Vec::new();
        let shown = inner.users.values().filter(|_| is_used);
        add_users(&mut users, shown.map(|status| (inner.shown(*status), 1)));
        ConnectorReport {
            name: connector.name.clone(),
            domain: connector.domain.clone(),
            status: configured.unwrap_or(inner.status),
            age: configured.is_none().then(|| inner.since.elapsed()),
            peer: inner.peer,
            next_attempt: next.map(|next| next.saturating_duration_since(now)),
            subscriptions: users.iter().map(|(_, count)| count).sum(),
            users,
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

impl Inner {
    /// What is said of a user while the PBX is so.
    fn shown(&self, status: UserStatus) -> UserStatus {
        match self.status {
            ConnectorStatus::Known(server) if server.is_failure() => UserStatus::Error,
            _ => status,
        }
    }
}
