//! The presentities that subscriptions of this shard watch: their state, as the owner reported it
//! last, and their watchers.

use std::sync::Arc;

use crate::presence::{Aor, Composed};
use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::ids::{SubscriptionId, WatchSlot, WatchedId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;

/// A watcher of a presentity: a subscription to it, or one resource of a subscription to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatcherSlot {
    pub(crate) subscription: SubscriptionId,
    /// The resource's place in the list; [`Self::WHOLE`] for a subscription to the presentity.
    pub(crate) resource: u32,
}

impl WatcherSlot {
    pub(crate) const WHOLE: u32 = u32::MAX;
}

/// A presentity that at least one subscription of this shard watches.
#[derive(Debug)]
pub(crate) struct Watched {
    aor: Aor,
    /// None before the owner's first report.
    composed: Option<Arc<Composed>>,
    /// Differs for every state of every presentity.
    revision: u64,
    watchers: Vec<WatcherSlot>,
}

impl Watched {
    #[inline]
    pub(crate) fn aor(&self) -> &Aor {
        &self.aor
    }

    /// Its state; None before the owner's first report.
    #[inline]
    pub(crate) fn composed(&self) -> Option<&Arc<Composed>> {
        self.composed.as_ref()
    }

    /// A number that no other state of any presentity has.
    #[inline]
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn watchers(&self) -> &[WatcherSlot] {
        &self.watchers
    }
}

/// All watched presentities.
#[derive(Debug, Default)]
pub(crate) struct WatchedPresentities {
    watched: Slab<WatchedId, Watched>,
    watched_by_aor: GrowingMap<Aor, WatchedId>,
    /// Watchers of all presentities together.
    watchers: usize,
    /// Revisions given so far.
    revisions: u64,
}

impl WatchedPresentities {
    #[inline]
    pub(crate) fn get(&self, id: WatchedId) -> Option<&Watched> {
        self.watched.get(id)
    }

    pub(super) fn find(&self, aor: &Aor) -> Option<&Watched> {
        self.get(*self.watched_by_aor.get(aor)?)
    }

    /// Watchers of all presentities together.
    pub(super) fn watchers(&self) -> usize {
        self.watchers
    }

    /// The presentity, and whether it was not watched before.
    pub(super) fn watch(&mut self, aor: &Aor) -> (WatchedId, bool) {
        if let Some(&id) = self.watched_by_aor.get(aor) {
            return (id, false);
        }
        let watched = Watched {
            aor: aor.clone(),
            composed: None,
            revision: 0,
            watchers: Vec::new(),
        };
        let id = self.watched.insert(watched);
        self.watched_by_aor.insert(aor.clone(), id);
        (id, true)
    }

    /// Adds a watcher to a presentity.
    pub(super) fn join(&mut self, id: WatchedId, watcher: WatcherSlot) -> WatchSlot {
        let watchers = &mut self.watched[id].watchers;
        watchers.push(watcher);
        self.watchers += 1;
        WatchSlot {
            watched: id,
            index: watchers.len() as u32 - 1,
        }
    }

    /// Removes a watcher. Returns the watcher that took its slot, and the presentity if that was the
    /// last.
    pub(super) fn leave(&mut self, slot: WatchSlot) -> (Option<WatcherSlot>, Option<Watched>) {
        let Some(watched) = self.watched.get_mut(slot.watched) else {
            debug_assert!(false, "a watched presentity lives while it has a watcher");
            return (None, None);
        };
        let index = slot.index as usize;
        watched.watchers.swap_remove(index);
        self.watchers -= 1;
        let moved = watched.watchers.get(index).copied();
        if !watched.watchers.is_empty() {
            return (moved, None);
        }
        let unwatched = self.watched.remove(slot.watched);
        if let Some(unwatched) = &unwatched {
            self.watched_by_aor.remove(&unwatched.aor);
        }
        (None, unwatched)
    }

    /// Takes the state that the owner reports, unless the last watcher left meanwhile. Returns the
    /// watchers.
    #[inline]
    pub(super) fn take_state(&mut self, aor: &Aor, composed: Arc<Composed>) -> &[WatcherSlot] {
        let Some(&id) = self.watched_by_aor.get(aor) else {
            // The last watcher left while the mail was on its way.
            return &[];
        };
        let watched = &mut self.watched[id];
        self.revisions += 1;
        watched.composed = Some(composed);
        watched.revision = self.revisions;
        &watched.watchers
    }
}

/// Called for the first watcher of a presentity on this shard: asks the owner for the current and
/// all future states.
pub(crate) fn begin_watch(aor: &Aor, turn: &mut Turn<'_>) {
    let (watcher, watched) = (turn.here(), aor.clone());
    turn.send_to_owner(
        aor,
        Mail::Watch {
            aor: watched,
            watcher,
        },
    );
}

/// The last watcher of a presentity here is gone.
pub(crate) fn end_watch(aor: &Aor, turn: &mut Turn<'_>) {
    let (watcher, watched) = (turn.here(), aor.clone());
    turn.send_to_owner(
        aor,
        Mail::Unwatch {
            aor: watched,
            watcher,
        },
    );
}
