//! Tombstones: a record of ended legs, so that a late report of an ended leg is ignored.
//!
//! They are bounded in time and in number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize, Serializer};

use crate::presence::call::leg_key::{CallIdDigest, Key, Likeness};
use crate::presence::call::{CallDialog, CallState};
use crate::presence::wall_clock;

/// The lifetime of a tombstone: the longest time that a delayed or retransmitted report can be in
/// transit, 64 × T1 (RFC 3261 §17.1.2.2).
pub(crate) const TOMBSTONE_LIFE: Duration = Duration::from_secs(32);

/// The lifetime of the tombstone of a leg without a Call-ID. Its source reuses one `id` for every
/// call (the extension number, for example), so the next call must not be mistaken for a late
/// report of the last.
pub(crate) const TOMBSTONE_LIFE_WITHOUT_CALL_ID: Duration = Duration::from_secs(4);

/// Maximum tombstones of one presentity; one more replaces the oldest.
const TOMBSTONES_MAX: usize = 64;

/// The publication a leg belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The number that the presentity assigned to the publication.
    pub(crate) publication: u64,
    /// The publisher.
    pub(crate) publisher: u64,
    /// Whether the publisher is a PBX. A PBX reports calls; a phone reports its own legs.
    pub(crate) is_feeder: bool,
}

/// How a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// Its source reported the end, or removed its publication: final.
    Terminated,
    /// A full document no longer listed it. Its own publication may report it again: it did not
    /// report `terminated`, and a source with one `dialog` element for all branches of a fork
    /// reports them in turn.
    Omitted,
    /// Another branch of its dialog was reported as ended, which ended the dialog. If this branch
    /// was answered meanwhile, it comes back.
    Dialog,
    /// Its publication expired. This says nothing about the call: a publisher that was late
    /// publishes its answered calls again.
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

/// The tombstones of one presentity. Recorded are the tombstones alone.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "VecDeque<Tombstone>")]
pub(crate) struct Tombstones {
    /// The oldest first.
    tombstones: VecDeque<Tombstone>,
    /// When the first of them expires. Every report asks for it; a busy user has many tombstones.
    next_expiry: Option<Instant>,
}

impl Serialize for Tombstones {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.tombstones.serialize(to)
    }
}

impl From<VecDeque<Tombstone>> for Tombstones {
    fn from(tombstones: VecDeque<Tombstone>) -> Self {
        let mut recovered = Self {
            tombstones,
            next_expiry: None,
        };
        recovered.next_expiry = recovered.earliest();
        recovered
    }
}

impl Tombstones {
    /// Adds a leg that ended and for which its source uses `source_id`.
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
        let count = self.tombstones.len();
        self.tombstones
            .retain(|old| old.digest.rules_out(tombstone.digest) || !tombstone.supersedes(old));
        if self.tombstones.len() >= TOMBSTONES_MAX {
            self.tombstones.pop_front();
        }
        if self.tombstones.len() < count {
            self.next_expiry = self.earliest();
        }
        let until = tombstone.until;
        self.next_expiry = Some(self.next_expiry.map_or(until, |next| next.min(until)));
        self.tombstones.push_back(tombstone);
    }

    /// Returns whether a live report of `owner` is a late report about an ended leg.
    pub(crate) fn cover(&self, owner: Owner, key: Key<'_>, state: CallState, now: Instant) -> bool {
        let digest = key.digest();
        self.tombstones.iter().any(|tombstone| {
            !tombstone.digest.rules_out(digest)
                && now < tombstone.until
                && tombstone.covers(owner, key, state)
        })
    }

    /// Removes tombstones that expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.next_expiry.is_some_and(|next| next <= now) {
            self.tombstones.retain(|tombstone| now < tombstone.until);
            self.next_expiry = self.earliest();
        }
    }

    /// The next time at which [`Self::expire`] must be called.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    fn earliest(&self) -> Option<Instant> {
        self.tombstones
            .iter()
            .map(|tombstone| tombstone.until)
            .min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tombstones.is_empty()
    }
}

impl Tombstone {
    fn key(&self) -> Key<'_> {
        Key::new(self.owner.publisher, &self.source_id, &self.call)
    }

    /// Returns whether a live report of `owner` is about this leg and must therefore be ignored.
    fn covers(&self, owner: Owner, key: Key<'_>, state: CallState) -> bool {
        let is_own = self.owner.publication == owner.publication;
        match self.key().likeness(key) {
            Likeness::Equal => match self.ending {
                Ending::Terminated => true,
                Ending::Omitted => !is_own,
                Ending::Dialog | Ending::Expired => state.is_unanswered(),
            },
            // A late report of a call that its source has reported as ended.
            _ if state.is_unanswered() && self.ended_dialog_of(owner, key) => true,
            // A missing tag never invalidates an answered call: it may be the winner of the fork.
            Likeness::Compatible { .. } if !state.is_unanswered() => false,
            Likeness::Compatible { .. } if is_own => self.ending == Ending::Terminated,
            // The report was sent before the first tag was known, so it is late.
            Likeness::Compatible { gains } => {
                !gains && state.progress() < CallState::Early.progress()
            }
            Likeness::Different => false,
        }
    }

    /// Returns whether a report of `owner` names the dialog that was terminated here, whatever its
    /// tags.
    fn ended_dialog_of(&self, owner: Owner, key: Key<'_>) -> bool {
        self.ending == Ending::Terminated
            && self.owner.publisher == owner.publisher
            && self.key().is_named_by(key, owner.is_feeder)
    }

    /// Returns whether this tombstone makes `old` redundant.
    fn supersedes(&self, old: &Self) -> bool {
        let is_final = self.ending == Ending::Terminated || self.ending == old.ending;
        let is_own =
            self.owner.publication == old.owner.publication || self.call.call_id.is_empty();
        // Without tags, a different `id` means a different dialog.
        let is_same = old.source_id == self.source_id;
        is_final && is_own && is_same && old.key().likeness(self.key()) == Likeness::Equal
    }
}
