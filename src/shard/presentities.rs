//! The presentities this shard owns, and which shards watch them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;
use smallvec::SmallVec;

use crate::presence::Aor;
use crate::presence::Composed;
use crate::presence::Presentity;
use crate::shard::Shard;
use crate::shard::Timer;
use crate::shard::flow::ShardId;
use crate::shard::mail::Mail;
use crate::shard::outbox::Outbox;
use crate::shard::wheel::TimerHandle;

/// A presentity's place among those owned here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PresentityId(pub(crate) u32);

/// One owned presentity.
#[derive(Debug)]
pub(crate) struct Owned {
    aor: Aor,
    pub(crate) presentity: Presentity,
    watching: SmallVec<[ShardId; 2]>,
    /// The timer and when it fires.
    timer: Option<(TimerHandle, Instant)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Presentities {
    owned: Slab<Owned>,
    owned_by_aor: HashMap<Aor, PresentityId>,
}

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

    /// The presentity; a blank one when nothing is known of it yet.
    pub(crate) fn find_or_add(&mut self, aor: &Aor) -> PresentityId {
        self.find(aor).unwrap_or_else(|| {
            let presentity = Presentity::default();
            let owned = Owned {
                aor: aor.clone(),
                presentity,
                watching: SmallVec::new(),
                timer: None,
            };
            let id = PresentityId(self.owned.insert(owned) as u32);
            self.owned_by_aor.insert(aor.clone(), id);
            id
        })
    }
}

impl Shard {
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
        let id = self.presentities.find_or_add(aor);
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
        self.tend(id, now);
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
    /// nobody watches.
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
        if owned.watching.is_empty() && owned.timer.is_none() && owned.presentity.is_blank() {
            let owned = self.presentities.owned.remove(id.0 as usize);
            self.presentities.owned_by_aor.remove(&owned.aor);
        }
    }
}
