//! Tombstones: a record of ended legs, so that a late report of an ended leg is ignored.
//!
//! They are bounded in time and in number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize, Serializer};

use crate::presence::call::CallState;
use crate::presence::call::leg_key::{CallIdDigest, Key, KeyTexts, Likeness};
use crate::presence::wall_clock;

/// The lifetime of a tombstone: the longest time that a delayed or retransmitted report can be in
/// transit, 64 × T1 (RFC 3261 §17.1.2.2).
pub(crate) const TOMBSTONE_LIFE: Duration = Duration::from_secs(32);

/// The lifetime of the tombstone of a leg without a Call-ID. Its source reuses one `id` for every
/// call (Asterisk: the extension number), so the next call must not be mistaken for a late report of
/// the last. It only holds for reports outside the leg's own publication.
pub(crate) const TOMBSTONE_LIFE_WITHOUT_CALL_ID: Duration = Duration::from_secs(4);

/// Maximum tombstones of one presentity; one more replaces the one that would expire first.
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

/// An ended leg. Of the call only the key is kept: a busy user has many tombstones.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tombstone {
    owner: Owner,
    texts: KeyTexts,
    ending: Ending,
    #[serde(with = "wall_clock::instant")]
    until: Instant,
}

/// The tombstones of one presentity. Most presentities have none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<Tombstone>")]
pub(crate) struct Tombstones {
    graveyard: Option<Box<Graveyard>>,
    /// When the first of them expires: every report asks for it.
    next_expiry: Option<Instant>,
}

/// Tombstones, and the digests of their keys at equal indexes: a report is compared with the digests,
/// which lie close together.
#[derive(Clone, Debug, Default)]
struct Graveyard {
    digests: VecDeque<CallIdDigest>,
    /// Those that expire first come first.
    tombstones: VecDeque<Tombstone>,
}

/// Recorded are the tombstones alone.
impl Serialize for Tombstones {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let none = VecDeque::new();
        let graveyard = self.graveyard.as_ref();
        graveyard
            .map_or(&none, |graveyard| &graveyard.tombstones)
            .serialize(to)
    }
}

impl From<Vec<Tombstone>> for Tombstones {
    fn from(tombstones: Vec<Tombstone>) -> Self {
        let mut recovered = Self::default();
        for tombstone in tombstones {
            recovered.change(|graveyard| graveyard.insert(tombstone));
        }
        recovered
    }
}

impl Tombstones {
    /// Adds a leg that ended.
    pub(crate) fn add(&mut self, owner: Owner, key: Key<'_>, ending: Ending, now: Instant) {
        let life = if key.has_call_id() {
            TOMBSTONE_LIFE
        } else {
            TOMBSTONE_LIFE_WITHOUT_CALL_ID
        };
        let tombstone = Tombstone {
            owner,
            texts: KeyTexts::of(key),
            ending,
            until: now + life,
        };
        self.change(|graveyard| graveyard.replace_by(tombstone));
    }

    /// Returns whether a live report of `owner` is a late report about an ended leg.
    pub(crate) fn cover(&self, owner: Owner, key: Key<'_>, state: CallState, now: Instant) -> bool {
        self.graveyard.as_ref().is_some_and(|graveyard| {
            graveyard
                .alike(key.digest())
                .any(|(_, tombstone)| now < tombstone.until && tombstone.covers(owner, key, state))
        })
    }

    /// Removes tombstones that expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.next_expiry.is_some_and(|next| next <= now) {
            self.change(|graveyard| graveyard.expire(now));
        }
    }

    /// The next time at which [`Self::expire`] must be called.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next_expiry.is_none()
    }

    fn change(&mut self, change: impl FnOnce(&mut Graveyard)) {
        let graveyard = self.graveyard.get_or_insert_default();
        change(graveyard);
        let first = graveyard.tombstones.front();
        self.next_expiry = first.map(|tombstone| tombstone.until);
    }
}

impl Graveyard {
    /// The tombstones whose legs may have that digest, with their indexes.
    fn alike(&self, digest: CallIdDigest) -> impl Iterator<Item = (usize, &Tombstone)> {
        let digests = self.digests.iter().enumerate();
        let alike = digests.filter(move |(_, other)| !other.rules_out(digest));
        alike.filter_map(|(index, _)| Some((index, self.tombstones.get(index)?)))
    }

    /// Inserts a tombstone instead of those that it supersedes.
    fn replace_by(&mut self, tombstone: Tombstone) {
        let digest = tombstone.key().digest();
        let superseded = |graveyard: &Self| {
            let mut alike = graveyard.alike(digest);
            alike.find_map(|(index, old)| tombstone.supersedes(old).then_some(index))
        };
        while let Some(index) = superseded(self) {
            self.remove(index);
        }
        if self.tombstones.len() >= TOMBSTONES_MAX {
            self.remove(0);
        }
        self.insert(tombstone);
    }

    /// Nearly every tombstone expires last of all.
    fn insert(&mut self, tombstone: Tombstone) {
        let mut earlier = self.tombstones.iter();
        let last = earlier.rposition(|old| old.until <= tombstone.until);
        let index = last.map_or(0, |last| last + 1);
        self.digests.insert(index, tombstone.key().digest());
        self.tombstones.insert(index, tombstone);
    }

    fn expire(&mut self, now: Instant) {
        let is_over = |tombstone: &Tombstone| tombstone.until <= now;
        while self.tombstones.front().is_some_and(is_over) {
            self.remove(0);
        }
    }

    fn remove(&mut self, index: usize) {
        self.digests.remove(index);
        self.tombstones.remove(index);
    }
}

impl Tombstone {
    fn key(&self) -> Key<'_> {
        self.texts.key(self.owner.publisher)
    }

    /// Returns whether a live report of `owner` is about this leg and must therefore be ignored.
    fn covers(&self, owner: Owner, key: Key<'_>, state: CallState) -> bool {
        let is_own = self.owner.publication == owner.publication;
        // SIP-If-Match keeps the reports of one publication in order, so this is the next call of a
        // source that uses one `id` for all calls, not a late report of the last one.
        if is_own && !key.has_call_id() {
            return false;
        }
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
        let (key, old_key) = (self.key(), old.key());
        let is_own = self.owner.publication == old.owner.publication || !key.has_call_id();
        // Without tags, a different `id` means a different dialog.
        let is_same = old_key.has_id_of(key);
        is_final && is_own && is_same && old_key.likeness(key) == Likeness::Equal
    }
}
