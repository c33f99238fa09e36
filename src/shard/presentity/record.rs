//! Presentities as records: written at the end of a turn in which a contribution changed, and read
//! after a restart.
//!
//! - A presentity gets a number with its first record. Numbers ascend and are never reused. Each
//!   shard assigns its own: those with `number % shards == id`.
//! - A record is removed when nothing is left to keep: no contribution, no tombstone, no publication at another
//!   server, and no call was ever reported.
//! - Seized appearances of shared lines are not recovered. A seizure lasts 15 s, and the subscription
//!   that holds it is not recorded either: the phone seizes again.
//! - A recovered record never replaces newer contributions: until all presentities are recovered,
//!   inputs that change one wait (`conduct/early.rs`). Of two records of one presentity, the one with
//!   the higher number counts.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::Directory;
use crate::presence::call::{Appearance, AppearanceState};
use crate::presence::presentity::{Publication, Published};
use crate::presence::source::{EntityTag, StateUpdate};
use crate::presence::wall_clock::WallClock;
use crate::presence::{Aor, Presentity};
use crate::record::presentity::PresentityRecord;
use crate::shard::contract::commit::{Durability, RecordKey, UP_TO_DATE_WITHIN};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::mail::News;
use crate::shard::contract::options::Options;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::presentities::{Owned, Presentities};
use crate::shard::presentity::{Compositor, OWNED};
use crate::sip::transaction::TIMER_F;

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
    /// When the recovery began, and the time of the last commit before, in milliseconds since 1970 UTC;
    /// None if nothing was recovered. Of an unknown time everything is doubtful.
    recovered: Option<(i64, i64)>,
}

/// [`UP_TO_DATE_WITHIN`], in milliseconds.
const UP_TO_DATE_WITHIN_MS: i64 = UP_TO_DATE_WITHIN.as_millis() as i64;

/// For how long after the beginning of a recovery requests to the earlier process may be repeated: Timer
/// F, and as long again for those that wait until the presentities are there.
const REPEATED_WITHIN_MS: i64 = 2 * TIMER_F.as_millis() as i64;

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

    /// As [`Self::mark`], when the watchers are informed of the composed state too.
    pub(crate) fn mark_changed(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        if turn.options.durability == Durability::None {
            return;
        }
        if let Some(owned) = self.get_mut(id).expected(OWNED) {
            owned.recorded.changed_at = turn.clock().unix_milliseconds_of(turn.now);
        }
        self.mark(id, turn);
    }

    /// Removes the record of a presentity that was erased with the end of the turn, even if watchers have
    /// not been notified yet.
    pub(super) fn forget_change(&mut self, id: PresentityId) {
        if let Some(owned) = self.get_mut(id) {
            owned.recorded.changed_at = 0;
        }
    }

    /// The time of the last commit of the earlier process.
    pub(super) fn committed_at(&self) -> i64 {
        self.recording.recovered.map_or(i64::MIN, |(_, at)| at)
    }

    /// Whether watchers of an earlier process may know the state of a presentity already.
    pub(super) fn news_of(&self, id: PresentityId) -> News {
        let owned = self.owned.get(id);
        match (self.recording.recovered, owned) {
            (Some((_, committed_at)), Some(owned))
                if !is_doubtful(owned.recorded.changed_at, committed_at)
                    && !self.unsettled.has(&owned.aor) =>
            {
                News::Known
            }
            _ => News::Doubtful,
        }
    }

    /// The watchers of a presentity without a record are about to be notified because a change was lost: it gets a
    /// record until they know.
    pub(super) fn remember_lost(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        let Some(owned) = self.owned.get_mut(id).expected(OWNED) else {
            return;
        };
        // While records are still to come, one of them may be its own.
        let is_without = !self.recording.is_recovering && owned.recorded.number.is_none();
        if is_without && self.unsettled.has(&owned.aor) {
            owned.recorded.number = Some(self.recording.numbers.next(turn.options));
            self.mark_changed(id, turn);
        }
    }

    /// The content of the 200 to a PUBLISH that the earlier process recorded: it may have ended before it
    /// sent the 200. None if the PUBLISH is new, or cannot be a retransmission any more.
    pub(super) fn published_before(
        &self,
        id: PresentityId,
        publication: &Publication,
        fresh: EntityTag,
        turn: &Turn<'_>,
    ) -> Option<Published> {
        let (recovered_at, _) = self.recording.recovered?;
        let since = turn.clock().unix_milliseconds_of(turn.now) - recovered_at;
        if since > REPEATED_WITHIN_MS {
            return None;
        }
        let owned = self.owned.get(id)?;
        let presentity = &owned.presentity;
        presentity.published_before(publication, fresh, turn.now)
    }

    /// Whether a recovered presentity has not changed since its recovery.
    pub(super) fn is_unheard(&self, id: PresentityId) -> bool {
        let owned = self.owned.get(id);
        let changed_at = owned.map_or(i64::MAX, |owned| owned.recorded.changed_at);
        let recovered = self.recording.recovered;
        recovered.is_some_and(|(recovered_at, _)| changed_at < recovered_at)
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
    if !owned.is_to_be_kept(turn) {
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
    let told = (&owned.presentity, &owned.elsewhere);
    PresentityRecord::encode(&owned.aor, told, changed_at, clock, arena);
    let octets = start..arena.len();
    turn.commits.record(key, Some(octets), turn.out);
}

/// Whether a presentity must survive a restart.
fn is_worth_keeping(presentity: &Presentity) -> bool {
    !presentity.is_blank() || presentity.is_known_by_calls()
}

/// Whether a record can be decoded and has a contribution that has not expired.
pub(crate) fn is_live(octets: &[u8], clock: WallClock) -> bool {
    let Ok(record) = PresentityRecord::decode(octets, clock) else {
        return false;
    };
    let mut presentity = Presentity::recovered(record.contributions, Arc::default());
    presentity.expire(clock.at);
    is_worth_keeping(&presentity) || !record.elsewhere.is_empty()
}

impl Owned {
    /// Whether it has a record although there is nothing to keep any more.
    pub(super) fn has_obsolete_record(&self, turn: &Turn<'_>) -> bool {
        self.recorded.number.is_some() && !self.is_to_be_kept(turn)
    }

    fn is_to_be_kept(&self, turn: &Turn<'_>) -> bool {
        is_worth_keeping(&self.presentity)
            || !self.elsewhere.is_empty()
            || self.remembered_until(turn).is_some()
    }

    /// Until when its record is kept only because watchers may not know that there is nothing to keep
    /// any more, or because a PUBLISH may be repeated; None if it has no record, or need not be kept for
    /// that.
    pub(super) fn remembered_until(&self, turn: &Turn<'_>) -> Option<Instant> {
        if self.recorded.number.is_none() || is_worth_keeping(&self.presentity) {
            return None;
        }
        let up_to_date_at = self
            .recorded
            .changed_at
            .saturating_add(UP_TO_DATE_WITHIN_MS);
        let up_to_date_at = turn.clock().time_of(up_to_date_at);
        let repeated_until = self.presentity.removals_repeated_until();
        let until = repeated_until.map_or(up_to_date_at, |until| up_to_date_at.max(until));
        (until > turn.now).then_some(until)
    }
}

/// Whether watchers may not have known a change at that time when the last commit was made.
pub(super) const fn is_doubtful(changed_at: i64, committed_at: i64) -> bool {
    changed_at.saturating_add(UP_TO_DATE_WITHIN_MS) >= committed_at
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

    /// Begins recovery. Numbers below `presentities_end` belong to recorded presentities. The last commit
    /// before was at `committed_at`.
    pub(crate) fn begin_recovery(
        &mut self,
        presentities_end: u64,
        committed_at: Option<Instant>,
        turn: &Turn<'_>,
    ) {
        debug_assert!(
            turn.options.durability != Durability::None,
            "what is not recorded does not come back"
        );
        let recording = &mut self.presentities.recording;
        recording.is_recovering = true;
        let milliseconds = |time| turn.clock().unix_milliseconds_of(time);
        let committed_at = committed_at.map_or(i64::MIN, milliseconds);
        recording.recovered = Some((milliseconds(turn.now), committed_at));
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
            mut elsewhere,
        } = record;
        elsewhere.retain(|held| held.expires_at > turn.now);
        if !is_canonical(&aor, turn.directory) || !self.is_replaced_by(&aor, number) {
            turn.counters.records_obsolete += 1;
            return false;
        }
        let rules = turn.directory.rules_of(&aor);
        let mut presentity = Presentity::recovered(contributions, rules);
        let is_changed = presentity.expire(turn.now)
            | release_seized(&mut presentity, turn.now)
            | presentity.suspect_upstreams(turn.now);
        let recorded = Recorded {
            number: Some(number),
            changed_at: turn.clock().unix_milliseconds_of(changed_at),
        };
        let is_doubtful = is_changed
            || is_doubtful(recorded.changed_at, self.presentities.committed_at())
            || self.presentities.unsettled.has(&aor);
        let repeated_until = presentity.removals_repeated_until();
        let is_over = repeated_until.is_none_or(|until| until <= turn.now);
        let is_worthless = !is_worth_keeping(&presentity) && elsewhere.is_empty();
        if !is_doubtful && is_over && is_worthless {
            return false;
        }
        let (directory, now) = (turn.directory, turn.now);
        let id = self.presentities.find_or_add(&aor, directory, now);
        if self.presentities.len() > turn.options.presentities_max {
            // What was acknowledged is kept. Nothing new is taken before there is room.
            turn.counters.presentities_over_limit += 1;
        }
        if let Some(owned) = self.presentities.get_mut(id).expected(OWNED) {
            let is_news = owned.presentity.composed() != presentity.composed();
            (owned.presentity, owned.recorded) = (presentity, recorded);
            owned.elsewhere = elsewhere;
            if is_doubtful {
                // Its watchers are notified from now on.
                self.presentities.mark_changed(id, turn);
            }
            let concerned = self.presentities.compose_apart(id, turn);
            if is_changed {
                self.presentities.report_change(id, concerned.others, turn);
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
            None => !is_worth_keeping(&owned.presentity) && owned.elsewhere.is_empty(),
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
