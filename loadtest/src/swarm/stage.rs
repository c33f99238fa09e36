//! The stages of a run, and the record of each.

use std::time::Duration;

/// One part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// All subscriptions begin.
    Subscribe,
    /// Finds the highest rate of changes without loss.
    Search,
    Load,
    /// Waits until every watcher shows the newest state.
    Drain,
    /// All publications are removed.
    Withdraw,
    /// All subscriptions end.
    Leave,
    Done,
}

impl Stage {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Search => "search",
            Self::Load => "load",
            Self::Drain => "drain",
            Self::Withdraw => "withdraw",
            Self::Leave => "leave",
            Self::Done => "done",
        }
    }
}

/// The duration and the counts of a finished stage.
#[derive(Clone, Debug)]
pub(crate) struct StageRecord {
    pub(crate) stage: Stage,
    pub(crate) duration: Duration,
    pub(crate) requests: u64,
    pub(crate) subscribes: u64,
    pub(crate) refreshes: u64,
    pub(crate) changes: u64,
    pub(crate) lamps: u64,
    pub(crate) notifies: u64,
    pub(crate) acknowledged: u64,
}
