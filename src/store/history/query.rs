//! A query of the history, and its result.

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The domain.
    pub domain: String,
    /// The user, for the changes of one address.
    pub user: Option<String>,
    /// Time of the first change, in milliseconds since 1970 UTC.
    pub since: i64,
    /// The end of the time, exclusive, in the same unit.
    pub until: i64,
    /// Maximum number of changes.
    pub limit: usize,
    /// Where an earlier page ended: its [`Page::next`].
    pub from: Option<i64>,
}

/// Changes, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The changes.
    pub changes: Vec<Recorded>,
    /// Where older ones go on; None if there are none.
    pub next: Option<i64>,
}

/// A change as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
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
