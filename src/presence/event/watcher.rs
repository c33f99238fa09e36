//! The watchers of a presentity, as its `winfo` packages report them (RFC 3857, 3858).

/// The status of a watcher's subscription (RFC 3857 §4.7.1). The numbers are part of entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherStatus {
    /// No policy has decided yet.
    Pending = 0,
    /// It is notified of the state.
    Active = 1,
    /// It ended while pending.
    Waiting = 2,
    /// It ended.
    Terminated = 3,
}

/// The cause of that status (RFC 3857 §4.7.1). The numbers are part of entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatcherEvent {
    /// A SUBSCRIBE.
    Subscribe = 0,
    /// A policy allowed it.
    Approved = 1,
    /// It may subscribe again at once.
    Deactivated = 2,
    /// A policy refused it.
    Rejected = 3,
    /// It was not refreshed.
    Timeout = 4,
    /// It was pending for too long.
    GiveUp = 5,
    /// The presentity no longer exists.
    NoResource = 6,
}

/// One watcher: the `watcher` element of RFC 3858.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatcherInfo {
    /// Identifies the subscription for as long as it exists.
    pub id: u64,
    /// Its status.
    pub status: WatcherStatus,
    /// What caused the status.
    pub event: WatcherEvent,
    /// Its URI.
    pub uri: Box<str>,
    /// Its display name; None if unknown.
    pub display: Option<Box<str>>,
}
