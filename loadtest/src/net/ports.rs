//! The network side of the phones: many UDP ports, or many TCP connections, behind one interface,
//! on one thread.

use std::io;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::sockets;
use crate::net::sockets::{Poller, Ready, ReceiveBatch, SendBatch};
use crate::wire::message;

/// Octets requested as the receive buffer of each UDP port: a burst for all phones behind it must
/// fit.
const RECEIVE_BUFFER_OCTETS: i32 = 4 << 20;
/// Maximum octets of an incomplete message on a stream; more means that the stream is out of sync.
const STREAM_BUFFER_OCTETS_MAX: usize = 1 << 20;
/// Octets read from a stream at once.
const READ_OCTETS: usize = 64 * 1024;
/// Batches received from one port before it is the other ports' turn.
const BATCHES_PER_TURN: usize = 4;

/// The transport between phones and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// One socket per port, connected to the server.
    Udp,
    /// One connection per port.
    Tcp,
}

/// Messages to send, in order, each with the number of its port.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// A message in an outbox: its port, where it starts and where it ends.
type Span = (u32, usize, usize);

impl Outbox {
    /// Adds a message that `write` appends.
    pub(crate) fn push(&mut self, port: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.spans.push((port, start, self.bytes.len()));
    }

    /// The messages, in order.
    #[cfg(test)]
    pub(crate) fn messages(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.spans
            .iter()
            .map(|&(port, start, end)| (port, &self.bytes[start..end]))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }
}

/// All ports of a run.
pub(crate) struct Ports {
    poller: Poller,
    links: Vec<Link>,
    addresses: Vec<String>,
    incoming: ReceiveBatch,
    outgoing: SendBatch,
    ready: Vec<Ready>,
    /// Ports that were not emptied in the last turn; the poller is edge-triggered and reports them
    /// only once.
    unread: Vec<Ready>,
    /// Send consecutive datagrams of equal length in one call (UDP GSO).
    segments: bool,
    /// Datagrams that the kernel did not accept; their transactions retransmit them.
    pub(crate) unsent: u64,
    /// Connections that the server closed, or whose framing was lost, since the last call.
    closed: Vec<u32>,
}

/// How ports are opened.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) server: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) count: u32,
    /// Local addresses, used in turn; if empty, the kernel chooses.
    pub(crate) sources: Vec<IpAddr>,
    /// UDP GSO and GRO.
    pub(crate) offload: bool,
}

#[derive(Debug)]
enum Link {
    Datagrams(UdpSocket),
    Stream(Stream),
    Closed,
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    /// The poller also watches for writability.
    watched: bool,
}

impl Ports {
    /// Opens ports towards a server.
    pub(crate) fn open(opening: &Opening) -> io::Result<Self> {
        let mut ports = Self {
            poller: Poller::new()?,
            links: Vec::new(),
            addresses: Vec::new(),
            incoming: ReceiveBatch::new(opening.offload),
            outgoing: SendBatch::new(),
            ready: Vec::new(),
            unread: Vec::new(),
            segments: opening.offload,
            unsent: 0,
            closed: Vec::new(),
        };
        for number in 0..opening.count as usize {
            match opening.transport {
                Transport::Udp => ports.add_datagrams(opening, number)?,
                Transport::Tcp => drop(ports.add_stream(opening.server)?),
            }
        }
        Ok(ports)
    }

    fn add_datagrams(&mut self, opening: &Opening, number: usize) -> io::Result<()> {
        let any: IpAddr = match opening.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let source = match opening.sources.len() {
            0 => any,
            count => opening.sources[number % count],
        };
        let socket = UdpSocket::bind((source, 0))?;
        socket.connect(opening.server)?;
        socket.set_nonblocking(true)?;
        sockets::set_receive_buffer(&socket, RECEIVE_BUFFER_OCTETS)?;
        if opening.offload {
            sockets::set_coalescing(&socket)?;
        }
        self.poller.add_edge(&socket, self.links.len() as u32)?;
        self.addresses.push(socket.local_addr()?.to_string());
        self.links.push(Link::Datagrams(socket));
        Ok(())
    }

    /// Opens one more connection, to any server. Returns its number.
    pub(crate) fn add_stream(&mut self, server: SocketAddr) -> io::Result<u32> {
        let key = self.links.len() as u32;
        let stream = self.connect(server, key)?;
        self.addresses.push(stream.socket.local_addr()?.to_string());
        self.links.push(Link::Stream(stream));
        Ok(key)
    }

    /// Reopens a connection that was closed.
    pub(crate) fn reopen(&mut self, key: u32, server: SocketAddr) -> io::Result<()> {
        let stream = self.connect(server, key)?;
        self.links[key as usize] = Link::Stream(stream);
        Ok(())
    }

    fn connect(&self, server: SocketAddr, key: u32) -> io::Result<Stream> {
        let socket = TcpStream::connect(server)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        self.poller.add(&socket, key)?;
        Ok(Stream {
            socket,
            received: Vec::new(),
            unsent: Vec::new(),
            watched: false,
        })
    }

    /// The next closed connection.
    pub(crate) fn next_closed(&mut self) -> Option<u32> {
        self.closed.pop()
    }

    /// `host:port` of our end.
    pub(crate) fn address(&self, port: u32) -> &str {
        &self.addresses[port as usize]
    }

    /// Waits until something can be received, for at most `timeout`.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let timeout = match self.unread.is_empty() {
            true => timeout,
            false => Duration::ZERO,
        };
        self.poller.wait(timeout, &mut self.ready)
    }

    /// Passes every message received at the ports found by the last wait to `handle`, which may
    /// fill the outbox. The outbox is sent as soon as it is worth a system call.
    pub(crate) fn receive(
        &mut self,
        outbox: &mut Outbox,
        mut handle: impl FnMut(u32, &[u8], &mut Outbox),
    ) -> io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.append(&mut self.unread);
        for event in &ready {
            match &mut self.links[event.key as usize] {
                Link::Datagrams(socket) => {
                    let mut batches = 0;
                    let emptied = loop {
                        let emptied = self.incoming.receive(socket)?;
                        for datagram in self.incoming.datagrams() {
                            handle(event.key, datagram, outbox);
                        }
                        batches += 1;
                        if emptied || batches == BATCHES_PER_TURN {
                            break emptied;
                        }
                    };
                    if !emptied && !self.unread.iter().any(|one| one.key == event.key) {
                        self.unread.push(*event);
                    }
                }
                Link::Stream(stream) => {
                    let mut take = |bytes: &[u8]| handle(event.key, bytes, outbox);
                    let open = !event.readable || stream.receive(&mut take);
                    if !(open && stream.flush(&self.poller, event.key)) {
                        self.close(event.key);
                    }
                }
                Link::Closed => {}
            }
            if outbox.spans.len() >= sockets::BATCH {
                self.flush(outbox)?;
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Sends everything in the outbox and empties it.
    pub(crate) fn flush(&mut self, outbox: &mut Outbox) -> io::Result<()> {
        let Outbox { bytes, spans } = outbox;
        for run in spans.chunk_by(|one, two| one.0 == two.0) {
            let key = run[0].0;
            match &mut self.links[key as usize] {
                Link::Datagrams(socket) => {
                    self.unsent += match self.segments {
                        true => send_grouped(&mut self.outgoing, socket, bytes, run)?,
                        false => send_all(&mut self.outgoing, socket, bytes, run)?,
                    };
                }
                Link::Stream(stream) => {
                    stream
                        .unsent
                        .extend_from_slice(&bytes[run[0].1..run[run.len() - 1].2]);
                    if !stream.flush(&self.poller, key) {
                        self.close(key);
                    }
                }
                Link::Closed => self.unsent += run.len() as u64,
            }
        }
        outbox.clear();
        Ok(())
    }

    fn close(&mut self, key: u32) {
        self.links[key as usize] = Link::Closed;
        self.closed.push(key);
    }
}

/// Sends one port's datagrams. Returns how many the kernel did not accept.
fn send_all(
    batch: &mut SendBatch,
    socket: &UdpSocket,
    bytes: &[u8],
    run: &[Span],
) -> io::Result<u64> {
    if let [(_, start, end)] = *run
        && socket.send(&bytes[start..end]).is_ok()
    {
        return Ok(0);
    }
    let mut unsent = 0;
    for chunk in run.chunks(sockets::BATCH) {
        let mut sent = 0;
        // Tried twice: instead of sending, the kernel may report an ICMP error of an earlier
        // datagram.
        for _ in 0..2 {
            if sent < chunk.len() {
                let left = chunk[sent..].iter();
                let left = left.map(|&(_, start, end)| (&bytes[start..end], None));
                sent += batch.send(socket, left)?;
            }
        }
        unsent += (chunk.len() - sent) as u64;
    }
    Ok(unsent)
}

/// Sends datagrams; consecutive ones of equal length in one call (UDP GSO).
fn send_grouped(
    batch: &mut SendBatch,
    socket: &UdpSocket,
    bytes: &[u8],
    run: &[Span],
) -> io::Result<u64> {
    let mut unsent = 0;
    for equal in run.chunk_by(|one, two| one.2 - one.1 == two.2 - two.1) {
        let length = equal[0].2 - equal[0].1;
        let most = sockets::segments_max(length);
        for group in equal.chunks(most) {
            let (start, end) = (group[0].1, group[group.len() - 1].2);
            let sent = group.len() > 1
                && sockets::send_segments(socket, None, &bytes[start..end], length as u16);
            if !sent {
                unsent += send_all(batch, socket, bytes, group)?;
            }
        }
    }
    Ok(unsent)
}

impl Stream {
    /// Passes every complete message to `handle`. Returns false if the connection is over.
    fn receive(&mut self, handle: &mut impl FnMut(&[u8])) -> bool {
        let length = self.received.len();
        self.received.resize(length + READ_OCTETS, 0);
        let read = self.socket.read(&mut self.received[length..]);
        let count = match &read {
            Ok(count) => *count,
            Err(_) => 0,
        };
        self.received.truncate(length + count);
        let open = match read {
            Ok(count) => count > 0,
            Err(error) => {
                matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                )
            }
        };
        let mut rest = self.received.as_slice();
        let in_step = loop {
            rest = rest.trim_ascii_start();
            match message::frame(rest) {
                Ok(Some(length)) => {
                    handle(&rest[..length]);
                    rest = &rest[length..];
                }
                Ok(None) => break rest.len() <= STREAM_BUFFER_OCTETS_MAX,
                Err(_) => break false,
            }
        };
        let done = self.received.len() - rest.len();
        self.received.drain(..done);
        open && in_step
    }

    /// Writes as much as the socket accepts. Returns false if the connection is over.
    fn flush(&mut self, poller: &Poller, key: u32) -> bool {
        if !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(_) => return false,
            }
        }
        let watch = !self.unsent.is_empty();
        if watch != self.watched {
            self.watched = watch;
            return poller.modify(&self.socket, key, watch).is_ok();
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const MESSAGE: &[u8] = b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc";

    fn receive_some(ports: &mut Ports) -> Vec<(u32, Vec<u8>)> {
        let mut received = Vec::new();
        ports.wait(Duration::from_secs(5)).unwrap();
        let mut take = |port, bytes: &[u8], _: &mut Outbox| received.push((port, bytes.to_vec()));
        ports.receive(&mut Outbox::default(), &mut take).unwrap();
        received
    }

    fn open(count: u32, server: SocketAddr, transport: Transport) -> Ports {
        let opening = Opening {
            server,
            transport,
            count,
            sources: vec![Ipv4Addr::LOCALHOST.into()],
            offload: true,
        };
        Ports::open(&opening).unwrap()
    }

    #[test]
    fn datagrams_leave_from_their_own_ports() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap();
        let mut ports = open(3, address, Transport::Udp);
        let mut outbox = Outbox::default();
        outbox.push(2, |out| out.extend_from_slice(b"two"));
        outbox.push(0, |out| out.extend_from_slice(b"zero"));
        ports.flush(&mut outbox).unwrap();
        assert_eq!(outbox.messages().count(), 0);
        let mut buffer = [0; 16];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"two");
        assert_eq!(from.to_string(), ports.address(2));
        server.send_to(MESSAGE, from).unwrap();
        assert_eq!(receive_some(&mut ports), [(2, MESSAGE.to_vec())]);
    }

    #[test]
    fn a_stream_is_cut_into_messages_and_its_end_is_noticed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut ports = open(1, address, Transport::Tcp);
        let (mut peer, _) = listener.accept().unwrap();
        let mut outbox = Outbox::default();
        outbox.push(0, |out| out.resize(100_000, b'x'));
        ports.flush(&mut outbox).unwrap();
        let mut all = vec![0; 100_000];
        peer.read_exact(&mut all).unwrap();
        peer.write_all(&[b"\r\n\r\n", MESSAGE, MESSAGE, &MESSAGE[..9]].concat())
            .unwrap();
        let expected = vec![(0, MESSAGE.to_vec()); 2];
        assert_eq!(receive_some(&mut ports), expected);
        peer.write_all(&MESSAGE[9..]).unwrap();
        assert_eq!(receive_some(&mut ports), expected[..1]);
        drop(peer);
        assert_eq!(receive_some(&mut ports), []);
        assert_eq!(ports.next_closed(), Some(0));
        ports.reopen(0, address).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(MESSAGE).unwrap();
        assert_eq!(receive_some(&mut ports), expected[..1]);
        assert_eq!(ports.next_closed(), None);
    }

    #[test]
    fn a_stream_out_of_step_is_closed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut ports = open(1, address, Transport::Tcp);
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"SIP/2.0 200 OK\r\n\r\nno length").unwrap();
        assert_eq!(receive_some(&mut ports), []);
        assert_eq!(ports.next_closed(), Some(0));
    }
}
