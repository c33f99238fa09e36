//! Virtual time and the network: a heap of events; datagrams that are lost, duplicated, delayed and
//! reordered; streams that break; NATs that assign a phone another port; and mail between shards,
//! which always arrives in order.
//!
//! The seed determines the order of events at the same instant.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use lamplighter::shard::{Command, CommandId, ConnectionId, Dial, Flow, LinkId, Mail, ShardId};
use lamplighter::sip::Transport;

use crate::plan::Plan;
use crate::random::{Rng, scramble};
use crate::trace::Trace;

/// Virtual time: microseconds since the start of the run.
pub(crate) type Micros = u64;
pub(crate) const MILLISECOND: Micros = 1000;
pub(crate) const SECOND: Micros = 1_000_000;

/// The number of a peer.
pub(crate) type ActorId = usize;

/// An event.
#[derive(Debug)]
pub(crate) enum Event {
    /// Octets reach the node.
    ToShard {
        shard: u16,
        flow: Flow,
        octets: Rc<[u8]>,
    },
    /// The node learns that a stream ended.
    Closed {
        shard: u16,
        connection: ConnectionId,
    },
    /// A stream that the node opens reaches its peer, or is lost.
    Dialed { shard: u16, dial: Dial },
    /// A shard learns where a connector's server is.
    Routed {
        shard: u16,
        link: LinkId,
        flows: Vec<Flow>,
    },
    /// Octets reach a peer.
    ToPeer { to: Destination, octets: Rc<[u8]> },
    /// Mail reaches a shard.
    Mail { from: u16, to: u16, mail: Mail },
    /// A command reaches a shard.
    Command {
        shard: u16,
        token: CommandId,
        command: Command,
    },
    /// The store commits what waits.
    Commit,
    /// A shard learns up to which number its records are durable.
    Durable { shard: u16, number: u64 },
    /// The node crashes.
    Crash,
    /// The node starts again.
    Start,
    /// The next records come back.
    Recover,
    /// The dialog that a shard asked for comes back.
    Bring { place: u32 },
    /// A shard's timer; ignored if the shard was armed again since.
    ShardTimer { shard: u16, generation: u64 },
    /// A peer's timer.
    Wake { actor: ActorId, wake: Wake },
    /// A peer learns that its stream ended.
    PeerClosed(ActorId),
    /// A peer learns that its stream was refused.
    PeerRefused(ActorId),
    /// The time-dependent invariants are checked.
    Sweep,
    /// The next phase of the run.
    Phase,
}

impl Event {
    /// Whether only a process of the node that lives on could see it.
    fn is_of_node(&self) -> bool {
        matches!(
            self,
            Self::Closed { .. }
                | Self::Dialed { .. }
                | Self::Routed { .. }
                | Self::Mail { .. }
                | Self::Command { .. }
                | Self::Commit
                | Self::Durable { .. }
                | Self::Recover
                | Self::Bring { .. }
                | Self::ShardTimer { .. }
        )
    }
}

/// A destination of the node's octets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Destination {
    Address(SocketAddr),
    Connection(ConnectionId),
}

/// The purpose of a peer's timer.
#[derive(Clone, Debug)]
pub(crate) enum Wake {
    /// Timer E or F of one of its transactions.
    Transaction(u64),
    /// A phone: subscribe with this key if it has no subscription.
    Subscribe(usize),
    /// A phone: refresh the subscription of this key, if it is still the same.
    Refresh { key: usize, serial: u64 },
    /// A phone: end the subscription of this key, if it is still the same, and begin another later.
    Replace { key: usize, serial: u64 },
    /// A phone: send this response.
    Response(Rc<[u8]>),
    /// A phone: misbehave. A source: report a change.
    Act,
    /// A source: refresh the publication with that number, if it was not changed since.
    Renew { publication: usize, turn: u64 },
    /// A call of a feeder moves to its next state.
    Call(usize),
}

/// How a peer reaches the node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Udp(SocketAddr),
    Tcp(SocketAddr, ConnectionId),
}

impl Access {
    pub(crate) fn is_reliable(&self) -> bool {
        matches!(self, Self::Tcp(..))
    }
}

#[derive(Debug)]
struct Connection {
    actor: ActorId,
    peer: SocketAddr,
    shard: u16,
    /// The process that accepted it, counted from 0.
    process: u32,
    open: bool,
    /// When the last octets of each direction arrive, because a stream keeps its order.
    last: [Micros; 2],
}

#[derive(Debug)]
struct Scheduled {
    /// Time, then a random tie-break, then the order of scheduling.
    key: (Micros, u64, u64),
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// The node's address, the same for all shards.
pub(crate) const NODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);

/// The longest time until the node learns whether it could open a stream.
const DIAL_MAX: Micros = 300 * MILLISECOND;

const TO_NODE: usize = 0;
const FROM_NODE: usize = 1;

/// Time, random numbers and the network.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) now: Micros,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    /// Whether the network is good: no loss, no long delays.
    pub(crate) calm: bool,
    pub(crate) calm_since: Micros,
    /// Whether the node runs; otherwise nothing reaches it.
    pub(crate) is_up: bool,
    /// How often it crashed.
    pub(crate) process: u32,
    /// Until then the node may refuse refreshes, because it has not got all its records back.
    pub(crate) troubled_until: Micros,
    heap: BinaryHeap<Reverse<Scheduled>>,
    /// When the node last wanted to open a stream to an address.
    dialed: HashMap<SocketAddr, Micros>,
    scheduled: u64,
    actors_by_address: HashMap<SocketAddr, ActorId>,
    connections: Vec<Connection>,
    /// Peers that will learn that their stream was refused.
    refused: HashSet<ActorId>,
    last_mail: HashMap<(u16, u16), Micros>,
    ports: u16,
    tokens: u64,
}

impl Net {
    pub(crate) fn new(plan: Plan, trace: Trace) -> Self {
        Self {
            now: 0,
            rng: Rng::new(plan.seed),
            trace,
            plan,
            calm: false,
            calm_since: Micros::MAX,
            is_up: true,
            process: 0,
            troubled_until: 0,
            heap: BinaryHeap::new(),
            dialed: HashMap::new(),
            scheduled: 0,
            actors_by_address: HashMap::new(),
            connections: Vec::new(),
            refused: HashSet::new(),
            last_mail: HashMap::new(),
            ports: 20_000,
            tokens: 0,
        }
    }

    /// Takes the next event, and moves time to it.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(Scheduled { key, event }) = self.heap.pop()?;
        self.now = key.0;
        Some(event)
    }

    pub(crate) fn schedule(&mut self, at: Micros, event: Event) {
        self.scheduled += 1;
        let key = (at.max(self.now), self.rng.next() >> 32, self.scheduled);
        self.heap.push(Reverse(Scheduled { key, event }));
    }

    pub(crate) fn wake(&mut self, actor: ActorId, after: Micros, wake: Wake) {
        self.schedule(self.now + after, Event::Wake { actor, wake });
    }

    /// Gives a peer an address on the node's side of its NAT. The old address stops working.
    pub(crate) fn bind(&mut self, actor: ActorId, old: Option<SocketAddr>) -> SocketAddr {
        if let Some(old) = old {
            self.actors_by_address.remove(&old);
        }
        self.ports += 1;
        let address = SocketAddr::new(Ipv4Addr::new(10, 0, 0, actor as u8 + 1).into(), self.ports);
        self.actors_by_address.insert(address, actor);
        address
    }

    /// Opens a stream, on a random shard as the kernel would. While the node is down it is refused.
    pub(crate) fn connect(&mut self, actor: ActorId, peer: SocketAddr) -> ConnectionId {
        let shard = self.rng.below(u64::from(self.plan.shards)) as u16;
        self.connections.push(Connection {
            actor,
            peer,
            shard,
            process: self.process,
            open: self.is_up,
            last: [self.now; 2],
        });
        if !self.is_up && self.refused.insert(actor) {
            let after = self.rng.between(SECOND, 3 * SECOND);
            self.schedule(self.now + after, Event::PeerRefused(actor));
        }
        ConnectionId {
            shard: ShardId(shard),
            number: self.connections.len() as u32,
        }
    }

    /// The node wants to open a stream.
    pub(crate) fn dial(&mut self, shard: u16, dial: Dial) {
        let after = self.rng.between(MILLISECOND, DIAL_MAX);
        self.dialed.insert(dial.peer, self.now);
        self.schedule(self.now + after, Event::Dialed { shard, dial });
    }

    /// How long a NOTIFY to that address may have waited for a stream.
    pub(crate) fn waited(&self, peer: SocketAddr) -> Micros {
        let waited = self.dialed.get(&peer).map(|at| self.now - at);
        waited.filter(|waited| *waited <= DIAL_MAX).unwrap_or(0)
    }

    /// The peer that accepts streams at an address, if there is one.
    pub(crate) fn listener_at(&self, address: SocketAddr) -> Option<ActorId> {
        self.actors_by_address.get(&address).copied()
    }

    /// A peer accepts a stream that the node opens.
    pub(crate) fn accept(&mut self, actor: ActorId, shard: u16, peer: SocketAddr) -> ConnectionId {
        self.connections.push(Connection {
            actor,
            peer,
            shard,
            process: self.process,
            open: true,
            last: [self.now; 2],
        });
        ConnectionId {
            shard: ShardId(shard),
            number: self.connections.len() as u32,
        }
    }

    /// The flow from the node to a peer; a stream is to be opened.
    pub(crate) fn flow_to(peer: SocketAddr, is_stream: bool) -> Flow {
        Flow {
            transport: match is_stream {
                true => Transport::Tcp,
                false => Transport::Udp,
            },
            listener: usize::from(is_stream) as _,
            connection: ConnectionId::default(),
            local: NODE,
            peer,
        }
    }

    /// A peer has learned that its stream was refused.
    pub(crate) fn note_refused(&mut self, actor: ActorId) {
        self.refused.remove(&actor);
    }

    /// Breaks a stream. The node learns of a silent break some time later, the peer never does.
    pub(crate) fn break_stream(&mut self, id: ConnectionId, silent: bool) {
        let delay = self.rng.between(
            0,
            if silent {
                30 * SECOND
            } else {
                50 * MILLISECOND
            },
        );
        let (now, connection) = (self.now, &mut self.connections[id.number as usize - 1]);
        if !std::mem::replace(&mut connection.open, false) {
            return;
        }
        let (shard, actor) = (connection.shard, connection.actor);
        self.schedule(
            now + delay,
            Event::Closed {
                shard,
                connection: id,
            },
        );
        if !silent {
            self.schedule(now + delay / 2, Event::PeerClosed(actor));
        }
    }

    /// The node crashes: what its shards would have handled is gone, and all streams are reset.
    /// Returns these streams.
    pub(crate) fn crash(&mut self) -> Vec<ConnectionId> {
        self.is_up = false;
        self.process += 1;
        self.heap
            .retain(|Reverse(scheduled)| !scheduled.event.is_of_node());
        self.last_mail.clear();
        let mut reset = Vec::new();
        for at in 0..self.connections.len() {
            if std::mem::replace(&mut self.connections[at].open, false) {
                let (actor, shard) = (self.connections[at].actor, self.connections[at].shard);
                let after = self.rng.below(SECOND);
                self.schedule(self.now + after, Event::PeerClosed(actor));
                reset.push(ConnectionId {
                    shard: ShardId(shard),
                    number: at as u32 + 1,
                });
            }
        }
        reset
    }

    /// The shard to which a message on its way gets, which may be another than when it left; None if
    /// the node is down, or the stream ended with an earlier process.
    pub(crate) fn arrival(&self, shard: u16, flow: &Flow) -> Option<u16> {
        let is_lost = match flow.transport {
            Transport::Udp => false,
            _ => {
                let connection = &self.connections[flow.connection.number as usize - 1];
                connection.process != self.process
            }
        };
        match flow.transport {
            _ if is_lost || !self.is_up => None,
            Transport::Udp => Some(self.shard_of(flow.peer)),
            _ => Some(shard),
        }
    }

    /// The kernel distributes 4-tuples over the sockets of the shards.
    fn shard_of(&self, peer: SocketAddr) -> u16 {
        let tuple = scramble(self.plan.seed ^ u64::from(peer.port()));
        (tuple % u64::from(self.plan.shards)) as u16
    }

    pub(crate) fn is_open(&self, id: ConnectionId) -> bool {
        self.connections[id.number as usize - 1].open
    }

    /// A peer sends one message to the node.
    pub(crate) fn send(&mut self, access: Access, octets: Rc<[u8]>) {
        match access {
            Access::Udp(peer) => {
                let flow = Flow {
                    transport: Transport::Udp,
                    listener: 0,
                    connection: ConnectionId::default(),
                    local: NODE,
                    peer,
                };
                let shard = self.shard_of(peer);
                for delay in self.datagram_copies(TO_NODE) {
                    let octets = Rc::clone(&octets);
                    self.schedule(
                        self.now + delay,
                        Event::ToShard {
                            shard,
                            flow,
                            octets,
                        },
                    );
                }
            }
            Access::Tcp(peer, connection) => {
                let flow = Flow {
                    transport: Transport::Tcp,
                    listener: 1,
                    connection,
                    local: NODE,
                    peer,
                };
                if let Some((at, shard)) = self.stream_arrival(connection, TO_NODE) {
                    self.schedule(
                        at,
                        Event::ToShard {
                            shard,
                            flow,
                            octets,
                        },
                    );
                }
            }
        }
    }

    /// The node sends one message to a peer. Returns false if the stream has ended or belongs to
    /// another shard.
    pub(crate) fn send_from_node(&mut self, shard: u16, flow: &Flow, octets: Rc<[u8]>) -> bool {
        if flow.transport == Transport::Udp {
            for delay in self.datagram_copies(FROM_NODE) {
                let octets = Rc::clone(&octets);
                let to = Destination::Address(flow.peer);
                self.schedule(self.now + delay, Event::ToPeer { to, octets });
            }
            return true;
        }
        if flow.connection.shard.0 != shard {
            return false;
        }
        if let Some((at, _)) = self.stream_arrival(flow.connection, FROM_NODE) {
            let to = Destination::Connection(flow.connection);
            self.schedule(at, Event::ToPeer { to, octets });
        }
        true
    }

    /// Sends mail between shards: never lost, in order between any two.
    pub(crate) fn send_mail(&mut self, from: u16, to: u16, mail: Mail) {
        let delay = self.rng.between(0, self.plan.mail_delay_max);
        let last = self.last_mail.entry((from, to)).or_insert(0);
        // One microsecond apart, so that no tie-break can swap two.
        *last = (self.now + delay).max(*last + 1);
        let at = *last;
        self.schedule(at, Event::Mail { from, to, mail });
    }

    /// Whether a datagram of the last seconds, and the response to it, arrived: the network is good, and
    /// the node has all its records.
    pub(crate) fn is_sound(&self) -> bool {
        let since = self.calm_since.max(self.troubled_until);
        self.calm && self.is_up && self.now > since.saturating_add(10 * SECOND)
    }

    /// A new id for a command.
    pub(crate) fn token(&mut self) -> CommandId {
        self.tokens += 1;
        CommandId(self.tokens)
    }

    /// The peer at an address now. Octets to an address without a peer are lost.
    pub(crate) fn receiver(&self, to: Destination) -> Option<ActorId> {
        match to {
            Destination::Address(address) => self.actors_by_address.get(&address).copied(),
            Destination::Connection(id) => {
                let connection = &self.connections[id.number as usize - 1];
                connection.open.then_some(connection.actor)
            }
        }
    }

    /// The delays of the copies of a datagram that arrive.
    fn datagram_copies(&mut self, direction: usize) -> impl Iterator<Item = Micros> + use<> {
        let delay_max = self.plan.delay_max[direction];
        let mut delays = [None, None];
        if self.calm {
            delays[0] = Some(self.rng.between(100, 2 * MILLISECOND));
            return delays.into_iter().flatten();
        }
        let copies = if self.rng.chance(self.plan.loss[direction]) {
            0
        } else {
            1 + usize::from(self.rng.chance(self.plan.duplication[direction]))
        };
        for delay in delays.iter_mut().take(copies) {
            // Usually near the minimum, sometimes long enough that the next datagram overtakes it.
            let late = self.rng.chance(self.plan.reordering[direction]);
            let bound = if late { delay_max } else { delay_max / 20 };
            *delay = Some(200 + self.rng.below(bound.max(1)));
        }
        delays.into_iter().flatten()
    }

    /// When the next octets of a stream arrive, and on which shard; None if it is broken.
    fn stream_arrival(&mut self, id: ConnectionId, direction: usize) -> Option<(Micros, u16)> {
        let delay_max = if self.calm {
            2 * MILLISECOND
        } else {
            self.plan.delay_max[direction]
        };
        let delay = self.rng.between(100, delay_max.max(101));
        let connection = &mut self.connections[id.number as usize - 1];
        let last = &mut connection.last[direction];
        *last = (self.now + delay).max(*last + 1);
        connection.open.then_some((*last, connection.shard))
    }

    /// The peer's address of a stream.
    pub(crate) fn peer_of(&self, id: ConnectionId) -> SocketAddr {
        self.connections[id.number as usize - 1].peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Words;

    fn net(seed: u64) -> Net {
        Net::new(Plan::new(seed), Trace::new(Words::None))
    }

    #[test]
    fn events_happen_in_the_order_of_time() {
        let mut net = net(1);
        for at in [5, 3, 9, 3] {
            net.schedule(at, Event::Sweep);
        }
        let mut times = Vec::new();
        while net.next().is_some() {
            times.push(net.now);
        }
        assert_eq!(times, [3, 3, 5, 9]);
    }

    #[test]
    fn a_stream_keeps_its_order() {
        let mut net = net(2);
        let peer = net.bind(0, None);
        let connection = net.connect(0, peer);
        for number in 0..50u8 {
            net.send(Access::Tcp(peer, connection), Rc::from([number]));
        }
        let mut seen = Vec::new();
        while let Some(Event::ToShard { octets, .. }) = net.next() {
            seen.push(octets[0]);
        }
        assert_eq!(seen, (0..50).collect::<Vec<u8>>());
    }

    #[test]
    fn a_lossy_network_drops_and_duplicates_datagrams() {
        let mut net = net(3);
        net.plan.loss = [500, 0];
        net.plan.duplication = [500, 0];
        let peer = net.bind(0, None);
        for _ in 0..1000 {
            net.send(Access::Udp(peer), Rc::from([0u8]));
        }
        let mut arrived = 0;
        while net.next().is_some() {
            arrived += 1;
        }
        assert!(
            (650..850).contains(&arrived),
            "{arrived} of 1000 with half lost and half of the rest doubled"
        );
    }
}
