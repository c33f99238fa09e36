//! The publications of a presentity at other presence servers (RFC 3903): what is needed to refresh and to remove them
//! after a restart.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::presence::wall_clock;

/// A publication of ours at another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedElsewhere {
    /// The relay that has published it.
    pub relay: Arc<str>,
    /// The entity tag by which the server knows it.
    pub entity_tag: Box<[u8]>,
    /// When it ends unless it is refreshed.
    #[serde(with = "wall_clock::instant")]
    pub expires_at: Instant,
}

/// All of one presentity; a relay has one at most.
// One word while there are none: most presentities have none.
#[allow(clippy::box_collection, reason = "a Vec is three words")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Elsewhere(Option<Box<Vec<PublishedElsewhere>>>);

impl Elsewhere {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// That of a relay.
    #[must_use]
    pub fn of(&self, relay: &str) -> Option<&PublishedElsewhere> {
        let mut all = self.0.iter().flat_map(|all| all.iter());
        all.find(|one| *one.relay == *relay)
    }

    /// The server has this publication, in place of the one before.
    pub fn put(&mut self, publication: PublishedElsewhere) {
        self.remove(&publication.relay);
        self.0.get_or_insert_default().push(publication);
    }

    /// The server has no publication of that relay any more.
    pub fn remove(&mut self, relay: &str) {
        self.retain(|one| *one.relay != *relay);
    }

    /// Drops all others. Returns whether there were any.
    pub fn retain(&mut self, is_kept: impl FnMut(&PublishedElsewhere) -> bool) -> bool {
        let Some(all) = &mut self.0 else {
            return false;
        };
        let before = all.len();
        all.retain(is_kept);
        let is_changed = all.len() < before;
        if all.is_empty() {
            self.0 = None;
        }
        is_changed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_relay_has_one_publication() {
        let now = Instant::now();
        let publication = |relay: &str, tag: &[u8]| PublishedElsewhere {
            relay: relay.into(),
            entity_tag: tag.into(),
            expires_at: now,
        };
        let mut elsewhere = Elsewhere::default();
        assert_eq!(size_of::<Elsewhere>(), size_of::<usize>());
        elsewhere.put(publication("one", b"a"));
        elsewhere.put(publication("two", b"b"));
        elsewhere.put(publication("one", b"c"));
        assert_eq!(elsewhere.of("one"), Some(&publication("one", b"c")));
        assert_eq!(elsewhere.of("two"), Some(&publication("two", b"b")));
        elsewhere.remove("one");
        assert_eq!(elsewhere.of("one"), None);
        elsewhere.remove("two");
        assert!(elsewhere.is_empty());
    }
}
