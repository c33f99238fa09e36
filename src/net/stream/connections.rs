//! The stream connections of a shard, and the messages of one turn gathered by connection.
//!
//! Invariants worth naming: connection ids are never reused. A connection is written to at most
//! once per turn, or once per `PIECES_MAX` pieces. A message for a connection that is gone is
//! counted and dropped.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use slab::Slab;
use smallvec::SmallVec;

use crate::net::Limits;
use crate::net::connection_limits::ConnectionCount;
use crate::net::stream::connection::{Connection, Written};
use crate::net::stream::{PushFrame, StreamTransport};
use crate::shard::{ConnectionId, Dial, Flow, Outbox, ShardId};
use crate::telemetry::CoreCounters;

/// Pieces of one write: as many as the kernel takes. They fit on the stack.
const PIECES_MAX: usize = 1024;
/// Connections that one sweep looks at.
const SWEEP_MAX: usize = 1024;
/// All connections of a shard.
#[derive(Debug)]
pub struct Connections {
    by_name: HashMap<ConnectionId, Entry, BuildHasherDefault<CountingHasher>>,
    open: ConnectionCount,
    /// All of them in a row, for the sweep that ends idle ones part by part.
    in_a_row: Slab<Rc<Connection>>,
    /// Where in the row the sweep goes on.
    next_swept: usize,
    shard: ShardId,
    limits: Limits,
    last_number: u32,
    /// Nothing is read any more.
    is_paused: bool,

    // The messages of this turn: each a transmit's index, chained by connection.
    links: Vec<Link>,
    written_to: Vec<ConnectionId>,
}

#[derive(Debug)]
struct Entry {
    connection: Rc<Connection>,
    slot: Slot,
    /// First and last link of this turn's chain, if it has one.
    chain: Option<(LinkId, LinkId)>,
}

/// A connection's key in the row.
#[derive(Clone, Copy, Debug)]
struct Slot(usize);

/// A message for a connection, and the next one for it.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// The index of the outbox's transmit.
    transmit: u32,
    next: Option<LinkId>,
}

/// The index of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LinkId(u32);

impl LinkId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Hashes a connection's name. Names count up, so their low bits are spread already; the product
/// spreads the high bits, which the table also uses.
#[derive(Debug, Default)]
struct CountingHasher(u64);

impl Hasher for CountingHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Connections {
    /// A shard without connections.
    #[must_use]
    pub fn new(shard: ShardId, limits: Limits) -> Self {
        Self {
            by_name: HashMap::default(),
            open: ConnectionCount::new(limits.connections),
            in_a_row: Slab::new(),
            next_swept: 0,
            shard,
            limits,
            last_number: 0,
            is_paused: false,
            links: Vec::new(),
            written_to: Vec::new(),
        }
    }

    /// Takes an accepted stream in, of that listener and peer. One that a limit refuses, or that no name
    /// is left for, is closed.
    pub fn admit(
        &mut self,
        stream: Box<dyn StreamTransport>,
        (listener, peer): (u16, SocketAddr),
        now: Instant,
        is_trusted: impl FnOnce(&Flow) -> bool,
        counters: &CoreCounters,
    ) -> Option<Rc<Connection>> {
        let arrived = |connection| Flow {
            transport: stream.transport(),
            listener,
            connection,
            local: stream.local_address(),
            peer,
        };
        let flow = self.name(arrived, is_trusted, counters)?;
        let connection = self.take(stream, flow, now, counters);
        counters.connections_accepted.add(1);
        Some(connection)
    }

    /// Takes in a stream that we opened, if the limits allow.
    pub fn take_dialed(
        &mut self,
        stream: Box<dyn StreamTransport>,
        dial: &Dial,
        now: Instant,
        is_trusted: impl FnOnce(&Flow) -> bool,
        counters: &CoreCounters,
    ) -> Option<Rc<Connection>> {
        let flow = self.name(|connection| dial.flow(connection), is_trusted, counters)?;
        let connection = self.take(stream, flow, now, counters);
        counters.connections_dialed.add(1);
        Some(connection)
    }

    /// The flow of a connection, with its name; None if a limit refuses it, or no name is left.
    fn name(
        &mut self,
        flow: impl FnOnce(ConnectionId) -> Flow,
        is_trusted: impl FnOnce(&Flow) -> bool,
        counters: &CoreCounters,
    ) -> Option<Flow> {
        let number = self.last_number.checked_add(1);
        let shard = self.shard;
        let named = number.map(|number| flow(ConnectionId { shard, number }));
        let named = named.filter(|flow| self.open.has_room(flow.peer.ip(), |_| is_trusted(flow)));
        match named {
            Some(flow) => self.last_number = flow.connection.number,
            None => counters.connections_refused.add(1),
        }
        named
    }

    fn take(
        &mut self,
        stream: Box<dyn StreamTransport>,
        flow: Flow,
        now: Instant,
        counters: &CoreCounters,
    ) -> Rc<Connection> {
        let octets_max = self.limits.outbound_octets_max;
        let connection = Rc::new(Connection::new(stream, flow, octets_max, now));
        self.insert(Rc::clone(&connection), counters);
        connection
    }

    /// Takes in a stream that an earlier process accepted, by the name in its flow, if the limit
    /// allows. It was in use until then.
    pub fn continue_stream(
        &mut self,
        stream: Box<dyn StreamTransport>,
        flow: Flow,
        in_use_until: Instant,
        counters: &CoreCounters,
    ) -> Option<Rc<Connection>> {
        debug_assert_eq!(flow.connection.shard, self.shard, "it is ours");
        if !self.open.has_room(flow.peer.ip(), |_| true) {
            counters.connections_refused.add(1);
            return None;
        }
        self.last_number = self.last_number.max(flow.connection.number);
        let octets_max = self.limits.outbound_octets_max;
        let connection = Rc::new(Connection::new(stream, flow, octets_max, in_use_until));
        connection.note_message(in_use_until);
        self.insert(Rc::clone(&connection), counters);
        counters.connections_accepted.add(1);
        Some(connection)
    }

    fn insert(&mut self, connection: Rc<Connection>, counters: &CoreCounters) {
        if self.is_paused {
            connection.pause();
        }
        let flow = connection.flow;
        let entry = Entry {
            slot: Slot(self.in_a_row.insert(Rc::clone(&connection))),
            connection,
            chain: None,
        };
        self.by_name.insert(flow.connection, entry);
        self.open.join(flow.peer.ip());
        counters.connections_open.set(self.by_name.len() as u64);
    }

    /// From now on nothing is read from any connection, nor from one that comes later.
    pub fn pause_all(&mut self) {
        self.is_paused = true;
        self.by_name
            .values()
            .for_each(|entry| entry.connection.pause());
    }

    /// Leaves connections that are between two messages to another process, up to `count`: their
    /// descriptors, and how long they are in use. Their readers then remove them.
    pub fn hand_over(&self, count: usize, now: Instant) -> Vec<(OwnedFd, Duration)> {
        let hand_over = |(_, connection): (_, &Rc<Connection>)| {
            let in_use = connection.idle_since().saturating_duration_since(now);
            Some((connection.hand_over()?, in_use))
        };
        self.in_a_row
            .iter()
            .filter_map(hand_over)
            .take(count)
            .collect()
    }

    /// Forgets a connection that is over.
    pub fn remove(&mut self, name: ConnectionId, counters: &CoreCounters) {
        let Some(entry) = self.by_name.remove(&name) else {
            debug_assert!(false, "a connection is removed once, by its reader");
            return;
        };
        entry.connection.end();
        self.in_a_row.remove(entry.slot.0);
        self.open.leave(entry.connection.flow.peer.ip());
        counters.connections_closed.add(1);
        counters.connections_open.set(self.by_name.len() as u64);
    }

    /// Keeps a connection in use until then: a subscription, publication or registration depends on
    /// it.
    pub fn keep(&self, name: ConnectionId, until: Instant) {
        if let Some(entry) = self.by_name.get(&name) {
            entry.connection.keep(until);
        }
    }

    /// Looks at the next part of the connections and ends the idle ones; after a shorter time while
    /// room is short. Their reader tasks then remove them.
    pub fn end_idle(
        &mut self,
        now: Instant,
        is_trusted: impl Fn(&Flow) -> bool,
        counters: &CoreCounters,
    ) {
        let part = self.next_swept..self.next_swept + SWEEP_MAX;
        let is_last = part.end >= self.in_a_row.capacity();
        self.next_swept = if is_last { 0 } else { part.end };
        for connection in part.filter_map(|place| self.in_a_row.get(place)) {
            let idle = now.saturating_duration_since(connection.idle_since());
            // The cheap comparison first: nearly all are in use.
            if idle >= self.limits.idle_timeout_short
                && idle >= self.patience(connection, &is_trusted)
                && !connection.has_ended()
            {
                counters.connections_idle.add(1);
                connection.end();
            }
        }
    }

    /// How long a connection may be idle.
    fn patience(&self, connection: &Connection, is_trusted: impl Fn(&Flow) -> bool) -> Duration {
        let flow = &connection.flow;
        if self.open.is_short(flow.peer.ip(), |_| is_trusted(flow)) {
            self.limits.idle_timeout_short
        } else if connection.has_sent_message() {
            self.limits.idle_timeout
        } else {
            self.limits.message_timeout
        }
    }

    /// Ends all connections; their readers notice and have them removed.
    pub fn end_all(&self) {
        self.by_name
            .values()
            .for_each(|entry| entry.connection.end());
    }

    /// Whether there are no connections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether nothing waits for [`Connections::flush`].
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.links.is_empty() && self.written_to.is_empty()
    }

    /// Notes that the outbox's message `index` goes to a connection of ours.
    pub fn gather(&mut self, index: usize, flow: &Flow, counters: &CoreCounters) {
        let Some(entry) = self
            .by_name
            .get_mut(&flow.connection)
            .filter(|entry| !entry.connection.has_ended())
        else {
            counters.stream_messages_dropped.add(1);
            return;
        };
        let link = LinkId(self.links.len() as u32);
        self.links.push(Link {
            transmit: index as u32,
            next: None,
        });
        entry.chain = if let Some((first, last)) = entry.chain {
            self.links[last.index()].next = Some(link);
            Some((first, link))
        } else {
            self.written_to.push(flow.connection);
            Some((link, link))
        };
    }

    /// Writes the gathered messages, connection by connection. Calls `stalled` for each connection
    /// that [`Connection::drain`] has to be started for.
    pub fn flush(
        &mut self,
        outbox: &Outbox,
        counters: &CoreCounters,
        mut stalled: impl FnMut(&Rc<Connection>),
    ) {
        for name in self.written_to.drain(..) {
            let Some(entry) = self.by_name.get_mut(&name) else {
                debug_assert!(
                    false,
                    "no connection is removed while messages for it are gathered"
                );
                continue;
            };
            let first = entry.chain.take().map(|(first, _)| first);
            let chain = Chain {
                links: &self.links,
                next: first,
            };
            write_chain(&entry.connection, chain, outbox, counters, &mut stalled);
        }
        self.links.clear();
    }
}

/// The messages for one connection, as indexes of the outbox's transmits.
#[derive(Clone, Copy, Debug)]
struct Chain<'a> {
    links: &'a [Link],
    next: Option<LinkId>,
}

impl Iterator for Chain<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let link = self.links[self.next?.index()];
        self.next = link.next;
        Some(link.transmit as usize)
    }
}

/// Writes each message in a frame of its own.
fn write_frames(
    connection: &Connection,
    chain: Chain<'_>,
    outbox: &Outbox,
    push_frame: PushFrame,
) -> (Written, u64) {
    let (mut octets, mut messages) = (Vec::new(), 0);
    for index in chain {
        push_frame(outbox.pieces(&outbox.transmits[index]), &mut octets);
        messages += 1;
    }
    (connection.write(&[IoSlice::new(&octets)]), messages)
}

fn write_chain(
    connection: &Rc<Connection>,
    mut chain: Chain<'_>,
    outbox: &Outbox,
    counters: &CoreCounters,
    stalled: &mut impl FnMut(&Rc<Connection>),
) {
    if let Some(push_frame) = connection.push_frame() {
        let (written, messages) = write_frames(connection, chain, outbox, push_frame);
        return note(written, messages, connection, counters, stalled);
    }
    while chain.next.is_some() {
        let mut pieces: SmallVec<[IoSlice<'_>; PIECES_MAX]> = SmallVec::new();
        let mut messages = 0;
        while pieces.len() + 2 <= PIECES_MAX
            && let Some(index) = chain.next()
        {
            let found = outbox.pieces(&outbox.transmits[index]).into_iter();
            pieces.extend(found.filter(|piece| !piece.is_empty()).map(IoSlice::new));
            messages += 1;
        }
        let written = connection.write(&pieces);
        note(written, messages, connection, counters, stalled);
    }
}

/// Counts messages by what came of writing them.
fn note(
    written: Written,
    messages: u64,
    connection: &Rc<Connection>,
    counters: &CoreCounters,
    stalled: &mut impl FnMut(&Rc<Connection>),
) {
    match written {
        Written::All | Written::Queued => counters.stream_messages_sent.add(messages),
        Written::Stalled => {
            counters.stream_messages_sent.add(messages);
            stalled(connection);
        }
        Written::Overflow => {
            counters.connections_overflowed.add(1);
            counters.stream_messages_dropped.add(messages);
        }
        Written::Failed => counters.stream_messages_dropped.add(messages),
    }
}
