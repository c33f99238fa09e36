//! Changes of composed state on their way from a shard to the history, to readers of events and to relays.
//!
//! Guarantee: a shard waits neither for the disk nor for the HTTP core, nor for a relay. Changes that find no room are lost
//! and counted.

use crate::changes::ChangeFeed;
use crate::shard::contract::state_change::StateChange;
use crate::shard::{ChangeReaders, Outbox, ShardId};
use crate::store::history::batch::{Change, Verdict};
use crate::store::history::{History, HistoryHandle};

/// A shard's way to the history, to readers of events and to relays.
#[derive(Debug)]
pub(crate) struct ChangeSender {
    shard: ShardId,
    history: Option<HistoryHandle>,
    feeds: ChangeFeeds,
}

/// The ways of all shards to those who read changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeFeeds {
    /// To the events of the API.
    pub(crate) events: ChangeFeed,
    /// To the relays.
    pub(crate) relays: ChangeFeed,
}

impl ChangeSender {
    /// The way of one shard; to no history if the server keeps none.
    pub(crate) fn new(shard: ShardId, history: Option<&History>, feeds: &ChangeFeeds) -> Self {
        Self {
            shard,
            history: history.map(History::handle),
            feeds: feeds.clone(),
        }
    }

    /// Hands over the changes of an outbox.
    pub(crate) fn send(&self, outbox: &Outbox, readers: ChangeReaders) {
        if outbox.state_changes.is_empty() {
            return;
        }
        if readers.events {
            self.feeds.events.send(outbox);
        }
        if readers.relays {
            self.feeds.relays.send(outbox);
        }
        let Some(history) = &self.history else {
            return;
        };
        let mut batch = history.batch(self.shard.0);
        let changes = outbox.state_changes.iter();
        for change in changes.filter(|change| change.addressees.has(None)) {
            batch.push(&change_of(change, outbox));
        }
        history.submit(batch);
    }
}

fn change_of<'a>(change: &'a StateChange, outbox: &'a Outbox) -> Change<'a> {
    Change {
        at: change.at,
        domain: change.aor.domain(),
        user: change.aor.user(),
        verdict: Verdict {
            status: change.availability.as_str(),
            basic: if change.is_open { "open" } else { "closed" },
            lamp: change.lamp.as_str(),
            decider: change.decider,
            rule: change.rule,
        },
        party: outbox.text(&change.party),
        note: outbox.text(&change.note),
    }
}
