//! A shard's UDP socket of one listener: flows in, datagrams out, and what waits while the send
//! buffer is full.

use std::cell::Cell;
use std::cell::RefCell;
use std::cell::RefMut;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;

use crate::net::Limits;
use crate::net::arrange::Arrangement;
use crate::net::receive::ReceiveBatch;
use crate::net::receive::Received;
use crate::net::transmit::Datagram;
use crate::net::transmit::SendBatch;
use crate::shard::ConnectionId;
use crate::shard::Flow;
use crate::shard::Outbox;
use crate::shard::Transmit;
use crate::sip::Transport;
use crate::telemetry::CoreCounters;

/// How long one wait for room in the send buffer may take before it is looked at again.
const WRITABLE_WAIT_MILLISECONDS: libc::c_int = 100;

/// One socket.
#[derive(Debug)]
pub struct UdpPort {
    socket: glommio::net::UdpSocket,
    listener: u16,
    bound: SocketAddr,
    received: RefCell<ReceiveBatch>,
    stalled: RefCell<Stalled>,
    arrangement: RefCell<Arrangement>,
    segment_octets_max: usize,
    /// Datagrams lost in the kernel that are counted already.
    lost: Cell<u32>,
}

/// Datagrams that wait for room in the send buffer, oldest first.
#[derive(Debug, Default)]
struct Stalled {
    datagrams: VecDeque<(SocketAddr, Option<IpAddr>, Box<[u8]>)>,
    octets: usize,
    octets_max: usize,
}

impl UdpPort {
    /// Takes over a bound socket. Must run inside the executor that will wait on it.
    #[must_use]
    #[allow(
        unsafe_code,
        reason = "the executor takes over a descriptor only in its raw form"
    )]
    pub fn new(
        socket: std::net::UdpSocket,
        listener: u16,
        bound: SocketAddr,
        limits: &Limits,
    ) -> Self {
        let descriptor = socket.into_raw_fd();
        // SAFETY: the descriptor is open and, by into_raw_fd, now owned by nobody else.
        let socket = unsafe { glommio::net::UdpSocket::from_raw_fd(descriptor) };
        let stalled = RefCell::new(Stalled {
            octets_max: limits.stalled_octets_max,
            ..Stalled::default()
        });
        Self {
            socket,
            listener,
            bound,
            received: RefCell::default(),
            stalled,
            arrangement: RefCell::default(),
            segment_octets_max: limits.segment_octets_max,
            lost: Cell::new(0),
        }
    }

    /// What has been received and not taken yet; if nothing, what is there, without waiting.
    pub fn receive(&self) -> io::Result<RefMut<'_, ReceiveBatch>> {
        let mut batch = self.received.borrow_mut();
        batch.receive(self.descriptor())?;
        Ok(batch)
    }

    /// Waits until there is something to receive.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.peek_from(&mut [0; 1]).await?;
        Ok(())
    }

    /// Of the datagrams the kernel lost, `total` since the socket's birth, those that were not
    /// known of before.
    pub fn newly_lost(&self, total: u32) -> u64 {
        // The kernel's count wraps.
        u64::from(total.wrapping_sub(self.lost.replace(total)))
    }

    /// How a datagram's sender is reached.
    #[must_use]
    pub fn flow(&self, received: &Received<'_>) -> Flow {
        let local = received
            .local
            .map_or(self.bound, |ip| SocketAddr::new(ip, self.bound.port()));
        let connection = ConnectionId::default();
        Flow {
            transport: Transport::Udp,
            listener: self.listener,
            connection,
            local,
            peer: received.peer,
        }
    }

    /// Sends messages of the outbox that are all for this socket, those to one host in order and
    /// together. True when the send buffer is full
    /// and, now, somebody has to call [`UdpPort::drain`]; the messages behind keep their place in
    /// the queue.
    pub fn send(
        &self,
        batch: &mut SendBatch,
        outbox: &Outbox,
        transmits: &[Transmit],
        counters: &CoreCounters,
    ) -> bool {
        let mut stalled = self.stalled.borrow_mut();
        let mut arrangement = self.arrangement.borrow_mut();
        let was_stalled = !stalled.datagrams.is_empty();
        let order = arrangement.by_host(transmits.iter().map(|transmit| transmit.flow.peer.ip()));
        let datagram = |index: usize| {
            let transmit: &Transmit = &transmits[order[index] as usize];
            Datagram {
                peer: transmit.flow.peer,
                source: self.source(&transmit.flow),
                pieces: outbox.pieces(transmit),
            }
        };
        let settled = if was_stalled {
            0
        } else {
            self.send_now(batch, transmits.len(), datagram, counters)
        };
        for index in settled..transmits.len() {
            stalled.push(&datagram(index), counters);
        }
        !was_stalled && !stalled.datagrams.is_empty()
    }

    /// Sends what waits, whenever there is room again, until nothing waits.
    pub async fn drain(&self, counters: &CoreCounters) {
        let mut batch = SendBatch::new(self.segment_octets_max);
        while !self.stalled.borrow().datagrams.is_empty() {
            // The kernel tells only a thread of its own: the executor has no way to wait for room
            // in a socket that is not connected.
            if let Ok(socket) = self.descriptor().try_clone_to_owned() {
                glommio::executor()
                    .spawn_blocking(move || wait_for_room(&socket))
                    .await;
            } else {
                glommio::timer::sleep(std::time::Duration::from_millis(5)).await;
            }
            let mut stalled = self.stalled.borrow_mut();
            let Stalled {
                datagrams, octets, ..
            } = &mut *stalled;
            let settled = self.send_now(
                &mut batch,
                datagrams.len(),
                |index| waiting(&datagrams[index]),
                counters,
            );
            *octets -= datagrams
                .drain(..settled)
                .map(|(_, _, bytes)| bytes.len())
                .sum::<usize>();
        }
    }

    fn send_now<'a>(
        &self,
        batch: &mut SendBatch,
        count: usize,
        datagram: impl Fn(usize) -> Datagram<'a>,
        counters: &CoreCounters,
    ) -> usize {
        let sent = batch.send(self.descriptor(), count, datagram);
        counters
            .datagrams_sent
            .add((sent.settled - sent.refused) as u64);
        counters.datagram_octets_sent.add(sent.octets as u64);
        counters.send_errors.add(sent.refused as u64);
        counters.datagrams_segmented.add(sent.segmented as u64);
        counters
            .segmentation_refused
            .add(sent.segmentation_refused as u64);
        sent.settled
    }

    /// A wildcard socket must be told where to answer from: the address the peer spoke to.
    fn source(&self, flow: &Flow) -> Option<IpAddr> {
        self.bound.ip().is_unspecified().then_some(flow.local.ip())
    }

    #[allow(
        unsafe_code,
        reason = "the executor shows its descriptor only in its raw form"
    )]
    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket owns the descriptor and lives as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
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
        self.datagrams
            .push_back((datagram.peer, datagram.source, bytes));
    }
}

fn waiting((peer, source, bytes): &(SocketAddr, Option<IpAddr>, Box<[u8]>)) -> Datagram<'_> {
    Datagram {
        peer: *peer,
        source: *source,
        pieces: [bytes, &[]],
    }
}

/// Blocks until the socket has room for a datagram, or a while has passed.
#[allow(unsafe_code, reason = "poll has no safe wrapper here")]
fn wait_for_room(socket: &OwnedFd) {
    let mut wanted = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one pollfd that lives through the call; the descriptor is open as long as `socket` is
    // borrowed. Whatever it returns, the caller tries to send and waits again if that was too
    // early.
    unsafe { libc::poll(&raw mut wanted, 1, WRITABLE_WAIT_MILLISECONDS) };
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use glommio::LocalExecutorBuilder;
    use glommio::Placement;

    use super::*;
    use crate::net::bind;

    fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F) {
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 * 1024)
            .make()
            .unwrap();
        executor.run(test());
    }

    fn port(address: &str) -> (SocketAddr, UdpPort) {
        let (bound, sockets) = bind::udp(address.parse().unwrap(), 1).unwrap();
        let limits = Limits {
            stalled_octets_max: 1000,
            ..Limits::default()
        };
        (
            bound,
            UdpPort::new(sockets.into_iter().next().unwrap(), 3, bound, &limits),
        )
    }

    #[test]
    fn waits_for_datagrams_without_taking_any() {
        run(|| async {
            let (address, port) = port("127.0.0.1:0");
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

    #[test]
    fn a_wildcard_port_shows_and_uses_the_address_that_was_spoken_to() {
        run(|| async {
            let (bound, port) = port("0.0.0.0:0");
            let peer = "192.0.2.1:5060".parse().unwrap();
            let local = "10.0.0.1".parse().unwrap();
            let received = Received {
                peer,
                local: Some(local),
                lost: None,
                is_truncated: false,
                bytes: b"",
            };
            let flow = port.flow(&received);
            assert_eq!(flow.local, SocketAddr::new(local, bound.port()));
            assert_eq!(port.source(&flow), Some(local));
        });
    }

    #[test]
    fn what_waits_is_bounded_and_leaves_in_order() {
        run(|| async {
            let (_, port) = port("127.0.0.1:0");
            let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let peer = client.local_addr().unwrap();
            let counters = CoreCounters::default();
            for number in 0..6u8 {
                let pieces: [&[u8]; 2] = [&[number; 100], &[number; 100]];
                port.stalled.borrow_mut().push(
                    &Datagram {
                        peer,
                        source: None,
                        pieces,
                    },
                    &counters,
                );
            }
            assert_eq!(
                (
                    counters.datagrams_stalled.value(),
                    counters.datagrams_dropped.value()
                ),
                (5, 1)
            );
            port.drain(&counters).await;
            assert_eq!(port.stalled.borrow().octets, 0);
            for number in 0..5 {
                let mut buffer = [0; 300];
                assert_eq!(client.recv(&mut buffer).unwrap(), 200);
                assert_eq!(buffer[0], number);
            }
        });
    }
}
