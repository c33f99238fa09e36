//! A shard's port of one UDP listener: flows in, datagrams out, and a bounded queue for datagrams that
//! wait for room in the socket.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::net::datagram::send_order::SendOrder;
use crate::net::datagram::{Datagram, DatagramTransport, Interest, Received, ReceivedDatagrams};
use crate::shard::{ConnectionId, Flow, Outbox, Transmit};
use crate::sip::Transport;
use crate::telemetry::CoreCounters;

/// A port.
#[derive(Debug)]
pub struct DatagramPort {
    socket: Box<dyn DatagramTransport>,
    /// The index of the listener in the configuration.
    listener: u16,
    stalled: RefCell<Stalled>,
    send_order: RefCell<SendOrder>,
    /// Datagrams lost in the kernel that are counted already.
    lost: Cell<u32>,
}

/// Datagrams that wait for room in the socket, oldest first.
#[derive(Debug)]
struct Stalled {
    datagrams: VecDeque<StalledDatagram>,
    octets: usize,
    octets_max: usize,
}

#[derive(Debug)]
struct StalledDatagram {
    peer: SocketAddr,
    source: Option<IpAddr>,
    bytes: Box<[u8]>,
}

impl DatagramPort {
    /// Creates a port on a socket. At most `stalled_octets_max` octets wait for room in it.
    #[must_use]
    pub fn new(
        socket: Box<dyn DatagramTransport>,
        listener: u16,
        stalled_octets_max: usize,
    ) -> Self {
        let stalled = Stalled {
            datagrams: VecDeque::new(),
            octets: 0,
            octets_max: stalled_octets_max,
        };
        Self {
            socket,
            listener,
            stalled: RefCell::new(stalled),
            send_order: RefCell::default(),
            lost: Cell::new(0),
        }
    }

    /// Returns the remaining datagrams of the last batch, or receives a new batch without waiting.
    pub fn receive(&self) -> io::Result<RefMut<'_, dyn ReceivedDatagrams>> {
        self.socket.receive()
    }

    /// Whether datagrams of the last batch are left.
    pub fn is_left(&self) -> bool {
        self.socket.is_left()
    }

    /// Waits until there is something to receive.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.wait_for(Interest::Readable).await
    }

    /// How many datagrams the kernel dropped since the last call; `total` is its running count.
    pub fn newly_lost(&self, total: u32) -> u64 {
        // The kernel's count wraps.
        u64::from(total.wrapping_sub(self.lost.replace(total)))
    }

    /// The flow that a datagram arrived on.
    #[must_use]
    pub fn flow(&self, received: &Received<'_>) -> Flow {
        let bound = self.socket.local_address();
        let local = received
            .local
            .map_or(bound, |ip| SocketAddr::new(ip, bound.port()));
        Flow {
            transport: Transport::Udp,
            listener: self.listener,
            connection: ConnectionId::default(),
            local,
            peer: received.peer,
        }
    }

    /// Sends messages of the outbox that are all for this port; those to one host in order and
    /// together. True when the socket has just run out of room: the rest waits until
    /// [`DatagramPort::drain`], which the caller has to start, has sent it.
    pub fn send(&self, outbox: &Outbox, transmits: &[Transmit], counters: &CoreCounters) -> bool {
        let mut stalled = self.stalled.borrow_mut();
        let mut send_order = self.send_order.borrow_mut();
        let was_stalled = !stalled.datagrams.is_empty();
        let order = send_order.by_host(transmits.iter().map(|transmit| transmit.flow.peer.ip()));
        let is_wildcard = self.socket.local_address().ip().is_unspecified();
        let datagram = |index: usize| {
            let transmit: &Transmit = &transmits[order[index] as usize];
            Datagram {
                peer: transmit.flow.peer,
                // On a wildcard socket, send from the address the peer used.
                source: is_wildcard.then_some(transmit.flow.local.ip()),
                pieces: outbox.pieces(transmit),
            }
        };
        let settled = if was_stalled {
            0
        } else {
            self.send_now(transmits.len(), &datagram, counters)
        };
        for index in settled..transmits.len() {
            stalled.push(&datagram(index), counters);
        }
        !was_stalled && !stalled.datagrams.is_empty()
    }

    /// Sends queued datagrams whenever there is room, until the queue is empty.
    pub async fn drain(&self, counters: &CoreCounters) {
        while !self.stalled.borrow().datagrams.is_empty() {
            // An error will recur in the next send, which counts it and drops the datagram.
            let _ = self.socket.wait_for(Interest::Writable).await;
            let mut stalled = self.stalled.borrow_mut();
            let waiting = |index: usize| stalled.datagrams[index].as_datagram();
            let settled = self.send_now(stalled.datagrams.len(), &waiting, counters);
            stalled.forget(settled);
        }
    }

    fn send_now<'a>(
        &self,
        count: usize,
        datagram: &dyn Fn(usize) -> Datagram<'a>,
        counters: &CoreCounters,
    ) -> usize {
        let sent = self.socket.send(count, datagram);
        debug_assert!(
            sent.settled == count || sent.is_stalled,
            "a socket stops only for want of room"
        );
        counters
            .datagrams_sent
            .add((sent.settled - sent.refused) as u64);
        counters.datagrams_sent_bytes.add(sent.octets as u64);
        counters.send_errors.add(sent.refused as u64);
        counters.datagrams_segmented.add(sent.segmented as u64);
        counters
            .segmentation_refused
            .add(sent.segmentation_refused as u64);
        sent.settled
    }
}

impl Stalled {
    fn push(&mut self, datagram: &Datagram<'_>, counters: &CoreCounters) {
        let bytes: Box<[u8]> = datagram.pieces.concat().into();
        if self.octets + bytes.len() > self.octets_max {
            counters.datagrams_dropped.add(1);
            return;
        }
        counters.datagrams_stalled.add(1);
        self.octets += bytes.len();
        self.datagrams.push_back(StalledDatagram {
            peer: datagram.peer,
            source: datagram.source,
            bytes,
        });
    }

    /// Removes the oldest `count`, which were sent or refused.
    fn forget(&mut self, count: usize) {
        let settled = self.datagrams.drain(..count);
        let octets: usize = settled.map(|datagram| datagram.bytes.len()).sum();
        self.octets -= octets;
    }
}

impl StalledDatagram {
    fn as_datagram(&self) -> Datagram<'_> {
        Datagram {
            peer: self.peer,
            source: self.source,
            pieces: [&self.bytes, &[]],
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::ops::Range;
    use std::rc::Rc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::LocalBoxFuture;
    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;
    use crate::net::bind;
    use crate::net::datagram::Sent;
    use crate::net::datagram::udp::UdpTransport;

    /// A socket without a kernel, which has room for some datagrams and keeps them.
    #[derive(Debug)]
    struct Fake {
        bound: SocketAddr,
        room: Cell<usize>,
        sent: RefCell<Vec<StalledDatagram>>,
    }

    impl Fake {
        fn new(bound: &str, room: usize) -> Rc<Self> {
            Rc::new(Self {
                bound: bound.parse().unwrap(),
                room: Cell::new(room),
                sent: RefCell::default(),
            })
        }

        fn payloads(&self) -> Vec<Box<[u8]>> {
            let sent = self.sent.borrow();
            sent.iter().map(|sent| sent.bytes.clone()).collect()
        }
    }

    impl DatagramTransport for Rc<Fake> {
        fn receive(&self) -> io::Result<RefMut<'_, dyn ReceivedDatagrams>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn send<'a>(&self, count: usize, datagram: &dyn Fn(usize) -> Datagram<'a>) -> Sent {
            let settled = count.min(self.room.get());
            self.room.update(|room| room - settled);
            let sent = (0..settled).map(datagram).map(|sent| StalledDatagram {
                peer: sent.peer,
                source: sent.source,
                bytes: sent.pieces.concat().into(),
            });
            self.sent.borrow_mut().extend(sent);
            Sent {
                settled,
                is_stalled: settled < count,
                ..Sent::default()
            }
        }

        fn local_address(&self) -> SocketAddr {
            self.bound
        }

        /// There is room for two more.
        fn wait_for(&self, _: Interest) -> LocalBoxFuture<'_, io::Result<()>> {
            self.room.set(2);
            std::future::ready(Ok(())).boxed_local()
        }
    }

    fn port(socket: impl DatagramTransport + 'static) -> DatagramPort {
        DatagramPort::new(Box::new(socket), 3, 1000)
    }

    fn flow(local: &str, peer: &str) -> Flow {
        Flow {
            transport: Transport::Udp,
            listener: 3,
            connection: ConnectionId::default(),
            local: local.parse().unwrap(),
            peer: peer.parse().unwrap(),
        }
    }

    /// Messages of 200 octets, half head and half tail, numbered.
    fn outbox(flow: Flow, numbers: Range<u8>) -> Outbox {
        let mut outbox = Outbox::default();
        for number in numbers {
            let start = outbox.arena.len();
            outbox.arena.extend([number; 200]);
            outbox.transmits.push(Transmit {
                flow,
                head: start..start + 100,
                tail: start + 100..start + 200,
            });
        }
        outbox
    }

    #[test]
    fn waits_for_datagrams_without_taking_any() {
        let (address, mut sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 * 1024)
            .make()
            .unwrap();
        executor.run(async {
            let port = port(UdpTransport::new(sockets.remove(0), address, 1400));
            let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let peer = client.local_addr().unwrap();
            let sender = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                client.send_to(b"OPTIONS", address).unwrap();
            });
            assert!(!port.receive().unwrap().is_left());
            port.readable().await.unwrap();
            let mut batch = port.receive().unwrap();
            let received = batch.next_datagram().unwrap();
            let flow = port.flow(&received);
            assert_eq!((flow.local, flow.peer, flow.listener), (address, peer, 3));
            assert_eq!(flow.connection, ConnectionId::default());
            sender.join().unwrap();
        });
    }

    /// Where the kernel says so, the executor's helper thread waits for room.
    #[test]
    fn a_full_send_buffer_is_waited_for() {
        let (address, mut sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 * 1024)
            .make()
            .unwrap();
        executor.run(async {
            let socket = UdpTransport::new(sockets.remove(0), address, 1400);
            socket.wait_for(Interest::Writable).await.unwrap();
        });
    }

    #[test]
    fn a_wildcard_port_answers_from_the_address_that_was_reached() {
        for (bound, source) in [("0.0.0.0:5070", Some("10.0.0.1")), ("10.0.0.1:5070", None)] {
            let socket = Fake::new(bound, 1);
            let port = port(Rc::clone(&socket));
            let received = Received {
                peer: "192.0.2.1:5060".parse().unwrap(),
                local: source.map(|source| source.parse().unwrap()),
                lost: None,
                is_truncated: false,
                bytes: b"",
            };
            let flow = port.flow(&received);
            assert_eq!(flow, self::flow("10.0.0.1:5070", "192.0.2.1:5060"));
            let outbox = outbox(flow, 0..1);
            port.send(&outbox, &outbox.transmits, &CoreCounters::default());
            assert_eq!(socket.sent.borrow()[0].source, received.local);
        }
    }

    #[test]
    fn the_send_queue_is_bounded_and_keeps_order() {
        let socket = Fake::new("10.0.0.1:5060", 1);
        let port = port(Rc::clone(&socket));
        let counters = CoreCounters::default();
        let flow = flow("10.0.0.1:5060", "192.0.2.1:5060");
        let first = outbox(flow, 0..4);
        assert!(port.send(&first, &first.transmits, &counters));
        socket.room.set(5);
        let second = outbox(flow, 4..8);
        let is_newly_stalled = port.send(&second, &second.transmits, &counters);
        assert!(!is_newly_stalled, "the drain that runs sends these too");
        assert_eq!(counters.datagrams_stalled.value(), 5);
        assert_eq!(counters.datagrams_dropped.value(), 2);
        assert_eq!(port.stalled.borrow().octets, 1000);
        port.drain(&counters).now_or_never().unwrap();
        assert_eq!(port.stalled.borrow().octets, 0);
        let expected: Vec<Box<[u8]>> = (0..6).map(|number| [number; 200].into()).collect();
        assert_eq!(socket.payloads(), expected);
    }

    #[test]
    fn lost_datagrams_are_counted_across_a_wrap_of_the_kernels_counter() {
        let port = port(Fake::new("10.0.0.1:5060", 0));
        let newly = [3, 3, u32::MAX, 1].map(|total| port.newly_lost(total));
        assert_eq!(newly, [3, 0, u64::from(u32::MAX) - 3, 2]);
    }
}
