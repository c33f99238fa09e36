//! What a subscription to the watchers of a presentity holds.

use crate::presence::Aor;
use crate::presence::event::{Package, WatcherInfo};

/// The watchers of a presentity, for one package.
pub(crate) type Topic = (Aor, Package);

/// A subscription to the watchers of a presentity.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) topic: Topic,
    /// Watchers that are gone. Each is told until a NOTIFY that says so is accepted.
    pub(crate) gone: Vec<WatcherInfo>,
    /// How many of them, from the first, the NOTIFY under way tells.
    told: usize,
}

impl Audience {
    /// The audience of a new subscription.
    pub(crate) fn new(topic: Topic) -> Self {
        Self {
            topic,
            gone: Vec::new(),
            told: 0,
        }
    }

    /// The presentity whose watchers they are.
    pub(crate) fn aor(&self) -> &Aor {
        &self.topic.0
    }

    /// A NOTIFY was sent; one whose body was withheld tells nothing.
    pub(super) fn sent(&mut self, is_withheld: bool) {
        self.told = if is_withheld { 0 } else { self.gone.len() };
    }

    /// The phone accepted that NOTIFY.
    pub(super) fn delivered(&mut self) {
        self.gone.drain(..std::mem::take(&mut self.told));
    }
}
