//! The memory of legs that are over, so that what was said before is not believed after.
//!
//! Bounded in time and in number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::call::CallDialog;
use crate::presence::call::CallState;
use crate::presence::call::leg_key::CallIdDigest;
use crate::presence::call::leg_key::Key;
use crate::presence::call::leg_key::Likeness;

/// As long as a delayed or retransmitted statement can be under way: 64 × T1 (RFC 3261 §17.1.2.2).
pub(crate) const TOMBSTONE_LIFE: Duration = Duration::from_secs(32);

/// The same for legs without a Call-ID. Their sources use one `id` call after call (the extension
/// number, say), so that the next call must not be taken for an echo of the last.
pub(crate) const TOMBSTONE_LIFE_WITHOUT_CALL_ID: Duration = Duration::from_secs(4);

/// Tombstones of one presentity; the oldest goes when there is one too many.
const TOMBSTONES_MAX: usize = 64;

/// The publication a leg belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The publication, by the number the presentity gave it.
    pub(crate) publication: u64,
    /// Who publishes.
    pub(crate) publisher: u64,
    /// Whether that is an exchange, which speaks of calls where a phone speaks of its legs.
    pub(crate) is_feeder: bool,
}

/// How a leg came to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A source said so, or withdrew its publication: final.
    Terminated,
    /// A full document did not name it any more. Its own publication may name it again: it did not
    /// say `terminated`, and a source with one `dialog` element for all branches of a fork names
    /// them in turn.
    Omitted,
    /// Another branch of its dialog was said to be over, and the dialog with it. Should this one
    /// have been answered meanwhile, it comes back.
    Dialog,
    /// Its publication ran out. That is no news about the call: a publisher that was late publishes
    /// its answered calls anew.
    Expired,
}

#[derive(Debug)]
struct Tombstone {
    owner: Owner,
    call: Arc<CallDialog>,
    source_id: Box<str>,
    /// Of its key: somebody in call after call has many tombstones, whose texts lie all over the
    /// memory.
    digest: CallIdDigest,
    ending: Ending,
    until: Instant,
}

/// The tombstones of one presentity, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Tombstones(VecDeque<Tombstone>);

impl Tombstones {
    /// A leg that its source calls `source_id` is over.
    pub(crate) fn add(
        &mut self,
        owner: Owner,
        call: Arc<CallDialog>,
        source_id: Box<str>,
        ending: Ending,
        now: Instant,
    ) {
        let life = if call.call_id.is_empty() {
            TOMBSTONE_LIFE_WITHOUT_CALL_ID
        } else {
            TOMBSTONE_LIFE
        };
        let digest = Key::new(owner.publisher, &source_id, &call).digest();
        let tombstone = Tombstone {
            digest,
            owner,
            call,
            source_id,
            ending,
            until: now + life,
        };
        self.0
            .retain(|old| old.digest.rules_out(tombstone.digest) || !tombstone.supersedes(old));
        if self.0.len() >= TOMBSTONES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(tombstone);
    }

    /// Whether a live report of `owner` is a late word about a leg that is over.
    pub(crate) fn cover(&self, owner: Owner, key: Key<'_>, state: CallState, now: Instant) -> bool {
        let digest = key.digest();
        self.0.iter().any(|tombstone| {
            !tombstone.digest.rules_out(digest)
                && now < tombstone.until
                && tombstone.covers(owner, key, state)
        })
    }

    /// Forgets those whose time is up.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.0.retain(|tombstone| now < tombstone.until);
    }

    /// When [`Self::expire`] has something to do next.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.0.iter().map(|tombstone| tombstone.until).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Tombstone {
    fn key(&self) -> Key<'_> {
        Key::new(self.owner.publisher, &self.source_id, &self.call)
    }

    /// Whether a live report of `owner` is about this leg and so to be ignored.
    fn covers(&self, owner: Owner, key: Key<'_>, state: CallState) -> bool {
        let is_own = self.owner.publication == owner.publication;
        match self.key().likeness(key) {
            Likeness::Equal => match self.ending {
                Ending::Terminated => true,
                Ending::Omitted => !is_own,
                Ending::Dialog | Ending::Expired => state.is_unanswered(),
            },
            // Late news of a call that its source said is over.
            _ if state.is_unanswered() && self.ended_dialog_of(owner, key) => true,
            // An answered call is never doubted because of a missing tag: it may be the winner of
            // the fork.
            Likeness::Compatible { .. } if !state.is_unanswered() => false,
            Likeness::Compatible { .. } if is_own => self.ending == Ending::Terminated,
            // Before the first tag came; it can only be late.
            Likeness::Compatible { gains } => {
                !gains && state.progress() < CallState::Early.progress()
            }
            Likeness::Different => false,
        }
    }

    /// Whether a report of `owner` names the dialog that was terminated here, whatever its tags.
    fn ended_dialog_of(&self, owner: Owner, key: Key<'_>) -> bool {
        self.ending == Ending::Terminated
            && self.owner.publisher == owner.publisher
            && self.key().is_named_by(key, owner.is_feeder)
    }

    /// Whether `old` says no more than this one.
    fn supersedes(&self, old: &Self) -> bool {
        let is_final = self.ending == Ending::Terminated || self.ending == old.ending;
        let is_own =
            self.owner.publication == old.owner.publication || self.call.call_id.is_empty();
        // Under another `id` it stands for another dialog, if neither has tags.
        let is_same = old.source_id == self.source_id;
        is_final && is_own && is_same && old.key().likeness(self.key()) == Likeness::Equal
    }
}
