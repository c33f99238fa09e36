//! What of the model a durable record holds, and how it comes back after a crash.
//!
//! A record is of everything that counts for a presentity when the turn ends that writes it. So after
//! a crash the model is what it was when the surviving record was written.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Model, Publication, Tombstone};
use crate::model::statements::Statements;
use crate::network::{MILLISECOND, Micros};

/// The entity tag of a publication; empty until the 200 that names it leaves. Copies are of one
/// publication.
#[derive(Clone, Debug, Default)]
pub(super) struct Tag(Rc<RefCell<String>>);

impl Tag {
    pub(super) fn new(tag: &str) -> Self {
        Self(Rc::new(RefCell::new(tag.to_owned())))
    }

    pub(super) fn is(&self, tag: &str) -> bool {
        *self.0.borrow() == *tag
    }

    pub(super) fn text(&self) -> String {
        self.0.borrow().clone()
    }

    /// The 200 names the tag. False if it had another.
    pub(super) fn learn(&self, tag: &str) -> bool {
        let mut known = self.0.borrow_mut();
        if known.is_empty() {
            tag.clone_into(&mut known);
        }
        *known == tag
    }
}

/// What a record of a presentity holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saved {
    pub(super) publications: Vec<Publication>,
    /// The PUBLISHes that removed one, and their entity tags.
    pub(super) removals: Vec<((String, u32), Tag)>,
    pub(super) numbers: u64,
    pub(super) tombstones: Vec<Tombstone>,
    pub(super) statements: Statements,
}

impl Model {
    /// What a record of the presentity that is written now holds, and the number of the last change
    /// in it.
    pub(crate) fn save(&self, presentity: usize) -> (u64, Saved) {
        let presentity = &self.presentities[presentity];
        (presentity.revision, presentity.saved.clone())
    }

    /// Whether nothing counts for a presentity, so that it needs no record.
    pub(crate) fn is_blank(&self, now: Micros, presentity: usize) -> bool {
        let claims = self.presentities[presentity].claims();
        claims.iter().all(|claim| claim.until <= now + MILLISECOND)
    }

    /// The machine crashes while the node's changes up to the one with the number `durable` are durable:
    /// what others made of the presentity in this span of time may have been shown, and may stay until
    /// the next statement. A NOTIFY of a change does not wait for the disk, and what the node noted in
    /// memory is gone. No source got an acknowledgement of it, so its source states it again.
    pub(crate) fn lose(&mut self, presentity: usize, durable: u64, (from, to): (Micros, Micros)) {
        if self.presentities[presentity].revision <= durable {
            return;
        }
        let shown = self.allowed(presentity, from, to);
        let presentity = &mut self.presentities[presentity];
        if presentity.lost_until < to {
            presentity.lost.clear();
        }
        presentity.lost.extend(shown);
        presentity.lost_until = Micros::MAX;
    }

    /// The process is gone: no presentity has a state until its record comes back, and each request
    /// may be served again.
    pub(crate) fn forget(&mut self, now: Micros) {
        let taken = self.taken.drain();
        let taken = taken.map(|(request, taken)| (request, taken.intent));
        for (request, intent) in taken.chain(self.refused.drain(..)) {
            self.intents.entry(request).or_insert(intent);
        }
        self.upstreams.forget(now);
        for presentity in &mut self.presentities {
            presentity.saved = Saved {
                numbers: presentity.saved.numbers,
                ..Saved::default()
            };
            presentity.remember(now);
        }
    }

    /// The record of a presentity comes back.
    pub(crate) fn restore(&mut self, now: Micros, presentity: usize, saved: &Saved) {
        let presentity = &mut self.presentities[presentity];
        let numbers = presentity.saved.numbers.max(saved.numbers);
        presentity.saved = Saved {
            numbers,
            ..saved.clone()
        };
        presentity.remember(now);
    }

    /// The change that an accepted PUBLISH made; None if it may have changed nothing.
    pub(crate) fn revision_of(&self, request: &(String, u32)) -> Option<(usize, u64)> {
        let taken = self.taken.get(request)?;
        Some((taken.intent.presentity, taken.revision?))
    }
}
