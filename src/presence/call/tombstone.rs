//! Tombstones: the memory of ended legs, so that a late report of an ended leg is not believed.
//!
//! Bounded in time and in number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::presence::call::leg_key::{CallIdDigest, Key, Likeness};
use crate::presence::call::{CallDialog, CallState};
use crate::presence::wall_clock;

/// The life of a tombstone: as long as a delayed or retransmitted report can be under way, 64 × T1
/// (RFC 3261 §17.1.2.2).
pub(crate) const TOMBSTONE_LIFE: Duration = Duration::from_secs(32);

/// The life of a tombstone of a leg without a Call-ID. Its source uses one `id` for call after call
/// (the extension number, say), so the next call must not be mistaken for an echo of the last.
pub(crate) const TOMBSTONE_LIFE_WITHOUT_CALL_ID: Duration = Duration::from_secs(4);

/// Tombstones of one presentity; one more replaces the oldest.
const TOMBSTONES_MAX: usize = 64;

/// The publication a leg belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The publication, by the number the presentity gave it.
    pub(crate) publication: u64,
    /// Who publishes.
    pub(crate) publisher: u64,
    /// Whether that is a PBX, which reports calls, where a phone reports its own legs.
    pub(crate) is_feeder: bool,
}

/// How a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// Its source reported the end, or withdrew its publication: final.
    Terminated,
    /// A full document no longer named it. Its own publication may name it again: it did not report
    /// `terminated`, and a source with one `dialog` element for all branches of a fork names them in
    /// turn.
    Omitted,
    /// Another branch of its dialog was reported as ended, and the dialog with it. If this branch was
    /// answered meanwhile, it comes back.
    Dialog,
    /// Its publication expired. That says nothing about the call: a late publisher publishes its
    /// answered calls anew.
    Expired,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tombstone {
    owner: Owner,
    call: Arc<CallDialog>,
    source_id: Box<str>,
    /// The digest of its key. A busy user has many tombstones, whose texts are scattered in memory.
    digest: CallIdDigest,
    ending: Ending,
    #[serde(with = "wall_clock::instant")]
    until: Instant,
}

/// The tombstones of one presentity, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tombstones(VecDeque<Tombstone>);

impl Tombstones {
    /// Adds a leg that ended and that its source calls `source_id`.
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

    /// Whether a live report of `owner` is a late one about an ended leg.
    pub(crate) fn cover(&self, owner: Owner, key: Key<'_>, state: CallState, now: Instant) -> bool {
        let digest = key.digest();
        self.0.iter().any(|tombstone| {
            !tombstone.digest.rules_out(digest)
                && now < tombstone.until
                && tombstone.covers(owner, key, state)
        })
    }

    /// Forgets tombstones that expired.
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
            // A late report of a call that its source reported as ended.
            _ if state.is_unanswered() && self.ended_dialog_of(owner, key) => true,
            // A missing tag never discredits an answered call: it may be the winner of the fork.
            Likeness::Compatible { .. } if !state.is_unanswered() => false,
            Likeness::Compatible { .. } if is_own => self.ending == Ending::Terminated,
            // The report was sent before the first tag was known, so it is late.
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

    /// Whether this tombstone makes `old` redundant.
    fn supersedes(&self, old: &Self) -> bool {
        let is_final = self.ending == Ending::Terminated || self.ending == old.ending;
        let is_own =
            self.owner.publication == old.owner.publication || self.call.call_id.is_empty();
        // Without tags, another `id` means another dialog.
        let is_same = old.source_id == self.source_id;
        is_final && is_own && is_same && old.key().likeness(self.key()) == Likeness::Equal
    }
}
