//! A presentity: every contribution to it, in one order, and the state they add up to.
//!
//! Invariants: a terminated leg is never overtaken by an older `early` (tombstones, 32 s); a forked loser never clears the
//! winner; a contribution past its expiry is gone; a full document ends only its own publication's legs (W:B3.14).
//!
//! The state is changed by the `apply_*` and [`Presentity::expire`] calls; each returns whether the composed state changed.

use std::sync::Arc;
use std::time::Instant;

use crate::presence::call::CallDialog;
use crate::presence::composition::Composed;
use crate::presence::contribution::EntityTag;
use crate::presence::contribution::Explained;
use crate::presence::publication::Publication;
use crate::presence::publication::PublicationLimits;
use crate::presence::publication::PublishRefused;
use crate::presence::publication::Published;

/// One watched party. Owned by one shard.
#[derive(Debug, Default)]
pub struct Presentity {
    composed: Arc<Composed>,
    // private: publications, call_state contribution, tombstones
}

impl Presentity {
    /// The state all sources add up to.
    #[must_use]
    pub fn composed(&self) -> &Arc<Composed> {
        &self.composed
    }

    /// A PUBLISH (RFC 3903 §6; W:B1). `fresh` becomes the entity tag on success. Answers what goes into the 200, and whether the composed
    /// state changed.
    pub fn apply_publication(
        &mut self, publication: Publication, fresh: EntityTag, limits: &PublicationLimits, now: Instant,
    ) -> Result<(Published, bool), PublishRefused> {
        todo!()
    }

    /// `call_state.htm` (W:D1): the call the presentity is in until `until`, or none. The same call again only moves `until`.
    pub fn apply_call_state(&mut self, call: Option<Arc<CallDialog>>, now: Instant, until: Instant) -> bool {
        todo!()
    }

    /// Drops what is past its time. Returns whether the composed state changed.
    pub fn expire(&mut self, now: Instant) -> bool {
        todo!()
    }

    /// When [`Self::expire`] has something to do next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        todo!()
    }

    /// Whether nothing is known any more, so that the presentity can be forgotten when nobody watches.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        todo!()
    }

    /// Every contribution, the deciding one marked, for `lamplighter why`.
    #[must_use]
    pub fn explain(&self, now: Instant) -> Vec<Explained> {
        todo!()
    }
}
