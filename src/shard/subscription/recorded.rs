//! The state of a dialog's record, and the CSeq numbers that it reserves.
//!
//! A NOTIFY writes no record. Instead, each record of a dialog reserves a block of CSeq numbers, and a
//! block of versions for each subscription, since a NOTIFY uses one of each. After a restart, both
//! continue beyond the block.
//!
//! Guarantee: no NOTIFY uses a CSeq that could be used again after a restart, whichever record is the
//! last that became durable.

use std::time::Duration;

use crate::shard::contract::commit::{Commits, NOTIFIED_WITHIN, UP_TO_DATE_WITHIN};

/// CSeq numbers, and versions, that one record reserves.
pub(crate) const RESERVED: u32 = 256;

/// The state of a dialog's record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    /// The number of its last record, or of the removal of it; 0 if there was none.
    number: u64,
    /// The last CSeq that its last record reserves.
    limit: u32,
    /// How far below `limit` the last CSeq is that an earlier, durable record reserves.
    beyond: u16,
    row: Row,
    /// The dialog changed, and its record is to be written at the end of the turn.
    pub(super) is_marked: bool,
}

/// Whether there is a record, perhaps not durable yet, and what it is to say of what the phone knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// There is none.
    Nothing,
    /// The phone knew all when it was recovered.
    Knows,
    /// The phone is notified soon, as after every SUBSCRIBE.
    Owed,
    /// A NOTIFY failed or waits for long, so the phone may not know the state.
    Behind,
}

const _: () = assert!(size_of::<Recorded>() <= 16);

impl Recorded {
    /// A dialog without a record.
    pub(super) const NOT: Self = Self {
        number: 0,
        limit: u32::MAX,
        beyond: 0,
        row: Row::Nothing,
        is_marked: false,
    };

    /// A recovered dialog: all numbers that its record reserved count as used.
    pub(super) const fn recovered(sequence: u32) -> Self {
        Self {
            limit: sequence,
            row: Row::Knows,
            ..Self::NOT
        }
    }

    /// Whether there is a record, perhaps not durable yet.
    pub(super) const fn is_there(&self) -> bool {
        !matches!(self.row, Row::Nothing)
    }

    /// A NOTIFY is owed to the phone soon.
    pub(super) const fn require_notify(&mut self) {
        if matches!(self.row, Row::Knows) {
            self.row = Row::Owed;
        }
    }

    /// A NOTIFY failed or waits for long. True if no record says so yet.
    pub(super) const fn fall_behind(&mut self) -> bool {
        let is_news = matches!(self.row, Row::Knows | Row::Owed);
        if is_news {
            self.row = Row::Behind;
        }
        is_news
    }

    /// A SUBSCRIBE came: the phone is notified of all. `is_at_rest`: until then it knew everything.
    pub(super) const fn renewed(&mut self, is_at_rest: bool) {
        self.row = match self.row {
            Row::Nothing => Row::Nothing,
            Row::Knows | Row::Owed | Row::Behind if is_at_rest => Row::Owed,
            Row::Knows | Row::Owed | Row::Behind => Row::Behind,
        };
    }

    /// How long after its record the phone certainly knows what was so then; None if that cannot be
    /// foreseen.
    pub(super) const fn up_to_date_within(&self, is_path_proven: bool) -> Option<Duration> {
        match self.row {
            Row::Knows => Some(Duration::ZERO),
            Row::Owed | Row::Nothing if is_path_proven => Some(NOTIFIED_WITHIN),
            Row::Owed | Row::Nothing => Some(UP_TO_DATE_WITHIN),
            Row::Behind => None,
        }
    }

    /// Notes that a record with this number was written when `sequence` was the last CSeq. Returns the
    /// last CSeq that the record reserves.
    pub(super) fn write(&mut self, number: u64, sequence: u32, commits: &Commits) -> u32 {
        self.follow(number, sequence.saturating_add(RESERVED), commits);
        if matches!(self.row, Row::Nothing) {
            self.row = Row::Owed;
        }
        self.limit
    }

    /// Notes that the record was removed, by a change with this number. Until that is durable, the
    /// removed record still counts.
    pub(super) fn remove(&mut self, number: u64, commits: &Commits) {
        self.follow(number, self.limit, commits);
        self.row = Row::Nothing;
    }

    /// Notes a record or removal with this number. Until it is durable, the earlier records count.
    fn follow(&mut self, number: u64, limit: u32, commits: &Commits) {
        let before = self.durable_limit(commits);
        self.beyond = limit.saturating_sub(before).min(RESERVED) as u16;
        (self.number, self.limit) = (number, limit);
    }

    /// Whether a NOTIFY may use the CSeq after `sequence`.
    pub(super) fn allows(&self, sequence: u32, commits: &Commits) -> bool {
        sequence < self.durable_limit(commits)
    }

    /// Whether another record is needed: half of the numbers that this one reserves are used.
    pub(super) const fn is_low(&self, sequence: u32) -> bool {
        self.is_there() && sequence >= self.limit.saturating_sub(RESERVED / 2)
    }

    /// The last CSeq that a durable record reserves. Without a record, the dialog cannot come back, and
    /// there is no limit.
    fn durable_limit(&self, commits: &Commits) -> u32 {
        match (commits.is_durable(self.number), self.is_there()) {
            (true, true) => self.limit,
            (true, false) => u32::MAX,
            (false, _) => self.limit.saturating_sub(u32::from(self.beyond)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::contract::commit::RecordKey;
    use crate::shard::contract::outbox::Outbox;

    /// The commits after one more record.
    fn write(commits: &mut Commits) -> u64 {
        commits.record(RecordKey::Dialog(0), None, &mut Outbox::default())
    }

    #[test]
    fn numbers_are_taken_only_from_durable_records() {
        let mut commits = Commits::default();
        let mut recorded = Recorded::recovered(100);
        assert!(!recorded.allows(100, &commits) && recorded.is_low(100));
        let number = write(&mut commits);
        assert_eq!(recorded.write(number, 100, &commits), 356);
        assert!(!recorded.allows(100, &commits) && !recorded.is_low(100));
        commits.advance(number);
        assert!(recorded.allows(100, &commits) && recorded.allows(355, &commits));
        assert!(!recorded.allows(356, &commits));
        assert!(recorded.is_low(228) && !recorded.is_low(227));

        let next = write(&mut commits);
        assert_eq!(recorded.write(next, 228, &commits), 484);
        assert!(
            recorded.allows(355, &commits),
            "the record before is durable"
        );
        assert!(!recorded.allows(356, &commits));
        let last = write(&mut commits);
        assert_eq!(recorded.write(last, 300, &commits), 556);
        commits.advance(next);
        assert!(!recorded.allows(356, &commits), "the last is not durable");
        commits.advance(last);
        assert!(recorded.allows(555, &commits));
    }

    #[test]
    fn the_removal_of_a_durable_record_delays_no_notify() {
        let mut commits = Commits::default();
        let mut recorded = Recorded::recovered(100);
        let number = write(&mut commits);
        recorded.write(number, 100, &commits);
        commits.advance(number);
        let removal = write(&mut commits);
        recorded.remove(removal, &commits);
        assert!(recorded.allows(355, &commits), "the record is durable");
        assert!(!recorded.allows(356, &commits), "the record may come back");
    }

    #[test]
    fn without_a_record_there_is_no_limit() {
        let mut commits = Commits::default();
        let mut recorded = Recorded::NOT;
        assert!(recorded.allows(u32::MAX - 1, &commits) && !recorded.is_low(7));
        let number = write(&mut commits);
        recorded.write(number, 7, &commits);
        assert!(recorded.allows(262, &commits), "nothing can come back yet");
        assert!(!recorded.allows(263, &commits));
        commits.advance(number);
        let number = write(&mut commits);
        recorded.remove(number, &commits);
        assert!(!recorded.allows(263, &commits), "the record may come back");
        commits.advance(number);
        assert!(recorded.allows(263, &commits));
    }
}
