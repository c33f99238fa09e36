//! The history of composed states as the pages of HTTP query it.

use crate::presence::Aor;

/// A query of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The address or domain whose changes are wanted.
    pub subject: HistorySubject,
    /// Time of the first change, in milliseconds since 1970 UTC.
    pub since: i64,
    /// The end of the time, exclusive, in the same unit.
    pub until: i64,
    /// Maximum number of changes.
    pub limit: usize,
    /// Where an earlier page ended: its [`HistoryPage::next`].
    pub from: Option<i64>,
}

/// The address or domain of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistorySubject {
    /// One address.
    Address(Aor),
    /// All addresses of a domain.
    Domain(String),
}

/// Changes, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The changes.
    pub changes: Vec<HistoryChange>,
    /// Where older ones go on; None if there are none.
    pub next: Option<i64>,
}

/// One change: what the composed state became, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryChange {
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// `user@domain`
    pub address: String,
    /// The availability.
    pub status: String,
    /// The PIDF basic status.
    pub basic: String,
    /// The dialog state of the lamp.
    pub lamp: String,
    /// The kind of source that decided.
    pub decider: String,
    /// The rule that decided.
    pub rule: String,
    /// The other party of the call.
    pub party: Option<String>,
    /// The note.
    pub note: Option<String>,
}

/// What was erased of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryErased {
    /// Changes of the address.
    pub changes: u64,
    /// Changes of others in which it was the other party, which is anonymous now.
    pub mentions: u64,
}

/// Why the history does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// None is kept.
    #[error("no history is kept: it needs [store] directory, and [history] enabled = true")]
    Off,
    /// Too many questions wait, or the node is ending.
    #[error("the history is busy: ask again")]
    Busy,
    /// The file cannot be read or written.
    #[error("the history cannot be used: {0}")]
    Failed(String),
}
