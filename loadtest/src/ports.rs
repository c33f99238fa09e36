//! The phones' side of the network: many UDP ports, or many TCP connections, behind one interface,
//! on one thread.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::time::Duration;

use clap::ValueEnum;

use crate::message;
use crate::sockets;
use crate::sockets::Poller;
use crate::sockets::Ready;
use crate::sockets::ReceiveBatch;

/// Octets asked for as the receive buffer of each UDP port: a burst for all phones behind it must
/// fit.
const RECEIVE_BUFFER_OCTETS: i32 = 4 << 20;
/// Octets of a stream's unfinished message; more means that we are out of step.
const STREAM_BUFFER_OCTETS_MAX: usize = 1 << 20;
/// Octets taken from a stream by one read.
const READ_OCTETS: usize = 64 * 1024;

/// How the phones reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
    spans: Vec<(u32, usize, usize)>,
}

impl Outbox {
    /// Adds a message that `write` appends.
    pub(crate) fn push(&mut self, port: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.spans.push((port, start, self.bytes.len()));
    }

    /// What is in it, in order.
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
#[derive(Debug)]
pub(crate) struct Ports {
    poller: Poller,
    links: Vec<Link>,
    addresses: Vec<String>,
    batch: ReceiveBatch,
    ready: Vec<Ready>,
    /// Datagrams the kernel did not take; the transaction that owns them sends them again.
    pub(crate) unsent: u64,
    /// Connections that the server closed, or that got out of step.
    pub(crate) closed: u64,
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
    /// The poller watches for room to write.
    watched: bool,
}

impl Ports {
    /// Opens `count` ports towards `server`.
    pub(crate) fn open(count: u32, server: SocketAddr, transport: Transport) -> io::Result<Self> {
        let mut ports = Self {
            poller: Poller::new()?,
            links: Vec::new(),
            addresses: Vec::new(),
            batch: ReceiveBatch::new(),
            ready: Vec::new(),
            unsent: 0,
            closed: 0,
        };
        for _ in 0..count {
            match transport {
                Transport::Udp => ports.add_datagrams(server)?,
                Transport::Tcp => drop(ports.add_stream(server)?),
            }
        }
        Ok(ports)
    }

    fn add_datagrams(&mut self, server: SocketAddr) -> io::Result<()> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        sockets::set_receive_buffer(&socket, RECEIVE_BUFFER_OCTETS)?;
        self.poller.add(&socket, self.links.len() as u32)?;
        self.addresses.push(socket.local_addr()?.to_string());
        self.links.push(Link::Datagrams(socket));
        Ok(())
    }

    /// Opens one more connection, to any server; returns its number.
    pub(crate) fn add_stream(&mut self, server: SocketAddr) -> io::Result<u32> {
        let socket = TcpStream::connect(server)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let key = self.links.len() as u32;
        self.poller.add(&socket, key)?;
        self.addresses.push(socket.local_addr()?.to_string());
        let stream = Stream {
            socket,
            received: Vec::new(),
            unsent: Vec::new(),
            watched: false,
        };
        self.links.push(Link::Stream(stream));
        Ok(key)
    }

    /// `host:port` of our end.
    pub(crate) fn address(&self, port: u32) -> &str {
        &self.addresses[port as usize]
    }

    /// Waits until something can be received, at most `timeout`.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.poller.wait(timeout, &mut self.ready)
    }

    /// Gives every message that waits at the ports found by the last wait, one batch per port.
    pub(crate) fn receive(&mut self, mut handle: impl FnMut(u32, &[u8])) -> io::Result<()> {
        let ready = std::mem::take(&mut self.ready);
        for event in &ready {
            match &mut self.links[event.key as usize] {
                Link::Datagrams(socket) => {
                    self.batch.receive(socket)?;
                    self.batch
                        .datagrams()
                        .for_each(|datagram| handle(event.key, datagram));
                }
                Link::Stream(stream) => {
                    let open = !event.readable || stream.receive(|bytes| handle(event.key, bytes));
                    if !(open && stream.flush(&self.poller, event.key)) {
                        self.close(event.key);
                    }
                }
                Link::Closed => {}
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
                    self.unsent += send_all(socket, bytes, run)?;
                }
                Link::Stream(stream) => {
                    for &(_, start, end) in run {
                        stream.unsent.extend_from_slice(&bytes[start..end]);
                    }
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
        self.closed += 1;
    }
}

/// Sends one port's run of datagrams; returns how many were not taken.
fn send_all(socket: &UdpSocket, bytes: &[u8], run: &[(u32, usize, usize)]) -> io::Result<u64> {
    let mut unsent = 0;
    for chunk in run.chunks(sockets::BATCH) {
        let mut datagrams: [&[u8]; sockets::BATCH] = [b""; sockets::BATCH];
        for (datagram, &(_, start, end)) in datagrams.iter_mut().zip(chunk) {
            *datagram = &bytes[start..end];
        }
        let datagrams = &datagrams[..chunk.len()];
        let mut sent = sockets::send_batch(socket, datagrams)?;
        if sent < datagrams.len() {
            // Once more: an ICMP error of an earlier datagram is reported instead of sending.
            sent += sockets::send_batch(socket, &datagrams[sent..])?;
        }
        unsent += (datagrams.len() - sent) as u64;
    }
    Ok(unsent)
}

impl Stream {
    /// Gives every whole message; false when the connection is over.
    fn receive(&mut self, mut handle: impl FnMut(&[u8])) -> bool {
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

    /// Writes as much as goes; false when the connection is over.
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
        ports
            .receive(|port, bytes| received.push((port, bytes.to_vec())))
            .unwrap();
        received
    }

    #[test]
    fn datagrams_leave_from_their_own_ports() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap();
        let mut ports = Ports::open(3, address, Transport::Udp).unwrap();
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
        let mut ports = Ports::open(1, address, Transport::Tcp).unwrap();
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
        assert_eq!(ports.closed, 1);
    }

    #[test]
    fn a_stream_out_of_step_is_closed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut ports = Ports::open(1, address, Transport::Tcp).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"SIP/2.0 200 OK\r\n\r\nno length").unwrap();
        assert_eq!(receive_some(&mut ports), []);
        assert_eq!(ports.closed, 1);
    }
}
