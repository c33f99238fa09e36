//! The network paths on which NOTIFYs are sent. Dialogs with the same flow and destination share one
//! path; behind an SBC these may be dialogs of many phones.
//!
//! Invariants:
//! - a path exists while a dialog uses it, or while an outstanding NOTIFY holds it: one that probes it,
//!   or the last one of a subscription;
//! - no two paths are equal.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{End, Flow};
use crate::shard::contract::ids::{InFlightId, PathId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::allowance::{Allowance, Lent};

/// See [`Expected`].
const KEPT: &str = "a path is kept while it is used";

/// The flow and destination of the NOTIFYs of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The flow of the latest SUBSCRIBE.
    pub(crate) flow: Flow,
    /// The destination of NOTIFYs on that flow: `flow.peer`, unless the phone listens on a
    /// different port from the one it sends from.
    pub(crate) destination: SocketAddr,
}

impl Hash for Path {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.flow.hash(state);
        End(self.destination).hash(state);
    }
}

#[derive(Debug)]
struct Shared {
    path: Path,
    dialogs: u32,
    /// Outstanding NOTIFYs that hold the path.
    holders: u32,
    /// What waits for the path to be proven, by a response or by a correct To-tag; None once it is.
    probe: Option<Box<PathProbe>>,
}

/// All paths of the shard.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    paths: Slab<PathId, Shared>,
    ids_by_path: GrowingMap<Path, PathId>,
    /// What may be sent on paths that are not proven.
    allowance: Allowance,
}

impl Path {
    /// The flow with the destination of NOTIFYs as its peer.
    pub(crate) fn onward(&self) -> Flow {
        Flow {
            peer: self.destination,
            ..self.flow
        }
    }
}

impl Shared {
    /// A stream needs no proof: TCP's handshake has already shown that the peer receives.
    fn new(path: Path) -> Self {
        let is_unproven = !path.flow.transport.is_reliable();
        Self {
            path,
            dialogs: 0,
            holders: 0,
            probe: is_unproven.then(Box::default),
        }
    }
}

impl Paths {
    /// Adds a dialog to a path, and the path if it is new.
    pub(crate) fn join(&mut self, path: Path) -> PathId {
        let paths = &mut self.paths;
        let id = *self
            .ids_by_path
            .entry(path)
            .or_insert_with(|| paths.insert(Shared::new(path)));
        if let Some(shared) = self.shared_mut(id) {
            shared.dialogs += 1;
        }
        id
    }

    /// Adds a dialog to a path, if that has this key. Returns whether it has.
    pub(crate) fn join_at(&mut self, id: PathId, path: &Path) -> bool {
        let shared = self.paths.get_mut(id);
        let shared = shared.filter(|shared| shared.path == *path);
        if let Some(shared) = shared {
            shared.dialogs += 1;
            return true;
        }
        false
    }

    /// Removes a dialog from its path.
    pub(crate) fn leave(&mut self, id: PathId) {
        if let Some(shared) = self.shared_mut(id) {
            shared.dialogs -= 1;
            self.forget_unused(id);
        }
    }

    /// Counts one more outstanding NOTIFY that holds the path. Returns the path.
    pub(crate) fn hold(&mut self, id: PathId) -> PathId {
        if let Some(shared) = self.shared_mut(id) {
            shared.holders += 1;
        }
        id
    }

    /// Counts one such NOTIFY fewer.
    pub(crate) fn release(&mut self, id: PathId) {
        if let Some(shared) = self.shared_mut(id) {
            shared.holders -= 1;
            self.forget_unused(id);
        }
    }

    fn forget_unused(&mut self, id: PathId) {
        let shared = self.shared(id);
        if let Some(shared) = shared.filter(|it| it.dialogs == 0 && it.holders == 0) {
            let path = shared.path;
            self.ids_by_path.remove(&path);
            self.paths.remove(id);
        }
    }

    #[inline]
    fn shared(&self, id: PathId) -> Option<&Shared> {
        self.paths.get(id).expected(KEPT)
    }

    #[inline]
    fn shared_mut(&mut self, id: PathId) -> Option<&mut Shared> {
        self.paths.get_mut(id).expected(KEPT)
    }

    /// Number of dialogs that use the path.
    #[inline]
    pub(crate) fn dialogs(&self, id: PathId) -> usize {
        self.shared(id).map_or(0, |shared| shared.dialogs as usize)
    }

    /// The key of a path, if it exists.
    pub(crate) fn find(&self, path: &Path) -> Option<PathId> {
        self.ids_by_path.get(path).copied()
    }

    /// The probe of the path; None if the path is proven.
    #[inline]
    pub(crate) fn probe(&self, id: PathId) -> Option<&PathProbe> {
        self.shared(id)?.probe.as_deref()
    }

    /// The probe of the path, to change it; None if the path is proven.
    pub(crate) fn probe_mut(&mut self, id: PathId) -> Option<&mut PathProbe> {
        self.shared_mut(id)?.probe.as_deref_mut()
    }

    /// Marks the path as proven. Returns its probe, or None if it was proven already.
    pub(crate) fn prove(&mut self, id: PathId, now: Instant) -> Option<Box<PathProbe>> {
        let probe = self.shared_mut(id)?.probe.take()?;
        self.allowance.take_back(probe.lent, now);
        Some(probe)
    }

    /// The path with that key.
    #[inline]
    pub(crate) fn of(&self, id: PathId) -> Option<&Path> {
        Some(&self.shared(id)?.path)
    }
}

/// The probe of an unproven path.
#[derive(Debug, Default)]
pub(crate) struct PathProbe {
    /// The outstanding NOTIFY whose response will prove the path.
    pub(crate) asking: Option<InFlightId>,
    /// Subscriptions whose NOTIFYs wait for the proof.
    pub(crate) waiting: Vec<SubscriptionId>,
    /// What the allowance lent for the NOTIFYs that were sent.
    lent: Lent,
}

impl Paths {
    /// Makes a NOTIFY of that many octets, which is about to be sent, the probe of its path, and
    /// returns the path; None if the path is proven. The NOTIFY holds the path, so that the end of its
    /// dialog does not erase the fact that it was probed.
    pub(crate) fn ask_for_proof(
        &mut self,
        path: PathId,
        id: InFlightId,
        octets: usize,
        turn: &Turn<'_>,
    ) -> Option<PathId> {
        self.probe_mut(path)?.asking = Some(id);
        self.lend(path, octets, turn);
        Some(self.hold(path))
    }

    /// Octets of a NOTIFY leave on a path; they count if it is not proven.
    pub(crate) fn lend(&mut self, path: PathId, octets: usize, turn: &Turn<'_>) {
        let shared = self.paths.get_mut(path).expected(KEPT);
        let Some(shared) = shared.filter(|it| !is_exempt(&it.path, turn)) else {
            return;
        };
        if let Some(probe) = &mut shared.probe {
            let rate = turn.options.overload.unproven_octets_per_second;
            self.allowance.lend(&mut probe.lent, octets, rate, turn.now);
        }
    }

    /// Whether more may be sent on a path that is not proven.
    pub(crate) fn may_lend(&self, path: &Path, turn: &Turn<'_>) -> bool {
        let rate = turn.options.overload.unproven_octets_per_second;
        self.allowance.has_left(rate, turn.now) || is_exempt(path, turn)
    }

    /// Whether a path is not proven, and nothing is left of the allowance for it.
    #[inline]
    pub(crate) fn is_spent(&self, id: PathId, turn: &Turn<'_>) -> bool {
        let shared = self.shared(id).filter(|shared| shared.probe.is_some());
        shared.is_some_and(|shared| !self.may_lend(&shared.path, turn))
    }
}

/// Whether the configuration says that requests from that address are not forged.
fn is_exempt(path: &Path, turn: &Turn<'_>) -> bool {
    turn.options.overload.exempts(path.destination.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::contract::flow::ConnectionId;
    use crate::sip::Transport;

    #[test]
    fn a_path_is_kept_once_and_as_long_as_it_is_used() {
        let path = |port: u16| {
            let peer = SocketAddr::from(([192, 0, 2, 1], port));
            Path {
                flow: Flow {
                    transport: Transport::Udp,
                    listener: 0,
                    connection: ConnectionId::default(),
                    local: SocketAddr::from(([192, 0, 2, 9], 5060)),
                    peer,
                },
                destination: peer,
            }
        };
        let mut paths = Paths::default();
        let first = paths.join(path(1));
        assert_eq!(paths.join(path(1)), first);
        let second = paths.join(path(2));
        assert_ne!(first, second);
        assert_eq!(paths.of(second), Some(&path(2)));
        paths.leave(first);
        assert_eq!(paths.of(first), Some(&path(1)));
        paths.leave(first);
        assert_eq!(paths.paths.len(), 1);
        assert_eq!(paths.ids_by_path.len(), 1);
        assert_eq!(paths.join(path(3)), first, "its place is taken again");
        paths.prove(first, Instant::now());
        paths.hold(first);
        paths.leave(first);
        assert_eq!(paths.join(path(3)), first);
        assert!(
            paths.probe(first).is_none(),
            "a path that is held stays proven"
        );
        paths.leave(first);
        paths.release(first);
        assert_eq!(paths.find(&path(3)), None);
    }
}
