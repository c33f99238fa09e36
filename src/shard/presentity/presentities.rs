//! The table of presentities that this shard owns.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use crate::directory::Directory;
use crate::directory::peer_systems::PeerSystemId;
use crate::presence::elsewhere::Elsewhere;
use crate::presence::{Aor, Composed, Presentity};
use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Address;
use crate::shard::contract::ids::{PresentityId, WatchedId};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::OWNED;
use crate::shard::presentity::apart::StatesApart;
use crate::shard::presentity::noted::Unsettled;
use crate::shard::presentity::record::{Recorded, Recording};

/// One owned presentity.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) aor: Aor,
    pub(crate) presentity: Presentity,
    /// Whether it was reported as present to watchers of the whole domain.
    pub(crate) is_present: bool,
    /// Whether its record is written at the end of the turn.
    pub(super) is_marked: bool,
    pub(super) recorded: Recorded,
    /// Its publications at other servers.
    pub(super) elsewhere: Elsewhere,
    /// The shards with watchers.
    pub(crate) watching: SmallVec<[WatchingShard; 2]>,
    /// Its contacts, as counted in [`Presentities::contacts`].
    contacts: usize,
    /// The timer and when it fires: not later than the next expiry.
    pub(crate) timer: Option<(TimerHandle, Instant)>,
}

/// A shard with watchers of a presentity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchingShard {
    pub(super) shard: Address,
    /// The peer system that the watchers are.
    pub(super) system: Option<PeerSystemId>,
    /// The shard's key of the presentity.
    pub(super) key: WatchedId,
}

/// All presentities owned by this shard.
#[derive(Debug, Default)]
pub(crate) struct Presentities {
    pub(crate) owned: Slab<PresentityId, Owned>,
    owned_by_aor: GrowingMap<Aor, PresentityId>,
    /// Total number of registered contacts.
    contacts: usize,
    /// Where the next search for an evictable presentity starts.
    forget_next: u32,
    pub(super) recording: Recording,
    /// What is told apart.
    pub(super) apart: StatesApart,
    /// Those of which a change may be lost.
    pub(super) unsettled: Unsettled,
}

/// Entries examined by one search, so that it stays cheap when the table is full.
const FORGET_STEPS: u32 = 64;

impl Presentities {
    pub(crate) fn len(&self) -> usize {
        self.owned.len()
    }

    pub(crate) fn find(&self, aor: &Aor) -> Option<PresentityId> {
        self.owned_by_aor.get(aor).copied()
    }

    /// The state that a peer system is told, or all other readers.
    pub(super) fn composed_for(
        &self,
        id: PresentityId,
        system: Option<PeerSystemId>,
    ) -> Option<Arc<Composed>> {
        let apart = system.and_then(|system| self.apart.of(id, system));
        let owned = || Some(self.owned.get(id).expected(OWNED)?.presentity.composed());
        apart.or_else(owned).map(Arc::clone)
    }

    pub(crate) fn get_mut(&mut self, id: PresentityId) -> Option<&mut Owned> {
        self.owned.get_mut(id)
    }

    /// Total number of registered contacts.
    pub(crate) fn contacts(&self) -> usize {
        self.contacts
    }

    pub(crate) fn count_contacts(&mut self, id: PresentityId) {
        if let Some(owned) = self.owned.get_mut(id).expected(OWNED) {
            let contacts = owned.presentity.contacts();
            self.contacts = self.contacts - owned.contacts + contacts;
            owned.contacts = contacts;
        }
    }

    /// Table size, including free entries.
    pub(crate) fn places(&self) -> u32 {
        self.owned.end()
    }

    /// Makes room by evicting a presentity that is known only from past calls. False if none was
    /// found in a bounded number of steps; the next search continues from there.
    pub(crate) fn forget_idle(&mut self) -> bool {
        for _ in 0..FORGET_STEPS.min(self.owned.end()) {
            let id = PresentityId(self.forget_next % self.owned.end());
            self.forget_next = id.0 + 1;
            if self.owned.get(id).is_some_and(Owned::is_idle) {
                self.forget(id);
                return true;
            }
        }
        false
    }

    pub(crate) fn forget(&mut self, id: PresentityId) {
        if let Some(owned) = self.owned.get(id).expected(OWNED) {
            debug_assert_eq!(owned.contacts, 0, "a contact is a reason to be kept");
            self.owned_by_aor.remove(&owned.aor);
            if let Some(number) = owned.recorded.number() {
                self.recording.remove(number);
            }
            self.apart.forget(id);
            self.owned.remove(id);
        }
    }

    /// Who is there in a domain, in order. From now on it is known that they are.
    pub(crate) fn present_in(&mut self, domain: &str) -> Vec<Aor> {
        let mut present = Vec::new();
        for (_, owned) in self.owned.iter_mut() {
            if owned.aor.domain() == domain {
                owned.is_present = owned.presentity.is_present();
                present.extend(owned.is_present.then(|| owned.aor.clone()));
            }
        }
        present.sort_unstable();
        present
    }

    /// Returns the presentity, creating an empty one if necessary.
    pub(crate) fn find_or_add(
        &mut self,
        aor: &Aor,
        directory: &Directory,
        now: Instant,
    ) -> PresentityId {
        self.find(aor).unwrap_or_else(|| {
            let mut presentity = Presentity::default();
            presentity.set_rules(directory.rules_of(aor), now);
            let owned = Owned {
                aor: aor.clone(),
                presentity,
                is_present: false,
                is_marked: false,
                recorded: Recorded::default(),
                elsewhere: Elsewhere::default(),
                watching: SmallVec::new(),
                contacts: 0,
                timer: None,
            };
            let composed = directory
                .has_peer_systems()
                .then(|| Arc::clone(owned.presentity.composed()));
            let id = self.owned.insert(owned);
            self.owned_by_aor.insert(aor.clone(), id);
            if let Some(composed) = composed {
                self.apart.begin(id, &composed);
            }
            id
        })
    }
}

impl Owned {
    /// Whether it has no state, no timer, no watching shard and no publication at another server, so that it can be evicted.
    pub(crate) fn is_idle(&self) -> bool {
        self.watching.is_empty()
            && self.timer.is_none()
            && self.elsewhere.is_empty()
            && self.presentity.is_blank()
    }

    /// When it is to be looked at again, though nothing is reported.
    pub(crate) fn next_expiry(&self, turn: &Turn<'_>) -> Option<Instant> {
        let ends = [self.presentity.next_expiry(), self.remembered_until(turn)];
        ends.into_iter().flatten().min()
    }

    /// Whether a shard has watchers that are not that peer system.
    pub(super) fn is_watched(&self, but: Option<PeerSystemId>) -> bool {
        let counts = |one: &WatchingShard| one.system.is_none() || one.system != but;
        self.watching.iter().any(counts)
    }

    /// Its address of record.
    pub(crate) fn aor(&self) -> &Aor {
        &self.aor
    }
}
