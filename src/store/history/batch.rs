//! The changes that a shard hands over in one turn.

use std::ops::Range;

/// One change of a composed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The domain of the address.
    pub domain: &'a str,
    /// The user of the address.
    pub user: &'a str,
    /// What did not come from a peer.
    pub verdict: Verdict,
    /// The other party of the call; empty if there is none.
    pub party: &'a str,
    /// The note; empty if there is none.
    pub note: &'a str,
}

/// The composed state, and what decided, in fixed words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The availability.
    pub status: &'static str,
    /// The PIDF basic status.
    pub basic: &'static str,
    /// The dialog state of the lamp.
    pub lamp: &'static str,
    /// The kind of source that decided.
    pub decider: &'static str,
    /// The rule that decided.
    pub rule: &'static str,
}

/// Changes in order.
#[derive(Debug, Default)]
pub struct HistoryBatch {
    /// The shard that they are from.
    pub shard: u16,
    rows: Vec<Row>,
    text: String,
}

#[derive(Debug)]
struct Row {
    at: i64,
    verdict: Verdict,
    domain: Range<usize>,
    user: Range<usize>,
    party: Range<usize>,
    note: Range<usize>,
}

impl HistoryBatch {
    /// Appends a change.
    pub fn push(&mut self, change: &Change<'_>) {
        let row = Row {
            at: change.at,
            verdict: change.verdict,
            domain: self.append(change.domain),
            user: self.append(change.user),
            party: self.append(change.party),
            note: self.append(change.note),
        };
        self.rows.push(row);
    }

    fn append(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    /// The changes, in order.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        let text = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.rows.iter().map(move |row| Change {
            at: row.at,
            domain: text(&row.domain),
            user: text(&row.user),
            verdict: row.verdict,
            party: text(&row.party),
            note: text(&row.note),
        })
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Removes all changes and keeps the buffers.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.text.clear();
    }
}
