//! How a relay is, for the operator. The relay writes it; any thread reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::relay::teams::own::OwnTraces;
use crate::shard::contract::connector::ConnectorStatus;
use crate::shard::contract::probe::ServerStatus;
use crate::shard::contract::relay::SipRelayReport;

/// What a relay counts, and how it is.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead_letters: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) overflows: AtomicU64,
    pub(super) snapshots: AtomicU64,
    pub(super) queued: AtomicU64,
    pub(super) oldest_seconds: AtomicU64,
    /// What the target shows of people because of the relay, if it is read as well.
    pub(super) own: OwnTraces,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    condition: Condition,
    fault: Option<String>,
}

/// How a relay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// The target was not told anything yet.
    #[default]
    Starting,
    /// The last state was told.
    Working,
    /// The last attempt failed, and is repeated.
    Failing,
}

impl Condition {
    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Failing => "failing",
        }
    }
}

/// How a relay was when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayReport {
    /// Its name.
    pub name: Box<str>,
    /// The kind of its target.
    pub kind: &'static str,
    /// How it is.
    pub condition: Condition,
    /// Why the last attempt that failed did; None if none has.
    pub fault: Option<String>,
    /// People whose state waits or is under way.
    pub queued: u64,
    /// How long the first of them has waited, about.
    pub oldest: Duration,
    /// States that the target was told.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Of these, how many were or will be repeated.
    pub retried: u64,
    /// States that were given up.
    pub dead_letters: u64,
    /// Of these, how many because the target does not know the person.
    pub unknown: u64,
    /// Times that people found no room in the queue.
    pub overflows: u64,
    /// Times that the target was told all states.
    pub snapshots: u64,
}

impl From<SipRelayReport> for RelayReport {
    /// A relay by SIP works while its server answers and refuses no user. What failed is repeated; nothing is given up,
    /// because a newer state replaces the one that waits.
    fn from(report: SipRelayReport) -> Self {
        let failing = report
            .users
            .iter()
            .filter(|(status, _)| status.is_failure());
        let failing: Vec<String> = failing
            .map(|(status, count)| format!("{count} with {}", status.as_str()))
            .collect();
        let (condition, fault) = match report.status {
            ConnectorStatus::NotRequested | ConnectorStatus::Requesting => {
                (Condition::Starting, None)
            }
            ConnectorStatus::Known(ServerStatus::UpAndRunning) if failing.is_empty() => {
                (Condition::Working, None)
            }
            ConnectorStatus::Known(ServerStatus::UpAndRunning) => {
                (Condition::Failing, Some(failing.join(", ")))
            }
            status => (Condition::Failing, Some(status.as_str().to_owned())),
        };
        Self {
            name: (&*report.name).into(),
            kind: "sip",
            condition,
            fault,
            queued: report.waiting as u64,
            oldest: Duration::ZERO,
            sent: report.sent,
            failed: report.failures,
            retried: report.failures,
            dead_letters: 0,
            unknown: 0,
            overflows: 0,
            snapshots: 0,
        }
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Status {
    /// The target was told something. True if that was not so before.
    pub(super) fn works(&self) -> bool {
        let mut health = self.health();
        let before = std::mem::replace(&mut health.condition, Condition::Working);
        before != Condition::Working
    }

    /// An attempt failed. True if the one before did not.
    pub(super) fn fails(&self, why: &str) -> bool {
        let mut health = self.health();
        health.fault = Some(why.to_owned());
        let before = std::mem::replace(&mut health.condition, Condition::Failing);
        before != Condition::Failing
    }

    /// As it is now.
    pub(super) fn report(&self, name: &str, kind: &'static str) -> RelayReport {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let health = self.health();
        RelayReport {
            name: name.into(),
            kind,
            condition: health.condition,
            fault: health.fault.clone(),
            queued: value(&self.queued),
            oldest: Duration::from_secs(value(&self.oldest_seconds)),
            sent: value(&self.sent),
            failed: value(&self.failed),
            retried: value(&self.retried),
            dead_letters: value(&self.dead_letters),
            unknown: value(&self.unknown),
            overflows: value(&self.overflows),
            snapshots: value(&self.snapshots),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
