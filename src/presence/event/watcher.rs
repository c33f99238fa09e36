//! Who watches a presentity, as its `winfo` packages tell (RFC 3857, 3858; W:B4).

/// How a watcher's subscription stands (RFC 3857 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherStatus {
    /// Nobody has decided yet.
    Pending,
    /// It is told the state.
    Active,
    /// It ended before anybody decided.
    Waiting,
    /// It is over.
    Terminated,
}

/// What brought it there (RFC 3857 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherEvent {
    /// Its SUBSCRIBE.
    Subscribe,
    /// Policy.
    Approved,
    /// It may subscribe again at once.
    Deactivated,
    /// Policy.
    Rejected,
    /// It was not refreshed.
    Timeout,
    /// Nobody decided in time.
    GiveUp,
    /// The presentity is gone.
    NoResource,
}

/// One watcher.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatcherInfo {
    /// Names the subscription, the same for its life.
    pub id: u64,
    /// How it stands.
    pub status: WatcherStatus,
    /// Why.
    pub event: WatcherEvent,
    /// Who it is.
    pub uri: Box<str>,
    /// The name to show; None when unknown.
    pub display: Option<Box<str>>,
}
