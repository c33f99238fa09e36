//! The network side of the phones: many UDP ports, or many connections, behind one interface, on one
//! thread.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::security::Security;
use crate::net::sockets;
use crate::net::sockets::{Poller, Ready, ReceiveBatch, SendBatch};
use crate::net::stream::Stream;

/// Octets requested as the receive buffer of each UDP port: a burst for all phones behind it must
/// fit.
const RECEIVE_BUFFER_OCTETS: i32 = 4 << 20;
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
    /// One encrypted connection per port.
    Tls,
    /// One WebSocket connection per port (RFC 7118).
    Ws,
    /// One encrypted WebSocket connection per port.
    Wss,
}

impl Transport {
    /// Whether the transport is reliable: requests are not retransmitted (RFC 3261 §17.1).
    pub(crate) fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// Whether it is over TLS.
    pub(crate) fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether it is WebSocket.
    pub(crate) fn has_frames(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
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
    opening: Opening,
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
    /// Needed for an encrypted transport.
    pub(crate) security: Option<Security>,
}

#[derive(Debug)]
enum Link {
    Datagrams(UdpSocket),
    Stream(Stream),
    Closed,
}

impl Ports {
    /// Opens ports towards a server.
    pub(crate) fn open(opening: Opening) -> io::Result<Self> {
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
            opening,
        };
        for number in 0..ports.opening.count as usize {
            match ports.opening.transport.is_reliable() {
                true => drop(ports.add_stream(ports.opening.server)?),
                false => ports.add_datagrams(number)?,
            }
        }
        Ok(ports)
    }

    fn add_datagrams(&mut self, number: usize) -> io::Result<()> {
        let opening = &self.opening;
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

    /// Opens one more connection, to any server; beyond those of the phones by TCP. Returns its number.
    pub(crate) fn add_stream(&mut self, server: SocketAddr) -> io::Result<u32> {
        let key = self.links.len() as u32;
        let stream = self.connect(server, key)?;
        let address = stream.socket().local_addr()?;
        self.addresses.push(address.to_string());
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
        let transport = match key < self.opening.count {
            true => self.opening.transport,
            false => Transport::Tcp,
        };
        let stream = Stream::connect(server, transport, self.opening.security.as_ref())?;
        self.poller.add(stream.socket(), key)?;
        Ok(stream)
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
                    let mut messages = run.iter().map(|&(_, start, end)| &bytes[start..end]);
                    let open = messages.all(|message| stream.push(message));
                    if !(open && stream.flush(&self.poller, key)) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::time::Instant;

    use super::*;
    use crate::net::front::Front;
    use crate::net::security::Trust;

    const MESSAGE: &[u8] = b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc";

    fn receive_some(ports: &mut Ports) -> Vec<(u32, Vec<u8>)> {
        let mut received = Vec::new();
        ports.wait(Duration::from_secs(5)).unwrap();
        let mut take = |port, bytes: &[u8], _: &mut Outbox| received.push((port, bytes.to_vec()));
        ports.receive(&mut Outbox::default(), &mut take).unwrap();
        received
    }

    /// Receives until there are `count` messages or one connection is closed.
    fn receive_until(ports: &mut Ports, count: usize) -> Vec<(u32, Vec<u8>)> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut received = Vec::new();
        while received.len() < count && ports.closed.is_empty() {
            assert!(Instant::now() < deadline, "{} of {count}", received.len());
            received.append(&mut receive_some(ports));
        }
        received
    }

    fn open(count: u32, server: SocketAddr, transport: Transport) -> Ports {
        let opening = Opening {
            server,
            transport,
            count,
            sources: vec![Ipv4Addr::LOCALHOST.into()],
            offload: true,
            security: None,
        };
        Ports::open(opening).unwrap()
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

    #[test]
    fn every_stream_carries_messages_and_its_end_is_noticed() {
        for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let front = Front::start(transport, listener.local_addr().unwrap());
            let security = Security::new(Trust::Authorities(&front.certificate), "abc.com");
            let mut ports = Ports::open(Opening {
                server: front.address,
                transport,
                count: 1,
                sources: Vec::new(),
                offload: false,
                security: Some(security.unwrap()),
            })
            .unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            let mut outbox = Outbox::default();
            // More than a socket takes at once.
            let octets = 3 << 20;
            outbox.push(0, |out| out.resize(octets, b'x'));
            ports.flush(&mut outbox).unwrap();
            let reader = std::thread::spawn(move || {
                peer.read_exact(&mut vec![0; octets]).unwrap();
                peer.write_all(&[MESSAGE, MESSAGE].concat()).unwrap();
            });
            let received = receive_until(&mut ports, 2);
            assert_eq!(received, vec![(0, MESSAGE.to_vec()); 2], "{transport:?}");
            reader.join().unwrap();
            // The peer is gone with its thread.
            assert_eq!(receive_until(&mut ports, 1), []);
            assert_eq!(ports.next_closed(), Some(0));
            ports.reopen(0, front.address).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(MESSAGE).unwrap();
            let received = receive_until(&mut ports, 1);
            assert_eq!(received, [(0, MESSAGE.to_vec())], "{transport:?}");
        }
    }

    #[test]
    fn only_a_trusted_certificate_with_the_right_name_is_accepted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let front = Front::start(Transport::Tls, listener.local_addr().unwrap());
        let stranger = Front::start(Transport::Tls, listener.local_addr().unwrap());
        let open = |trust, name: &str| {
            let opening = Opening {
                server: front.address,
                transport: Transport::Tls,
                count: 1,
                sources: Vec::new(),
                offload: false,
                security: Some(Security::new(trust, name).unwrap()),
            };
            Ports::open(opening).map(drop).map_err(|e| e.to_string())
        };
        let own = Trust::Authorities(&front.certificate);
        assert_eq!(open(own, "abc.com"), Ok(()));
        assert_eq!(open(Trust::Anyone, "192.0.2.1"), Ok(()));
        let other = Trust::Authorities(&stranger.certificate);
        for (trust, name) in [(own, "sip.abc.com"), (other, "abc.com")] {
            let fault = open(trust, name).unwrap_err();
            let expected = format!(
                "TLS handshake with {}: invalid peer certificate",
                front.address
            );
            assert!(fault.starts_with(&expected), "{fault}");
        }
    }

    #[test]
    fn settings_of_tls_that_cannot_work_are_named() {
        let fault = |trust, name| Security::new(trust, name).map(drop).unwrap_err();
        let missing = Path::new("/nonexistent.pem");
        assert!(fault(Trust::Authorities(missing), "a.b").starts_with("/nonexistent.pem: "));
        let empty = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        assert!(fault(Trust::Authorities(empty), "a.b").ends_with("Cargo.toml: no certificate"));
        assert!(fault(Trust::Anyone, "a b").starts_with("a b: not a host name"));
    }
}
