//! A subscription to the watchers of a presentity (RFC 3857): which of them ended and still have to
//! be reported.

use crate::presence::Aor;
use crate::presence::event::{Package, WatcherInfo};

/// The watchers of a presentity, for one package.
pub(crate) type Topic = (Aor, Package);

/// Watchers in one document, and in one report of a shard; more are counted and not reported (RFC
/// 3857 §4.7.1).
pub(crate) const WATCHERS_MAX: usize = 1_000;

/// A subscription to the watchers of a presentity.
#[derive(Debug)]
pub(crate) struct Audience {
    topic: Topic,
    /// Watchers that ended. Each is reported until a NOTIFY that does so is accepted.
    ended: Vec<WatcherInfo>,
    /// How many of them, from the first, the outstanding NOTIFY reports.
    reported: usize,
}

impl Audience {
    /// The audience of a new subscription.
    pub(crate) fn new(topic: Topic) -> Self {
        Self {
            topic,
            ended: Vec::new(),
            reported: 0,
        }
    }

    /// The presentity and package whose watchers are subscribed to.
    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The presentity whose watchers they are.
    pub(crate) fn aor(&self) -> &Aor {
        &self.topic.0
    }

    /// Watchers whose end is still to be reported.
    pub(crate) fn ended(&self) -> &[WatcherInfo] {
        &self.ended
    }

    /// Watchers ended. No document lists more than [`WATCHERS_MAX`].
    pub(super) fn watchers_ended(&mut self, ended: &[WatcherInfo]) {
        let room = WATCHERS_MAX.saturating_sub(self.ended.len());
        self.ended.extend(ended.iter().take(room).cloned());
    }

    /// A NOTIFY was sent; one whose body was withheld reports nothing.
    pub(super) fn sent(&mut self, is_withheld: bool) {
        self.reported = if is_withheld { 0 } else { self.ended.len() };
    }

    /// The phone accepted that NOTIFY.
    pub(super) fn delivered(&mut self) {
        self.ended.drain(..std::mem::take(&mut self.reported));
    }
}
