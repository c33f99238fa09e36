//! What a subscription to the watchers of a presentity holds.

use crate::presence::Aor;
use crate::presence::event::{Package, WatcherInfo};

/// The watchers of a presentity, for one package.
pub(crate) type Topic = (Aor, Package);

/// A subscription to the watchers of a presentity.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) topic: Topic,
    /// Watchers that are gone, which is told once.
    pub(crate) gone: Vec<WatcherInfo>,
}

impl Audience {
    /// Whose watchers.
    pub(crate) fn aor(&self) -> &Aor {
        &self.topic.0
    }

    /// All was told.
    pub(crate) fn told(&mut self) {
        self.gone.clear();
    }
}
