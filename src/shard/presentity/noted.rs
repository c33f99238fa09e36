//! Changes that lamps may show although the process ended before their records were durable.
//!
//! A NOTIFY of a change never waits for the disk. What acknowledges the change does, so its source states
//! it again; but until then lamps would show what this process does not know. The earlier process noted
//! each change before it notified a watcher ([`NotedChange`]). The watchers of those presentities, and only
//! these, get a NOTIFY with the state as it was recovered.
//!
//! A change that was noted well before the last commit has a durable record, and so is settled. A presentity
//! without a record gets one when its watchers are notified, so that they are notified again if this process ends
//! before they know.

use std::collections::HashSet;

use crate::presence::Aor;
use crate::presence::fixed_hash::SipHash13;
use crate::shard::contract::commit::{Durability, NotedChange};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::Compositor;
use crate::shard::presentity::presentities::Presentities;

/// A commit has every change that was noted so long before it, in milliseconds: it may have waited for others
/// after it had taken its records.
const SETTLED_WITHIN_MS: i64 = 10_000;

/// Presentities of which a change may be lost, by the hashes of their addresses.
#[derive(Debug, Default)]
pub(super) struct Unsettled(HashSet<u64>);

impl Unsettled {
    /// Whether a change of a presentity may be lost.
    pub(super) fn has(&self, aor: &Aor) -> bool {
        !self.0.is_empty() && self.0.contains(&hash_of(aor))
    }
}

fn hash_of(aor: &Aor) -> u64 {
    SipHash13::of(aor.as_str().as_bytes())
}

impl Presentities {
    /// The composed state of a presentity changed: it is noted before a watcher is notified.
    pub(super) fn note_change(aor: &Aor, turn: &mut Turn<'_>) {
        if turn.options.durability != Durability::None {
            let at = turn.clock().unix_milliseconds_of(turn.now);
            let presentity = hash_of(aor);
            turn.out.changes.push(NotedChange { presentity, at });
        }
    }
}

impl Compositor {
    /// Takes the changes that earlier processes noted, as far as they are not settled.
    pub(crate) fn recover_changes(&mut self, changes: &[NotedChange]) {
        let committed_at = self.presentities.committed_at();
        let is_unsettled =
            |change: &&NotedChange| change.at.saturating_add(SETTLED_WITHIN_MS) >= committed_at;
        let unsettled = changes.iter().filter(is_unsettled);
        let unsettled = unsettled.map(|change| change.presentity);
        self.presentities.unsettled.0.extend(unsettled);
    }
}
