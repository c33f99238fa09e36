//! The call legs that publications report about one presentity, and the memory of those that are over.
//!
//! A leg belongs to the publication that reports it and is known by (Call-ID, local tag, remote tag), or, when the source gives no
//! Call-ID, by (publisher, `id`). Call state is this set of legs, never a whole document: a statement touches one leg.
//!
//! Guarantees, for legs of equal key:
//! - The state only goes forward (RFC 4235 §3.7.1); an older statement is ignored.
//! - What a source called `terminated` stays over for [`TOMBSTONE_LIFE`], whichever publication names it again, however late.
//! - A statement with other tags is about another leg: a fork's loser never clears the winner. A tag that a statement does not give
//!   is a wild card only towards legs of the same publication; and a leg of another publication is taken to be the
//!   same when it is unanswered and the new statement merely knows more tags (`trying` has none yet).
//! - `trying`, `proceeding` and `early` are believed for [`CallState::time_to_live_max`] after they were last stated in a body. A
//!   refresh without a body states nothing, so it does not prolong them.
//! - Legs and tombstones are bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::call::CallDialog;
use crate::presence::call::CallState;
use crate::presence::call::Party;

/// As long as a delayed or retransmitted statement can be under way: 64 × T1 (RFC 3261 §17.1.2.2).
pub(crate) const TOMBSTONE_LIFE: Duration = Duration::from_secs(32);

/// The same for legs without a Call-ID. Their sources use one `id` call after call (the extension number, say), so that the
/// next call must not be taken for an echo of the last.
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
}

/// A live leg.
#[derive(Debug)]
pub(crate) struct Leg {
    /// Whose it is.
    pub(crate) owner: Owner,
    /// What is known about it. Never terminated.
    pub(crate) call: Arc<CallDialog>,
    /// The `id` its source uses.
    source_id: Box<str>,
    /// Since when it is in this state.
    since: Instant,
    /// When it ends unless stated again.
    until: Option<Instant>,
    /// Whether the document at hand names it.
    named: bool,
}

/// How a leg came to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// A source said so, or withdrew its publication: final.
    Terminated,
    /// A full document did not name it any more. Its own publication may name it again: it did not say `terminated`, and a
    /// source with one `dialog` element for all branches of a fork names them in turn.
    Omitted,
    /// Its publication ran out. That is no news about the call: a publisher that was late publishes its answered calls anew.
    Expired,
}

#[derive(Debug)]
struct Tombstone {
    owner: Owner,
    call: Arc<CallDialog>,
    source_id: Box<str>,
    ending: Ending,
    until: Instant,
}

/// How the keys of two reports compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// The same leg.
    Equal,
    /// The same, if tags that one of them does not give are taken as wild cards. `gains`: the new one gives all that the
    /// old one does.
    Compatible { gains: bool },
    /// Another leg.
    Different,
}

/// The legs of one presentity and their tombstones.
#[derive(Debug, Default)]
pub(crate) struct CallSet {
    legs: Vec<Leg>,
    tombstones: VecDeque<Tombstone>,
}

impl CallSet {
    /// The live legs, in no particular but stable order.
    pub(crate) fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// Takes what a document of `owner` says. `full`: its legs that the document does not name are over.
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

    /// Whether a live dialog of a new document is a leg of that publication, so that the new one stands for the old.
    /// A `terminated` one says something about its own leg alone.
    pub(crate) fn overlaps(
        &self,
        publication: u64,
        publisher: u64,
        dialogs: &[CallDialog],
    ) -> bool {
        let legs = || {
            self.legs
                .iter()
                .filter(|leg| leg.owner.publication == publication)
        };
        dialogs
            .iter()
            .filter(|dialog| dialog.state != CallState::Terminated)
            .any(|dialog| legs().any(|leg| leg.is_restated_by(publisher, dialog)))
    }

    /// Whether a publication has live legs.
    pub(crate) fn has_legs(&self, publication: u64) -> bool {
        self.legs
            .iter()
            .any(|leg| leg.owner.publication == publication)
    }

    /// Gives the legs of a publication to the one that replaces it.
    pub(crate) fn hand_over(&mut self, publication: u64, heir: Owner) {
        for leg in self
            .legs
            .iter_mut()
            .filter(|leg| leg.owner.publication == publication)
        {
            leg.owner = heir;
        }
    }

    /// The publication was removed: its legs are over.
    pub(crate) fn remove(&mut self, publication: u64, now: Instant) {
        self.bury_where(Ending::Terminated, now, |leg| {
            leg.owner.publication == publication
        });
    }

    /// The publication ran out: nobody vouches for its legs any more.
    pub(crate) fn abandon(&mut self, publication: u64, now: Instant) {
        self.bury_where(Ending::Expired, now, |leg| {
            leg.owner.publication == publication
        });
    }

    /// Drops legs and tombstones whose time is up.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.legs
            .retain(|leg| leg.until.is_none_or(|until| now < until));
        self.tombstones.retain(|tombstone| now < tombstone.until);
    }

    /// When [`Self::expire`] has something to do next.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let legs = self.legs.iter().filter_map(|leg| leg.until);
        legs.chain(self.tombstones.iter().map(|tombstone| tombstone.until))
            .min()
    }

    /// Whether neither legs nor tombstones are left.
    pub(crate) fn is_empty(&self) -> bool {
        self.legs.is_empty() && self.tombstones.is_empty()
    }

    fn terminate(&mut self, owner: Owner, dialog: CallDialog, now: Instant) {
        let source_id = dialog.id.clone();
        let dialog = match self.own_leg(owner, &dialog) {
            Some(index) => merge(&self.legs.remove(index).call, dialog),
            None => dialog,
        };
        self.legs
            .retain(|leg| !leg.is_restated_by(owner.publisher, &dialog));
        self.bury(owner, Arc::new(dialog), source_id, Ending::Terminated, now);
    }

    /// Takes a live dialog.
    fn report(&mut self, owner: Owner, dialog: CallDialog, calls_max: usize, now: Instant) {
        let own = self.own_leg(owner, &dialog);
        let is_exact = own.is_some_and(|index| {
            self.legs[index].likeness(owner.publisher, &dialog) == Likeness::Equal
        });
        if !is_exact && self.is_over(owner, &dialog, now) {
            return;
        }
        match own {
            Some(index) => self.legs[index].evolve(dialog, now),
            None => self.insert(owner, dialog, calls_max, now),
        }
    }

    /// The leg of the same publication that `dialog` is about: the one of equal key, else of equal `id`, else any that its
    /// missing tags allow. Of several the least advanced: when a branch of a fork is reported over without its tag, it
    /// is a loser.
    fn own_leg(&self, owner: Owner, dialog: &CallDialog) -> Option<usize> {
        let rank = |leg: &Leg| match leg.likeness(owner.publisher, dialog) {
            Likeness::Equal => Some(0),
            Likeness::Compatible { .. } if leg.source_id == dialog.id => Some(1),
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

    /// Whether `dialog` is a late word about a leg that is over.
    fn is_over(&self, owner: Owner, dialog: &CallDialog, now: Instant) -> bool {
        self.tombstones
            .iter()
            .filter(|tombstone| now < tombstone.until)
            .any(|tombstone| tombstone.covers(owner, dialog))
    }

    fn insert(&mut self, owner: Owner, mut dialog: CallDialog, calls_max: usize, now: Instant) {
        if self.legs.len() >= calls_max && !self.make_room_for(&dialog) {
            return;
        }
        let source_id = dialog.id.clone();
        let twin = self
            .legs
            .iter()
            .find(|leg| leg.is_restated_by(owner.publisher, &dialog));
        if let Some(twin) = twin {
            // Two publications about one leg: watchers see one `id`, whichever of them is shown.
            dialog.id = twin.call.id.clone();
        } else if self
            .legs
            .iter()
            .any(|leg| leg.call.id == dialog.id && leg.call.call_id == dialog.call_id)
        {
            // Branches of a fork under one `id`: watchers see one for each.
            dialog.id = format!(
                "{};{};{};{}",
                dialog.id, dialog.local_tag, dialog.remote_tag, owner.publication
            )
            .into();
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

    /// Lets the least significant leg go, the oldest of equals, unless `dialog` is less significant still.
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
                self.bury(leg.owner, leg.call, leg.source_id, ending, now);
            } else {
                index += 1;
            }
        }
    }

    fn bury(
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
        let tombstone = Tombstone {
            owner,
            call,
            source_id,
            ending,
            until: now + life,
        };
        self.tombstones.retain(|old| !tombstone.supersedes(old));
        if self.tombstones.len() >= TOMBSTONES_MAX {
            self.tombstones.pop_front();
        }
        self.tombstones.push_back(tombstone);
    }
}

impl Leg {
    fn likeness(&self, publisher: u64, dialog: &CallDialog) -> Likeness {
        likeness(
            &self.call,
            &self.source_id,
            self.owner.publisher,
            dialog,
            publisher,
        )
    }

    /// Whether a statement of another publication is about this leg.
    fn is_restated_by(&self, publisher: u64, dialog: &CallDialog) -> bool {
        match self.likeness(publisher, dialog) {
            Likeness::Equal => true,
            Likeness::Compatible { gains } => gains && self.call.state.is_unanswered(),
            Likeness::Different => false,
        }
    }

    fn evolve(&mut self, dialog: CallDialog, now: Instant) {
        self.named = true;
        if dialog.state.progress() < self.call.state.progress() {
            return;
        }
        if dialog.state != self.call.state {
            self.since = now;
        }
        self.until = end_of(dialog.state, now);
        let merged = merge(&self.call, dialog);
        if merged != *self.call {
            self.call = Arc::new(merged);
        }
    }
}

impl Tombstone {
    fn likeness(&self, publisher: u64, dialog: &CallDialog) -> Likeness {
        likeness(
            &self.call,
            &self.source_id,
            self.owner.publisher,
            dialog,
            publisher,
        )
    }

    /// Whether a live report of `owner` is about this leg and so to be ignored.
    fn covers(&self, owner: Owner, dialog: &CallDialog) -> bool {
        let is_own = self.owner.publication == owner.publication;
        match self.likeness(owner.publisher, dialog) {
            Likeness::Equal => match self.ending {
                Ending::Terminated => true,
                Ending::Omitted => !is_own,
                Ending::Expired => dialog.state.is_unanswered(),
            },
            // An answered call is never doubted because of a missing tag: it may be the winner of the fork.
            Likeness::Compatible { .. } if !dialog.state.is_unanswered() => false,
            Likeness::Compatible { .. } if is_own => self.ending == Ending::Terminated,
            // Before the first tag came; it can only be late.
            Likeness::Compatible { gains } => {
                !gains && dialog.state.progress() < CallState::Early.progress()
            }
            Likeness::Different => false,
        }
    }

    /// Whether `old` says no more than this one.
    fn supersedes(&self, old: &Self) -> bool {
        let is_final = self.ending == Ending::Terminated || self.ending == old.ending;
        let is_own =
            self.owner.publication == old.owner.publication || self.call.call_id.is_empty();
        is_final && is_own && old.likeness(self.owner.publisher, &self.call) == Likeness::Equal
    }
}

fn likeness(
    old: &CallDialog,
    old_id: &str,
    old_publisher: u64,
    new: &CallDialog,
    publisher: u64,
) -> Likeness {
    let by_id = old.call_id.is_empty() || new.call_id.is_empty();
    if by_id {
        if old_publisher != publisher || *old_id != *new.id {
            return Likeness::Different;
        }
    } else if old.call_id != new.call_id {
        return Likeness::Different;
    }
    let fits = |old: &str, new: &str| old == new || old.is_empty() || new.is_empty();
    let parts = [
        (&old.call_id, &new.call_id),
        (&old.local_tag, &new.local_tag),
        (&old.remote_tag, &new.remote_tag),
    ];
    if !parts.iter().all(|(old, new)| fits(old, new)) {
        return Likeness::Different;
    }
    if parts.iter().all(|(old, new)| old == new) {
        return Likeness::Equal;
    }
    Likeness::Compatible {
        gains: parts.iter().all(|(old, new)| old.is_empty() || old == new),
    }
}

fn end_of(state: CallState, now: Instant) -> Option<Instant> {
    state.time_to_live_max().map(|life| now + life)
}

/// What is known after `new`: sources say some things only once (Asterisk names the caller only while it rings). The rendering
/// is not among them, for an end of hold is said by not saying `no`. Once private, a party stays private.
fn merge(old: &CallDialog, new: CallDialog) -> CallDialog {
    let either = |new: Box<str>, old: &str| if new.is_empty() { Box::from(old) } else { new };
    let party = |new: Party, old: &Party| {
        let is_named = !new.identity.is_empty();
        Party {
            display: if is_named {
                new.display
            } else {
                either(new.display, &old.display)
            },
            identity: either(new.identity, &old.identity),
            target: either(new.target, &old.target),
            rendering: new.rendering,
        }
    };
    CallDialog {
        id: old.id.clone(),
        call_id: either(new.call_id, &old.call_id),
        local_tag: either(new.local_tag, &old.local_tag),
        remote_tag: either(new.remote_tag, &old.remote_tag),
        direction: new.direction.or(old.direction),
        state: new.state,
        local: party(new.local, &old.local),
        remote: party(new.remote, &old.remote),
        remote_is_private: new.remote_is_private || old.remote_is_private,
    }
}
