//! Who watches a presentity, as its `winfo` packages tell (RFC 3857, 3858; W:B4).

/// How a watcher's subscription stands (RFC 3857 §4.7.1). The numbers go into entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherStatus {
    /// Nobody has decided yet.
    Pending = 0,
    /// It is told the state.
    Active = 1,
    /// It ended before anybody decided.
    Waiting = 2,
    /// It is over.
    Terminated = 3,
}

/// What brought it there (RFC 3857 §4.7.1). The numbers go into entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherEvent {
    /// Its SUBSCRIBE.
    Subscribe = 0,
    /// Policy.
    Approved = 1,
    /// It may subscribe again at once.
    Deactivated = 2,
    /// Policy.
    Rejected = 3,
    /// It was not refreshed.
    Timeout = 4,
    /// Nobody decided in time.
    GiveUp = 5,
    /// The presentity is gone.
    NoResource = 6,
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
