//! Presentities as records: written at the end of a turn in which a contribution changed, and read
//! after a restart.
//!
//! - A presentity gets a number with its first record. Numbers ascend and are never reused. Each
//!   shard assigns its own: those with `number % shards == id`.
//! - A record is removed when nothing is left to keep: no contribution, no tombstone, and no call was
//!   ever reported.
//! - Seized appearances of shared lines are not recovered. A seizure lasts 15 s, and the subscription
//!   that holds it is not recorded either: the phone seizes again.
//! - A recovered record never replaces newer contributions: until all presentities are recovered,
//!   inputs that change one wait (`conduct/early.rs`). Of two records of one presentity, the one with
//!   the higher number counts.

use std::num::NonZeroU64;
use std::time::Instant;

use crate::directory::Directory;
use crate::presence::call::{Appearance, AppearanceState};
use crate::presence::source::StateUpdate;
use crate::presence::{Aor, Presentity};
use crate::record::presentity::PresentityRecord;
use crate::shard::contract::commit::{Durability, RecordKey};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::options::Options;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::presentities::{Owned, Presentities};
use crate::shard::presentity::{Compositor, OWNED};

/// The records to be written at the end of the turn, and the numbers in use.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Presentities whose record is out of date.
    marked: Vec<PresentityId>,
    /// Numbers whose records are to be removed.
    removed: Vec<u64>,
    numbers: Numbers,
    /// Recovery is in progress: recorded presentities are still to come.
    is_recovering: bool,
}

/// What is known about the record of a presentity.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// The number of its record; None if there is none.
    number: Option<NonZeroU64>,
    /// When its composed state changed last, in milliseconds since 1970 UTC.
    changed_at: i64,
}

/// The numbers of presentities. 0 is not used.
#[derive(Debug, Default)]
struct Numbers {
    /// One beyond the highest number in use.
    end: u64,
}

impl Numbers {
    /// The next number with the remainder of this shard.
    fn next(&mut self, options: &Options) -> NonZeroU64 {
        let (shards, shard) = (u64::from(options.shards.max(1)), u64::from(options.id.0));
        let from = self.end.max(1);
        let number = from + (shard + shards - from % shards) % shards;
        self.end = number + 1;
        NonZeroU64::MIN.saturating_add(number - 1)
    }
}

impl Recording {
    /// Has the record with this number removed at the end of the turn.
    pub(super) fn remove(&mut self, number: u64) {
        self.removed.push(number);
    }
}

impl Presentities {
    /// Has the record of a presentity written at the end of the turn: a contribution changed.
    pub(crate) fn mark(&mut self, id: PresentityId, turn: &Turn<'_>) {
        if turn.options.durability == Durability::None {
            return;
        }
        if let Some(owned) = self.get_mut(id).expected(OWNED)
            && !std::mem::replace(&mut owned.is_marked, true)
        {
            self.recording.marked.push(id);
        }
    }

    /// As [`Self::mark`], when the composed state changed too, which goes into the history.
    pub(crate) fn mark_changed(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        self.write_history(id, turn);
        if turn.options.durability == Durability::None {
            return;
        }
        if let Some(owned) = self.get_mut(id).expected(OWNED) {
            owned.recorded.changed_at = turn.clock().unix_milliseconds_of(turn.now);
        }
        self.mark(id, turn);
    }

    fn write_records(&mut self, turn: &mut Turn<'_>) {
        for number in self.recording.removed.drain(..) {
            let key = RecordKey::Presentity(number);
            turn.commits.record(key, None, turn.out);
        }
        let mut marked = std::mem::take(&mut self.recording.marked);
        for id in marked.drain(..) {
            // Not marked any more: the presentity was removed, and another may have its id.
            if let Some(owned) = self.owned.get_mut(id)
                && std::mem::take(&mut owned.is_marked)
            {
                write_record(owned, &mut self.recording.numbers, turn);
            }
        }
        self.recording.marked = marked;
    }
}

fn write_record(owned: &mut Owned, numbers: &mut Numbers, turn: &mut Turn<'_>) {
    if !is_worth_keeping(&owned.presentity) {
        if let Some(number) = owned.recorded.number.take() {
            let key = RecordKey::Presentity(number.get());
            turn.commits.record(key, None, turn.out);
        }
        return;
    }
    let recorded = &mut owned.recorded;
    let number = recorded
        .number
        .get_or_insert_with(|| numbers.next(turn.options));
    let key = RecordKey::Presentity(number.get());
    let clock = turn.clock();
    let changed_at = clock.time_of(recorded.changed_at);
    let arena = &mut turn.out.arena;
    let start = arena.len();
    PresentityRecord::encode(&owned.aor, &owned.presentity, changed_at, clock, arena);
    let octets = start..arena.len();
    turn.commits.record(key, Some(octets), turn.out);
}

/// Whether a presentity must survive a restart.
fn is_worth_keeping(presentity: &Presentity) -> bool {
    !presentity.is_blank() || presentity.is_known_by_calls()
}

impl Owned {
    /// Whether it has a record although nothing is left to keep.
    pub(crate) fn has_obsolete_record(&self) -> bool {
        self.recorded.number.is_some() && !is_worth_keeping(&self.presentity)
    }
}

impl Recorded {
    /// The number of the record.
    pub(crate) fn number(&self) -> Option<u64> {
        self.number.map(NonZeroU64::get)
    }
}

impl Compositor {
    /// Writes the record of each presentity to which a contribution changed in this turn.
    pub(crate) fn write_records(&mut self, turn: &mut Turn<'_>) {
        self.presentities.write_records(turn);
    }

    /// Begins recovery. Numbers below `presentities_end` belong to recorded presentities.
    pub(crate) fn begin_recovery(&mut self, presentities_end: u64, turn: &Turn<'_>) {
        debug_assert!(
            turn.options.durability != Durability::None,
            "what is not recorded does not come back"
        );
        let recording = &mut self.presentities.recording;
        recording.is_recovering = true;
        recording.numbers.end = recording.numbers.end.max(presentities_end);
    }

    /// Ends recovery: all recorded presentities have come.
    pub(crate) fn end_recovery(&mut self) {
        self.presentities.recording.is_recovering = false;
    }

    /// Whether recorded presentities are still to come.
    pub(crate) fn is_recovering(&self) -> bool {
        self.presentities.recording.is_recovering
    }

    /// Recovers a presentity with its contributions. The record is removed if it cannot be decoded, or
    /// if nothing in it is valid any more.
    pub(crate) fn recover(&mut self, number: u64, octets: &[u8], turn: &mut Turn<'_>) {
        let record = PresentityRecord::decode(octets, turn.clock());
        let is_kept = match (NonZeroU64::new(number), record) {
            (Some(number), Ok(record)) => self.recover_record(number, record, turn),
            _ => {
                turn.counters.records_unreadable += 1;
                false
            }
        };
        if !is_kept {
            self.presentities.recording.remove(number);
        }
    }

    /// Returns whether the record is kept.
    fn recover_record(
        &mut self,
        number: NonZeroU64,
        record: PresentityRecord,
        turn: &mut Turn<'_>,
    ) -> bool {
        let PresentityRecord {
            aor,
            changed_at,
            contributions,
        } = record;
        if !is_canonical(&aor, turn.directory) || !self.is_replaced_by(&aor, number) {
            turn.counters.records_obsolete += 1;
            return false;
        }
        let rules = turn.directory.rules_of(&aor);
        let mut presentity = Presentity::recovered(contributions, rules);
        let is_changed = presentity.expire(turn.now) | release_seized(&mut presentity, turn.now);
        if !is_worth_keeping(&presentity) {
            return false;
        }
        let recorded = Recorded {
            number: Some(number),
            changed_at: turn.clock().unix_milliseconds_of(changed_at),
        };
        let (directory, now) = (turn.directory, turn.now);
        let id = self.presentities.find_or_add(&aor, directory, now);
        if let Some(owned) = self.presentities.get_mut(id).expected(OWNED) {
            let is_news = owned.presentity.composed() != presentity.composed();
            (owned.presentity, owned.recorded) = (presentity, recorded);
            if is_changed {
                self.presentities.mark_changed(id, turn);
            }
            self.after_recovery(id, is_news, turn);
        }
        true
    }

    /// Whether the record with this number replaces the presentity: it is unknown, or only watched, or
    /// was recovered from a record with a lower number, which is then removed.
    fn is_replaced_by(&mut self, aor: &Aor, number: NonZeroU64) -> bool {
        let id = self.presentities.find(aor);
        let Some(owned) = id.and_then(|id| self.presentities.get_mut(id).expected(OWNED)) else {
            return true;
        };
        match owned.recorded.number {
            None => !is_worth_keeping(&owned.presentity),
            Some(before) if before > number => false,
            Some(before) => {
                self.presentities.recording.remove(before.get());
                true
            }
        }
    }
}

/// Whether an address of record exists, and its domain still has this name.
fn is_canonical(aor: &Aor, directory: &Directory) -> bool {
    let domain = directory.domain(aor.domain());
    domain.is_some_and(|domain| domain.name == aor.domain()) && directory.exists(aor)
}

/// Ends the seizures of appearances. Returns whether the composed state changed.
fn release_seized(presentity: &mut Presentity, now: Instant) -> bool {
    let appearances = &presentity.composed().extras.appearances;
    let seized = appearances
        .iter()
        .filter(|appearance| appearance.state == AppearanceState::Seized);
    let seized: Vec<u8> = seized.map(|appearance| appearance.index).collect();
    let mut is_changed = false;
    for index in seized {
        is_changed |= presentity.apply(
            StateUpdate::Appearance(Appearance {
                index,
                state: AppearanceState::Idle,
                party: None,
            }),
            now,
        );
    }
    is_changed
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
