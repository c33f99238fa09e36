//! The presentities that subscriptions of this shard watch: their state, as the owner reported it
//! last, and their watchers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::directory::peer_systems::PeerSystemId;
use crate::presence::{Aor, Composed};
use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{SubscriptionId, WatchSlot, WatchedId};
use crate::shard::contract::mail::{Mail, NamedWatch};
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
    /// The system that all its watchers are, which is told the state without its own reports; None for all other
    /// watchers.
    system: Option<PeerSystemId>,
    /// None before the owner's first report.
    composed: Option<Arc<Composed>>,
    /// Differs for every state of every presentity. Odd if the owner said that watchers of an earlier
    /// process were notified of the state.
    revision: u64,
    watchers: Vec<WatcherSlot>,
}

impl Watched {
    #[inline]
    pub(crate) fn aor(&self) -> &Aor {
        &self.aor
    }

    /// The system that its watchers are.
    pub(super) fn system(&self) -> Option<PeerSystemId> {
        self.system
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

    /// Whether watchers of an earlier process were notified of its state.
    pub(super) fn is_known(&self) -> bool {
        !self.revision.is_multiple_of(2)
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
    /// Those of systems.
    watched_by_system: HashMap<Aor, Vec<(PeerSystemId, WatchedId)>>,
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

    /// The watchers of a presentity; those that are peer systems come last.
    pub(super) fn watchers_of(&self, aor: &Aor) -> impl Iterator<Item = WatcherSlot> {
        let first = self.watched_by_aor.get(aor).copied();
        let by_system = self.watched_by_system.get(aor).into_iter().flatten();
        let all = first.into_iter().chain(by_system.map(|(_, id)| *id));
        let watched = all.filter_map(|id| self.get(id));
        watched.flat_map(Watched::watchers).copied()
    }

    /// Whether any watcher is a peer system.
    pub(super) fn has_systems(&self) -> bool {
        !self.watched_by_system.is_empty()
    }

    /// Watchers of all presentities together.
    pub(super) fn watchers(&self) -> usize {
        self.watchers
    }

    /// Adds a watcher to a presentity. If it is the first, the owner is asked for the current and
    /// all future states.
    pub(super) fn join(
        &mut self,
        (aor, system): (&Aor, Option<PeerSystemId>),
        watcher: WatcherSlot,
        turn: &mut Turn<'_>,
    ) -> WatchSlot {
        let id = self.id_of(aor, system);
        let id = id.unwrap_or_else(|| self.begin_watch(aor, system, turn));
        let watchers = &mut self.watched[id].watchers;
        watchers.push(watcher);
        self.watchers += 1;
        WatchSlot {
            watched: id,
            index: watchers.len() as u32 - 1,
        }
    }

    fn begin_watch(
        &mut self,
        aor: &Aor,
        system: Option<PeerSystemId>,
        turn: &mut Turn<'_>,
    ) -> WatchedId {
        let watched = Watched {
            aor: aor.clone(),
            system,
            composed: None,
            revision: 0,
            watchers: Vec::new(),
        };
        let id = self.watched.insert(watched);
        match system {
            None => drop(self.watched_by_aor.insert(aor.clone(), id)),
            Some(system) => {
                let systems = self.watched_by_system.entry(aor.clone());
                systems.or_default().push((system, id));
            }
        }
        let mail = Mail::Watch {
            watcher: turn.here(),
            watched: NamedWatch {
                aor: aor.clone(),
                system,
                likely: id,
            },
        };
        turn.send_to_owner(aor, mail);
        id
    }

    /// Removes a watcher. Returns the watcher that took its slot. If it was the last, sends the
    /// owner an Unwatch.
    pub(super) fn leave(&mut self, slot: WatchSlot, turn: &mut Turn<'_>) -> Option<WatcherSlot> {
        let watched = self.watched.get_mut(slot.watched);
        let watched = watched.expected("a watched presentity lives while it has a watcher")?;
        let index = slot.index as usize;
        watched.watchers.swap_remove(index);
        self.watchers -= 1;
        let moved = watched.watchers.get(index).copied();
        if watched.watchers.is_empty()
            && let Some(Watched { aor, system, .. }) = self.watched.remove(slot.watched)
        {
            match system {
                None => drop(self.watched_by_aor.remove(&aor)),
                Some(system) => self.forget_system(&aor, system),
            }
            let mail = Mail::Unwatch {
                watcher: turn.here(),
                aor: aor.clone(),
                system,
            };
            turn.send_to_owner(&aor, mail);
        }
        moved
    }

    /// The owner said of the state that it reported last that watchers of an earlier process were notified
    /// it.
    pub(super) fn note_known(&mut self, presentity: &NamedWatch) {
        let id = self.find_id(presentity);
        if let Some(watched) = id.and_then(|id| self.watched.get_mut(id)) {
            watched.revision |= 1;
        }
    }

    /// Takes the state that the owner reports, unless the last watcher left meanwhile. Returns the
    /// watchers.
    #[inline]
    pub(super) fn take_state(
        &mut self,
        presentity: &NamedWatch,
        composed: Arc<Composed>,
    ) -> &[WatcherSlot] {
        let Some(id) = self.find_id(presentity) else {
            // The last watcher left while the mail was on its way.
            return &[];
        };
        let watched = self.watched.get_mut(id);
        let Some(watched) = watched.expected("an address names a watched presentity") else {
            return &[];
        };
        self.revisions += 2;
        watched.composed = Some(composed);
        watched.revision = self.revisions;
        &watched.watchers
    }

    /// The key of a presentity, given the one that it most likely has.
    fn find_id(&self, named: &NamedWatch) -> Option<WatchedId> {
        let NamedWatch {
            aor,
            system,
            likely,
        } = named;
        let is_it = |watched: &Watched| watched.aor == *aor && watched.system == *system;
        match self.watched.get(*likely).is_some_and(is_it) {
            true => Some(*likely),
            false => self.id_of(aor, *system),
        }
    }

    fn id_of(&self, aor: &Aor, system: Option<PeerSystemId>) -> Option<WatchedId> {
        let Some(system) = system else {
            return self.watched_by_aor.get(aor).copied();
        };
        let mut systems = self.watched_by_system.get(aor)?.iter();
        systems
            .find(|(known, _)| *known == system)
            .map(|(_, id)| *id)
    }

    fn forget_system(&mut self, aor: &Aor, system: PeerSystemId) {
        if let Some(systems) = self.watched_by_system.get_mut(aor) {
            systems.retain(|(known, _)| *known != system);
            if systems.is_empty() {
                self.watched_by_system.remove(aor);
            }
        }
    }
}
