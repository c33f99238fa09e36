//! What is known of a path until an answer proves that it leads to the phone.

use crate::shard::contract::ids::InFlightId;
use crate::shard::contract::ids::PathId;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::peer::path::Paths;

/// The proof of a path that is still to come.
#[derive(Debug, Default)]
pub(crate) struct PathProbe {
    /// The NOTIFY whose answer will prove the path.
    pub(crate) asking: Option<InFlightId>,
    /// Subscriptions that wait for it.
    pub(crate) waiting: Vec<SubscriptionId>,
}

impl Paths {
    /// A NOTIFY goes out; if its path is not proven, its answer will prove it. Such a NOTIFY holds
    /// the way, so that no end of its dialog makes the path forget that it was asked.
    pub(crate) fn ask_for_proof(&mut self, path: PathId, id: InFlightId) -> Option<PathId> {
        self.probe_mut(path)?.asking = Some(id);
        self.hold(path);
        Some(path)
    }
}
