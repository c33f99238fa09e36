//! The ways to phones, each kept once: all dialogs of a phone share one.
//!
//! Invariants: a way lives while a dialog uses it, or a NOTIFY that asks for the proof of its path;
//! two ways are never equal.

use std::net::SocketAddr;

use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Places;
use crate::shard::contract::flow::Flow;
use crate::shard::peer::path_probe::Probe;

/// How a phone is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    /// How its last SUBSCRIBE came.
    pub(crate) flow: Flow,
    /// Where NOTIFYs go on that flow; the same as its peer but for a phone that listens on another
    /// port than it sends from.
    pub(crate) destination: SocketAddr,
}

/// A way's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WayId(u32);

#[derive(Debug)]
struct Shared {
    way: Way,
    dialogs: u32,
    /// NOTIFYs under way that ask for the proof of its path.
    asking: u32,
    /// None once its path is proven.
    probe: Option<Box<Probe>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    ways: Places<Shared>,
    ids_by_way: GrowingMap<Way, WayId>,
}

impl Way {
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
    fn new(way: Way) -> Self {
        let is_unproven = !way.flow.transport.is_reliable();
        Self {
            way,
            dialogs: 0,
            asking: 0,
            probe: is_unproven.then(Box::default),
        }
    }
}

impl Ways {
    /// One more dialog uses that way.
    pub(crate) fn join(&mut self, way: Way) -> WayId {
        let ways = &mut self.ways;
        let id = *self
            .ids_by_way
            .entry(way)
            .or_insert_with(|| WayId(ways.insert(Shared::new(way)) as u32));
        self.ways[id.0 as usize].dialogs += 1;
        id
    }

    /// One dialog less.
    pub(crate) fn leave(&mut self, id: WayId) {
        self.ways[id.0 as usize].dialogs -= 1;
        self.forget_unused(id);
    }

    /// One more NOTIFY asks for the proof of its path.
    pub(crate) fn hold(&mut self, id: WayId) {
        self.ways[id.0 as usize].asking += 1;
    }

    /// One NOTIFY less asks for it.
    pub(crate) fn let_go(&mut self, id: WayId) {
        self.ways[id.0 as usize].asking -= 1;
        self.forget_unused(id);
    }

    fn forget_unused(&mut self, id: WayId) {
        let shared = &self.ways[id.0 as usize];
        if shared.dialogs == 0 && shared.asking == 0 {
            self.ids_by_way.remove(&shared.way);
            self.ways.remove(id.0 as usize);
        }
    }

    /// How many dialogs use a way.
    #[inline]
    pub(crate) fn dialogs(&self, id: WayId) -> usize {
        self.ways[id.0 as usize].dialogs as usize
    }

    /// The way's place, when a dialog uses it.
    pub(crate) fn find(&self, way: &Way) -> Option<WayId> {
        self.ids_by_way.get(way).copied()
    }

    /// What is known of a path that is not proven.
    #[inline]
    pub(crate) fn probe(&self, id: WayId) -> Option<&Probe> {
        self.ways[id.0 as usize].probe.as_deref()
    }

    /// The same, to be changed.
    pub(crate) fn probe_mut(&mut self, id: WayId) -> Option<&mut Probe> {
        self.ways[id.0 as usize].probe.as_deref_mut()
    }

    /// The path of a way is proven. None when it was already.
    pub(crate) fn prove(&mut self, id: WayId) -> Option<Box<Probe>> {
        self.ways[id.0 as usize].probe.take()
    }

    /// The way of a dialog.
    #[inline]
    pub(crate) fn of(&self, id: WayId) -> &Way {
        &self.ways[id.0 as usize].way
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::contract::flow::ConnectionId;
    use crate::sip::Transport;

    #[test]
    fn a_way_is_kept_once_and_as_long_as_it_is_used() {
        let way = |port: u16| {
            let peer = SocketAddr::from(([192, 0, 2, 1], port));
            Way {
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
        let mut ways = Ways::default();
        let first = ways.join(way(1));
        assert_eq!(ways.join(way(1)), first);
        let second = ways.join(way(2));
        assert_ne!(first, second);
        assert_eq!(*ways.of(second), way(2));
        ways.leave(first);
        assert_eq!(*ways.of(first), way(1));
        ways.leave(first);
        assert_eq!(ways.ways.len(), 1);
        assert_eq!(ways.ids_by_way.len(), 1);
        assert_eq!(ways.join(way(3)), first, "its place is taken again");
    }
}
