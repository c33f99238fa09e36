//! The events of a client, for the operator who started the probe.

use std::time::Instant;

use crate::shard::contract::probe::{ProbeEntry, ProbeEvent, ServerStatus, UserStatus};
use crate::shard::contract::turn::Turn;

/// The events so far, and the status of server and user.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    entries: Vec<ProbeEntry>,
    server: Option<ServerStatus>,
    user: Option<UserStatus>,
}

impl Log {
    /// Without an event.
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            entries: Vec::new(),
            server: None,
            user: None,
        }
    }

    /// The entries after the first `seen`.
    pub(super) fn after(&self, seen: usize) -> Vec<ProbeEntry> {
        self.entries.get(seen..).unwrap_or_default().to_vec()
    }

    /// Adds an event, up to the limit; the end is always added.
    pub(super) fn add(&mut self, event: ProbeEvent, turn: &mut Turn<'_>) {
        let entries_max = turn.options.probe_entries_max;
        let event = match self.entries.len() {
            _ if event == ProbeEvent::Over => event,
            count if count > entries_max => {
                turn.counters.probe_events_skipped += 1;
                return;
            }
            count if count == entries_max => {
                turn.counters.probe_events_skipped += 1;
                ProbeEvent::Skipped
            }
            _ => event,
        };
        let at = turn.now.saturating_duration_since(self.started);
        self.entries.push(ProbeEntry { at, event });
    }

    /// Records the server's status if it changed.
    pub(super) fn server(&mut self, status: ServerStatus, turn: &mut Turn<'_>) {
        if self.server.replace(status) != Some(status) {
            self.add(ProbeEvent::Server(status), turn);
        }
    }

    /// Records the user's status if it changed.
    pub(super) fn user(&mut self, status: UserStatus, turn: &mut Turn<'_>) {
        if self.user.replace(status) != Some(status) {
            self.add(ProbeEvent::User(status), turn);
        }
    }
}
