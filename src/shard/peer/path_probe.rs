//! The proof of a path: until a response to a NOTIFY arrives from it, only one NOTIFY is
//! outstanding on the path (W:E3.8), because the source address of a SUBSCRIBE may be forged.

use crate::shard::contract::ids::{InFlightId, PathId, SubscriptionId};
use crate::shard::peer::path::Paths;

/// The probe of an unproven path.
#[derive(Debug, Default)]
pub(crate) struct PathProbe {
    /// The outstanding NOTIFY whose response will prove the path.
    pub(crate) asking: Option<InFlightId>,
    /// Subscriptions whose NOTIFYs wait for the proof.
    pub(crate) waiting: Vec<SubscriptionId>,
}

impl Paths {
    /// Makes a NOTIFY that is about to be sent the probe of its path, and returns the path; None if
    /// the path is proven. The NOTIFY holds the path, so that the end of its dialog does not erase
    /// the fact that it was probed.
    pub(crate) fn ask_for_proof(&mut self, path: PathId, id: InFlightId) -> Option<PathId> {
        self.probe_mut(path)?.asking = Some(id);
        self.hold(path);
        Some(path)
    }
}
