//! The ways to phones, each kept once: all dialogs of a phone share one.
//!
//! Invariants: a way lives while a dialog uses it, or a NOTIFY that asks for the proof of its path;
//! two ways are never equal.

use std::net::SocketAddr;

use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::PathId;
use crate::shard::peer::path_probe::PathProbe;

/// How a phone is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    /// How its last SUBSCRIBE came.
    pub(crate) flow: Flow,
    /// Where NOTIFYs go on that flow; the same as its peer but for a phone that listens on another
    /// port than it sends from.
    pub(crate) destination: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    path: Path,
    dialogs: u32,
    /// NOTIFYs under way that ask for the proof of its path.
    asking: u32,
    /// None once its path is proven.
    probe: Option<Box<PathProbe>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    paths: Slab<PathId, Shared>,
    ids_by_path: GrowingMap<Path, PathId>,
}

impl Path {
    /// The flow that NOTIFYs take.
    pub(crate) fn onward(&self) -> Flow {
        Flow {
            peer: self.destination,
            ..self.flow
        }
    }
}

impl Shared {
    /// What a stream carries arrives.
    fn new(path: Path) -> Self {
        let is_unproven = !path.flow.transport.is_reliable();
        Self {
            path,
            dialogs: 0,
            asking: 0,
            probe: is_unproven.then(Box::default),
        }
    }
}

impl Paths {
    /// One more dialog uses that way.
    pub(crate) fn join(&mut self, path: Path) -> PathId {
        let paths = &mut self.paths;
        let id = *self
            .ids_by_path
            .entry(path)
            .or_insert_with(|| paths.insert(Shared::new(path)));
        self.paths[id].dialogs += 1;
        id
    }

    /// One dialog less.
    pub(crate) fn leave(&mut self, id: PathId) {
        self.paths[id].dialogs -= 1;
        self.forget_unused(id);
    }

    /// One more NOTIFY asks for the proof of its path.
    pub(crate) fn hold(&mut self, id: PathId) {
        self.paths[id].asking += 1;
    }

    /// One NOTIFY less asks for it.
    pub(crate) fn let_go(&mut self, id: PathId) {
        self.paths[id].asking -= 1;
        self.forget_unused(id);
    }

    fn forget_unused(&mut self, id: PathId) {
        let shared = &self.paths[id];
        if shared.dialogs == 0 && shared.asking == 0 {
            self.ids_by_path.remove(&shared.path);
            self.paths.remove(id);
        }
    }

    /// How many dialogs use a way.
    #[inline]
    pub(crate) fn dialogs(&self, id: PathId) -> usize {
        self.paths[id].dialogs as usize
    }

    /// The way's place, when a dialog uses it.
    pub(crate) fn find(&self, path: &Path) -> Option<PathId> {
        self.ids_by_path.get(path).copied()
    }

    /// What is known of a path that is not proven.
    #[inline]
    pub(crate) fn probe(&self, id: PathId) -> Option<&PathProbe> {
        self.paths[id].probe.as_deref()
    }

    /// The same, to be changed.
    pub(crate) fn probe_mut(&mut self, id: PathId) -> Option<&mut PathProbe> {
        self.paths[id].probe.as_deref_mut()
    }

    /// The path of a way is proven. None when it was already.
    pub(crate) fn prove(&mut self, id: PathId) -> Option<Box<PathProbe>> {
        self.paths[id].probe.take()
    }

    /// The way of a dialog.
    #[inline]
    pub(crate) fn of(&self, id: PathId) -> &Path {
        &self.paths[id].path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::contract::flow::ConnectionId;
    use crate::sip::Transport;

    #[test]
    fn a_way_is_kept_once_and_as_long_as_it_is_used() {
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
        assert_eq!(*paths.of(second), path(2));
        paths.leave(first);
        assert_eq!(*paths.of(first), path(1));
        paths.leave(first);
        assert_eq!(paths.paths.len(), 1);
        assert_eq!(paths.ids_by_path.len(), 1);
        assert_eq!(paths.join(path(3)), first, "its place is taken again");
    }
}
