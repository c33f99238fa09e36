//! The history of composed states: a query, its answer, and what an erasure came to. Who keeps the
//! history is not known here.

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The domain.
    pub domain: String,
    /// The user, for the changes of one address; None for those of the whole domain.
    pub user: Option<String>,
    /// Time of the first change, in milliseconds since 1970 UTC.
    pub since: i64,
    /// The end of the time, exclusive, in the same unit.
    pub until: i64,
    /// Maximum number of changes.
    pub limit: usize,
    /// Where an earlier page ended: its [`HistoryPage::next`].
    pub from: Option<i64>,
}

impl HistoryQuery {
    /// The address or domain whose changes are wanted.
    #[must_use]
    pub fn subject(&self) -> String {
        let Self { domain, user, .. } = self;
        user.as_ref()
            .map_or_else(|| domain.clone(), |user| format!("{user}@{domain}"))
    }
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
