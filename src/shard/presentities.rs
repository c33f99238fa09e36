//! The presentities this shard owns, and which shards watch them.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use crate::presence::Aor;
use crate::presence::Composed;
use crate::presence::Presentity;
use crate::presence::source::StateUpdate;
use crate::shard::Shard;
use crate::shard::Timer;
use crate::shard::directory::Directory;
use crate::shard::flow::ShardId;
use crate::shard::growing::GrowingMap;
use crate::shard::mail::Mail;
use crate::shard::outbox::Outbox;
use crate::shard::places::Places;
use crate::shard::wheel::TimerHandle;

/// A presentity's place among those owned here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PresentityId(pub(crate) u32);

/// One owned presentity.
#[derive(Debug)]
pub(crate) struct Owned {
    aor: Aor,
    pub(crate) presentity: Presentity,
    /// Those who watch the whole domain know that it is there.
    is_present: bool,
    watching: SmallVec<[ShardId; 2]>,
    /// Its contacts, as counted in [`Presentities::contacts`].
    contacts: usize,
    /// The timer and when it fires.
    timer: Option<(TimerHandle, Instant)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Presentities {
    owned: Places<Owned>,
    owned_by_aor: GrowingMap<Aor, PresentityId>,
    /// The contacts of all.
    contacts: usize,
    /// Where the search for one to be forgotten goes on.
    forget_next: usize,
}

/// Places that one search looks at, so that a full server stays quick.
const FORGET_STEPS: usize = 64;

impl Presentities {
    pub(crate) fn len(&self) -> usize {
        self.owned.len()
    }

    pub(crate) fn find(&self, aor: &Aor) -> Option<PresentityId> {
        self.owned_by_aor.get(aor).copied()
    }

    pub(crate) fn get_mut(&mut self, id: PresentityId) -> Option<&mut Owned> {
        self.owned.get_mut(id.0 as usize)
    }

    /// How many contacts are registered, of all of them.
    pub(crate) fn contacts(&self) -> usize {
        self.contacts
    }

    fn count_contacts(&mut self, id: PresentityId) {
        if let Some(owned) = self.owned.get_mut(id.0 as usize) {
            let contacts = owned.presentity.contacts();
            self.contacts = self.contacts - owned.contacts + contacts;
            owned.contacts = contacts;
        }
    }

    /// How many places there are, taken or not.
    pub(crate) fn places(&self) -> u32 {
        self.owned.end() as u32
    }

    /// Makes room by forgetting one of whom is only known that its calls were reported once. False
    /// when none was found in some steps; the next search goes on behind them.
    fn forget_idle(&mut self) -> bool {
        for _ in 0..FORGET_STEPS.min(self.owned.end()) {
            let place = self.forget_next % self.owned.end();
            self.forget_next = place + 1;
            if self.owned.get(place).is_some_and(Owned::is_idle) {
                self.forget(place);
                return true;
            }
        }
        false
    }

    fn forget(&mut self, place: usize) {
        if let Some(owned) = self.owned.get(place) {
            debug_assert_eq!(owned.contacts, 0, "a contact is a reason to be kept");
            self.owned_by_aor.remove(&owned.aor);
            self.owned.remove(place);
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

    /// The presentity; a blank one when nothing is known of it yet.
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
                watching: SmallVec::new(),
                contacts: 0,
                timer: None,
            };
            let id = PresentityId(self.owned.insert(owned) as u32);
            self.owned_by_aor.insert(aor.clone(), id);
            id
        })
    }
}

impl Owned {
    /// Whether nothing is known that matters to anybody now.
    fn is_idle(&self) -> bool {
        self.watching.is_empty() && self.timer.is_none() && self.presentity.is_blank()
    }

    /// Whose it is.
    pub(crate) fn aor(&self) -> &Aor {
        &self.aor
    }
}

impl Shard {
    /// The presentity, which is made when there is room for it.
    pub(crate) fn own(&mut self, aor: &Aor, now: Instant) -> Option<PresentityId> {
        let is_full = self.presentities.len() >= self.options.presentities_max;
        if is_full && self.presentities.find(aor).is_none() && !self.presentities.forget_idle() {
            return None;
        }
        Some(self.presentities.find_or_add(aor, &self.directory, now))
    }

    /// What somebody says about a presentity, whoever owns it. False when it is owned here and there
    /// is no room for it; another owner is not waited for.
    pub(crate) fn say(
        &mut self,
        aor: Aor,
        said: StateUpdate,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let owner = Self::owner(&aor, self.options.shards);
        if owner == self.options.id {
            return self.take_statement(&aor, said, now, out);
        }
        let said = Box::new(said);
        out.mail.push((owner, Mail::Say { aor, said }));
        true
    }

    /// What somebody says about a presentity that is owned here. False when there is no room for it.
    pub(crate) fn take_statement(
        &mut self,
        aor: &Aor,
        said: StateUpdate,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let Some(id) = self.own(aor, now) else {
            self.counters.requests_over_limit += 1;
            return false;
        };
        self.counters.statements_accepted += 1;
        if let Some(owned) = self.presentities.get_mut(id) {
            let has_expired = owned.presentity.expire(now);
            let is_changed = owned.presentity.apply(said, now) || has_expired;
            self.after_contribution(id, is_changed, now, out);
        }
        true
    }

    /// The first watcher of a presentity here: its owner tells us its state, now and at every
    /// change.
    pub(crate) fn begin_watch(&mut self, aor: &Aor, out: &mut Outbox) {
        let owner = Self::owner(aor, self.options.shards);
        if owner == self.options.id {
            self.handle_watch(aor, owner, out);
        } else {
            out.mail.push((
                owner,
                Mail::Watch {
                    aor: aor.clone(),
                    watcher: self.options.id,
                },
            ));
        }
    }

    /// The last watcher of a presentity here is gone.
    pub(crate) fn end_watch(&mut self, aor: &Aor, now: Instant, out: &mut Outbox) {
        let owner = Self::owner(aor, self.options.shards);
        if owner == self.options.id {
            self.handle_unwatch(aor, owner, now);
        } else {
            out.mail.push((
                owner,
                Mail::Unwatch {
                    aor: aor.clone(),
                    watcher: self.options.id,
                },
            ));
        }
    }

    /// As owner: a shard wants to know.
    pub(crate) fn handle_watch(&mut self, aor: &Aor, watcher: ShardId, out: &mut Outbox) {
        let (directory, now) = (Arc::clone(&self.directory), self.now);
        let id = self.presentities.find_or_add(aor, &directory, now);
        let Some(owned) = self.presentities.get_mut(id) else {
            return;
        };
        if !owned.watching.contains(&watcher) {
            owned.watching.push(watcher);
        }
        let composed = Arc::clone(owned.presentity.composed());
        self.tell(aor, watcher, composed, out);
    }

    /// As owner: a shard need not know any more.
    pub(crate) fn handle_unwatch(&mut self, aor: &Aor, watcher: ShardId, now: Instant) {
        let Some(id) = self.presentities.find(aor) else {
            return;
        };
        if let Some(owned) = self.presentities.get_mut(id) {
            owned.watching.retain(|watching| *watching != watcher);
        }
        self.tend(id, now);
    }

    /// From the owner: a presentity's state.
    pub(crate) fn handle_state(&mut self, aor: &Aor, composed: Arc<Composed>) {
        self.table.take_state(aor, composed, &mut self.queue);
    }

    /// After a contribution to a presentity: tells the watching shards when the composed state
    /// changed, and sets its timer.
    pub(crate) fn after_contribution(
        &mut self,
        id: PresentityId,
        is_changed: bool,
        now: Instant,
        out: &mut Outbox,
    ) {
        if is_changed {
            self.counters.state_changes += 1;
            self.tell_all(id, out);
        }
        self.presentities.count_contacts(id);
        if !self.rosters.is_idle() {
            self.follow_presence(id, out);
        }
        self.tend(id, now);
    }

    /// Tells those who watch a whole domain who comes and goes.
    fn follow_presence(&mut self, id: PresentityId, out: &mut Outbox) {
        let Some(owned) = self.presentities.get_mut(id) else {
            return;
        };
        let is_present = owned.presentity.is_present();
        if std::mem::replace(&mut owned.is_present, is_present) != is_present {
            let aor = owned.aor.clone();
            self.tell_presence(&aor, is_present, out);
        }
    }

    /// A contribution of a presentity is past its time.
    pub(crate) fn handle_presentity_timer(
        &mut self,
        id: PresentityId,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(owned) = self.presentities.get_mut(id) else {
            return;
        };
        owned.timer = None;
        let is_changed = owned.presentity.expire(now);
        self.after_contribution(id, is_changed, now, out);
    }

    fn tell_all(&mut self, id: PresentityId, out: &mut Outbox) {
        let Some(owned) = self.presentities.owned.get(id.0 as usize) else {
            return;
        };
        if owned.watching.is_empty() {
            self.counters.publications_without_watchers += 1;
        }
        for watcher in &owned.watching {
            let composed = Arc::clone(owned.presentity.composed());
            if *watcher == self.options.id {
                self.table.take_state(&owned.aor, composed, &mut self.queue);
            } else {
                out.mail.push((
                    *watcher,
                    Mail::State {
                        aor: owned.aor.clone(),
                        composed,
                    },
                ));
            }
        }
    }

    fn tell(&mut self, aor: &Aor, watcher: ShardId, composed: Arc<Composed>, out: &mut Outbox) {
        if watcher == self.options.id {
            self.table.take_state(aor, composed, &mut self.queue);
        } else {
            out.mail.push((
                watcher,
                Mail::State {
                    aor: aor.clone(),
                    composed,
                },
            ));
        }
    }

    /// Sets the timer to the next expiry; forgets a presentity of which nothing is known and that
    /// nobody watches. That a user is known by its calls is remembered until the room is needed.
    fn tend(&mut self, id: PresentityId, now: Instant) {
        let Some(owned) = self.presentities.owned.get_mut(id.0 as usize) else {
            return;
        };
        let next = owned.presentity.next_expiry().map(|at| at.max(now));
        if owned.timer.map(|(_, at)| at) != next {
            if let Some((timer, _)) = owned.timer.take() {
                self.wheel.cancel(timer);
            }
            owned.timer = next.map(|at| (self.wheel.arm(at, Timer::Presentity(id)), at));
        }
        if owned.is_idle() && !owned.presentity.is_known_by_calls() {
            self.presentities.forget(id.0 as usize);
        }
    }
}
