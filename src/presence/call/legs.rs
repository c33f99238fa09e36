//! The call legs that publications report about one presentity, and the tombstones of ended legs.
//!
//! A leg belongs to the publication that reports it. Its key is (Call-ID, local tag, remote tag)
//! or, if its source gives no Call-ID, (publisher, `id`). Call state is this set of legs and never
//! a whole document: a report changes one leg.
//!
//! Guarantees, for legs of equal key:
//! - The state only moves forward (RFC 4235 §3.7.1); a report of an earlier state is ignored.
//! - `id` and Call-ID name a dialog (RFC 4235 §4.1.1). When a PBX reports a dialog as `terminated`,
//!   all branches that it reported end, whatever their tags; a phone's report ends only the branches
//!   that match its tags. An answered branch outlives the end of an unanswered one.
//! - A leg that its source reported as `terminated` stays ended for 32 s ([`Tombstones`]), whichever
//!   publication names it again, however late.
//! - A report with different tags is about another leg: the loser of a fork never clears the
//!   winner. A
//!   missing tag is a wild card only towards legs of the same publication. A leg of another
//!   publication counts as the reported leg if it is unanswered and the report merely knows more
//!   tags (`trying` has none yet).
//! - `trying`, `proceeding` and `early` are trusted for [`CallState::time_to_live_max`] after a
//!   body last reported them. A refresh without a body reports nothing, so it does not prolong
//!   them.
//! - Legs and tombstones are bounded.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::presence::DataSubject;
use crate::presence::call::leg_key::{Key, Likeness};
use crate::presence::call::tombstone::{Ending, Owner, Tombstones};
use crate::presence::call::{CallDialog, CallParts, CallState, Party};
use crate::presence::wall_clock;

/// A live leg.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    /// The publication that reports it.
    pub(crate) owner: Owner,
    /// The leg as it is known now. Never terminated.
    pub(crate) call: Arc<CallDialog>,
    /// The `id` its source uses.
    source_id: Box<str>,
    /// When it entered this state.
    #[serde(with = "wall_clock::instant")]
    pub(crate) since: Instant,
    /// When it ends unless it is reported again.
    #[serde(with = "wall_clock::optional_instant")]
    until: Option<Instant>,
    /// Whether the document being applied names it.
    named: bool,
}

/// The legs of one presentity and their tombstones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CallSet {
    legs: Vec<Leg>,
    tombstones: Tombstones,
}

impl CallSet {
    /// The live legs, in an arbitrary but stable order.
    pub(crate) fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// Applies a document of `owner`. `full`: legs of `owner` that the document does not list end.
    pub(crate) fn apply(
        &mut self,
        owner: Owner,
        dialogs: Vec<CallDialog>,
        full: bool,
        calls_max: usize,
        now: Instant,
    ) {
        for leg in &mut self.legs {
            leg.named = false;
        }
        for dialog in dialogs {
            if dialog.state == CallState::Terminated {
                self.terminate(owner, dialog, now);
            } else {
                self.report(owner, dialog, calls_max, now);
            }
        }
        if full {
            self.bury_where(Ending::Omitted, now, |leg| {
                leg.owner.publication == owner.publication && !leg.named
            });
        }
    }

    /// Returns whether a live dialog in a new document of `owner` is a leg of `publication`, so
    /// that the new publication takes over that publication's legs. A `terminated` dialog concerns
    /// only its own leg.
    pub(crate) fn overlaps(&self, publication: u64, owner: Owner, dialogs: &[CallDialog]) -> bool {
        let legs = || {
            self.legs
                .iter()
                .filter(|leg| leg.owner.publication == publication)
        };
        dialogs
            .iter()
            .filter(|dialog| dialog.state != CallState::Terminated)
            .map(|dialog| Key::of(owner.publisher, dialog))
            .any(|key| {
                legs().any(|leg| leg.is_restated_by(key) || leg.key().is_named_by(key, false))
            })
    }

    /// The publisher of `owner` restarted and reports no call: the legs of its other publications
    /// end. They may be reported again, because none was reported as `terminated`.
    pub(crate) fn end_calls_of_others(&mut self, owner: Owner, now: Instant) {
        self.bury_where(Ending::Omitted, now, |leg| {
            leg.owner.publisher == owner.publisher && leg.owner.publication != owner.publication
        });
    }

    /// Returns whether a publication has live legs.
    pub(crate) fn has_legs(&self, publication: u64) -> bool {
        self.legs
            .iter()
            .any(|leg| leg.owner.publication == publication)
    }

    /// Moves the legs of a publication to its successor. If both report the same leg, the further
    /// state is kept.
    pub(crate) fn hand_over(&mut self, publication: u64, heir: Owner) {
        let mut index = 0;
        while index < self.legs.len() {
            if self.legs[index].owner.publication != publication {
                index += 1;
                continue;
            }
            let mut leg = self.legs.remove(index);
            leg.owner = heir;
            let is_twin = |other: &&mut Leg| {
                other.owner == heir && other.key().likeness(leg.key()) == Likeness::Equal
            };
            match self.legs.iter_mut().find(is_twin) {
                Some(twin) if twin.call.state.progress() < leg.call.state.progress() => *twin = leg,
                Some(_) => {}
                None => {
                    self.legs.insert(index, leg);
                    index += 1;
                }
            }
        }
    }

    /// The publication was removed: its legs end.
    pub(crate) fn remove(&mut self, publication: u64, now: Instant) {
        self.bury_where(Ending::Terminated, now, |leg| {
            leg.owner.publication == publication
        });
    }

    /// The publication expired: its legs are no longer reported. A leg that expired before it leaves no
    /// tombstone. After a restart, `expired_at` may be long ago.
    pub(crate) fn abandon(&mut self, publication: u64, expired_at: Instant) {
        let is_its = |leg: &Leg| leg.owner.publication == publication;
        let lives = |leg: &Leg| leg.until.is_none_or(|until| expired_at < until);
        self.legs.retain(|leg| !is_its(leg) || lives(leg));
        self.bury_where(Ending::Expired, expired_at, is_its);
    }

    /// What became of the calls of a publication is not known any more: its legs go without a tombstone.
    pub(crate) fn lose(&mut self, publication: u64) {
        self.legs.retain(|leg| leg.owner.publication != publication);
    }

    /// Removes the names of people who are erased from the parties; from how many legs.
    pub(crate) fn anonymise(&mut self, erased: &DataSubject) -> usize {
        let calls = self.legs.iter_mut().map(|leg| &mut leg.call);
        calls
            .map(|call| usize::from(CallDialog::anonymise(call, erased)))
            .sum()
    }

    /// Drops legs and tombstones that expired.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.legs
            .retain(|leg| leg.until.is_none_or(|until| now < until));
        self.tombstones.expire(now);
    }

    /// The next time at which [`Self::expire`] must be called.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let legs = self.legs.iter().filter_map(|leg| leg.until);
        legs.chain(self.tombstones.next_expiry()).min()
    }

    /// Returns whether there are no legs and no tombstones.
    pub(crate) fn is_empty(&self) -> bool {
        self.legs.is_empty() && self.tombstones.is_empty()
    }

    fn terminate(&mut self, owner: Owner, dialog: CallDialog, now: Instant) {
        self.end_branches(owner, &dialog, now);
        let merged = self
            .own_leg(owner, &dialog)
            .map(|index| merge(&self.legs.remove(index).call, dialog.clone()));
        // It ends under both keys: the known one, and the one in this report.
        let known = merged.as_ref().unwrap_or(&dialog);
        let known = Key::new(owner.publisher, dialog.id(), known);
        let stated = Key::of(owner.publisher, &dialog);
        self.legs
            .retain(|leg| !leg.is_restated_by(known) && !leg.is_restated_by(stated));
        if known.likeness(stated) != Likeness::Equal {
            self.tombstones.add(owner, stated, Ending::Terminated, now);
        }
        self.tombstones.add(owner, known, Ending::Terminated, now);
    }

    /// Ends the other legs of a dialog that was reported as `terminated`. If the leg with the equal
    /// key is unanswered, it lost a fork, and answered legs continue. Answered legs also continue
    /// if a phone reports a dialog without tags and some legs of that dialog are unanswered.
    fn end_branches(&mut self, owner: Owner, dialog: &CallDialog, now: Instant) {
        let key = Key::of(owner.publisher, dialog);
        let is_equal = |leg: &Leg| leg.key().likeness(key) == Likeness::Equal;
        let ends_loser = self.legs.iter().any(|leg| {
            let is_meant = is_equal(leg) || !owner.is_feeder && leg.is_named_by(owner, key);
            is_meant && leg.call.state.is_unanswered()
        });
        let is_over = |leg: &Leg| leg.is_named_by(owner, key) && !is_equal(leg);
        self.bury_where(Ending::Dialog, now, |leg| {
            leg.call.state.is_unanswered() && is_over(leg)
        });
        if !ends_loser {
            self.bury_where(Ending::Terminated, now, is_over);
        }
    }

    /// Applies a live dialog.
    fn report(&mut self, owner: Owner, dialog: CallDialog, calls_max: usize, now: Instant) {
        let key = Key::of(owner.publisher, &dialog);
        let state = dialog.state;
        let is_over = |key: Key<'_>| self.tombstones.cover(owner, key, state, now);
        let Some(index) = self.own_leg(owner, &dialog) else {
            if !is_over(key) {
                self.insert(owner, dialog, calls_max, now);
            }
            return;
        };
        let leg = &self.legs[index];
        let likeness = leg.key().likeness(key);
        // A source without Call-IDs uses one `id` for all calls, and SIP-If-Match keeps its reports in
        // order: the answered call has ended, and another rings.
        let is_one_id = likeness == Likeness::Equal && !key.has_call_id();
        if is_one_id && state.is_unanswered() && !leg.call.state.is_unanswered() {
            self.legs.remove(index);
            self.insert(owner, dialog, calls_max, now);
            return;
        }
        let is_new_key = likeness != Likeness::Equal;
        let is_stated_over = is_new_key && is_over(key);
        let merged = merge(&leg.call, dialog);
        let merged_key = Key::new(owner.publisher, &leg.source_id, &merged);
        let has_ended = is_stated_over || is_new_key && is_over(merged_key);
        if !has_ended {
            self.legs[index].evolve(merged, now);
        } else if likeness == (Likeness::Compatible { gains: true }) {
            // The leg is found to have ended.
            self.legs.remove(index);
        }
    }

    /// The leg of `owner` that `dialog` is about: the leg with an equal key; otherwise one with an
    /// equal `id`; otherwise one that matches because tags are missing. Of several, the least
    /// advanced: a branch of a fork that is reported as ended without its tag lost the fork.
    fn own_leg(&self, owner: Owner, dialog: &CallDialog) -> Option<usize> {
        let rank = |leg: &Leg| match leg.key().likeness(Key::of(owner.publisher, dialog)) {
            Likeness::Equal => Some(0),
            Likeness::Compatible { .. } if *leg.source_id == *dialog.id() => Some(1),
            // Another element of the document reports this leg.
            Likeness::Compatible { .. } if leg.named => None,
            Likeness::Compatible { .. } => Some(2),
            Likeness::Different => None,
        };
        let own = self
            .legs
            .iter()
            .enumerate()
            .filter(|(_, leg)| leg.owner.publication == owner.publication);
        own.filter_map(|(index, leg)| Some((rank(leg)?, leg.call.state.progress(), index)))
            .min()
            .map(|(_, _, index)| index)
    }

    fn insert(&mut self, owner: Owner, mut dialog: CallDialog, calls_max: usize, now: Instant) {
        if self.legs.len() >= calls_max && !self.make_room_for(&dialog) {
            return;
        }
        let source_id = Box::from(dialog.id());
        let twin = self
            .legs
            .iter()
            .find(|leg| leg.is_restated_by(Key::of(owner.publisher, &dialog)));
        if let Some(twin) = twin {
            // Two publications report one leg: watchers see one `id`, whichever report is shown.
            dialog = with_id(&dialog, twin.call.id());
        } else if self
            .legs
            .iter()
            .any(|leg| leg.call.id() == dialog.id() && leg.call.call_id() == dialog.call_id())
        {
            // Branches of a fork have one `id`: watchers see one `id` for each branch.
            let parts = [dialog.id(), dialog.local_tag(), dialog.remote_tag()];
            let id = format!("{};{}", parts.join(";"), owner.publication);
            dialog = with_id(&dialog, &id);
        }
        let until = end_of(dialog.state, now);
        self.legs.push(Leg {
            owner,
            call: Arc::new(dialog),
            source_id,
            since: now,
            until,
            named: true,
        });
    }

    /// Removes the least significant leg, the oldest of equals, unless `dialog` is even less
    /// significant. Returns whether there is room now.
    fn make_room_for(&mut self, dialog: &CallDialog) -> bool {
        let significance = |(_, leg): &(usize, &Leg)| (leg.call.lamp_state(), leg.since);
        let Some((index, least)) = self.legs.iter().enumerate().min_by_key(significance) else {
            return false;
        };
        let fits = least.call.lamp_state() <= dialog.lamp_state();
        if fits {
            self.legs.remove(index);
        }
        fits
    }

    fn bury_where(&mut self, ending: Ending, now: Instant, is_over: impl Fn(&Leg) -> bool) {
        let mut index = 0;
        while let Some(leg) = self.legs.get(index) {
            if is_over(leg) {
                let leg = self.legs.remove(index);
                self.tombstones.add(leg.owner, leg.key(), ending, now);
            } else {
                index += 1;
            }
        }
    }
}

impl Leg {
    fn key(&self) -> Key<'_> {
        Key::new(self.owner.publisher, &self.source_id, &self.call)
    }

    /// Returns whether a report of another publication is about this leg.
    fn is_restated_by(&self, key: Key<'_>) -> bool {
        match self.key().likeness(key) {
            Likeness::Equal => true,
            Likeness::Compatible { gains } => gains && self.call.state.is_unanswered(),
            Likeness::Different => false,
        }
    }

    /// Returns whether `key`, in a report of `owner`, identifies the dialog of this leg. A leg of
    /// another publisher counts only while it is unanswered: `owner` might not know of an answered
    /// one.
    fn is_named_by(&self, owner: Owner, key: Key<'_>) -> bool {
        let is_own = self.owner.publisher == owner.publisher;
        (is_own || self.call.state.is_unanswered())
            && self.key().is_named_by(key, is_own && owner.is_feeder)
    }

    /// Updates the leg to `merged`, unless the state of `merged` is an earlier one.
    fn evolve(&mut self, merged: CallDialog, now: Instant) {
        self.named = true;
        if merged.state.progress() < self.call.state.progress() {
            return;
        }
        if merged.state != self.call.state {
            self.since = now;
        }
        self.until = end_of(merged.state, now);
        if merged != *self.call {
            self.call = Arc::new(merged);
        }
    }
}

fn end_of(state: CallState, now: Instant) -> Option<Instant> {
    state.time_to_live_max().map(|life| now + life)
}

/// Merges `new` into what is known: sources report some things only once (Asterisk names the caller
/// only while it rings). The rendering is not kept, because the end of hold is reported by omitting
/// `no`. Once private, a party stays private.
fn merge(old: &CallDialog, mut new: CallDialog) -> CallDialog {
    let (known, said) = (old.parts(), new.parts());
    let merged = CallParts {
        id: known.id,
        call_id: either(said.call_id, known.call_id),
        local_tag: either(said.local_tag, known.local_tag),
        remote_tag: either(said.remote_tag, known.remote_tag),
        direction: said.direction.or(known.direction),
        state: said.state,
        local: merge_party(known.local, said.local),
        remote: merge_party(known.remote, said.remote),
        remote_is_private: said.remote_is_private || known.remote_is_private,
    };
    if known.id == said.id && merged.octets() == said.octets() {
        // `new` leaves no text to `old`.
        let (direction, remote_is_private) = (merged.direction, merged.remote_is_private);
        (new.direction, new.remote_is_private) = (direction, remote_is_private);
        return new;
    }
    merged.into()
}

fn merge_party<'a>(known: Party<'a>, said: Party<'a>) -> Party<'a> {
    let is_named = !said.identity.is_empty();
    Party {
        display: if is_named {
            said.display
        } else {
            either(said.display, known.display)
        },
        identity: either(said.identity, known.identity),
        target: either(said.target, known.target),
        rendering: said.rendering,
    }
}

/// What is said, or what is known if nothing is said.
fn either<'a>(said: &'a str, known: &'a str) -> &'a str {
    if said.is_empty() { known } else { said }
}

/// The call with another `id`.
fn with_id(call: &CallDialog, id: &str) -> CallDialog {
    CallDialog::from(CallParts { id, ..call.parts() })
}
