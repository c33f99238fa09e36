//! The transport of an endpoint: UDP, or one stream at a time.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Timeout of a read.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_millis(10);

pub(crate) struct Link {
    server: SocketAddr,
    kind: Kind,
    /// By UDP, one of so many messages to the server is lost; none if 0.
    pub(crate) loss: usize,
    sent: usize,
}

enum Kind {
    Udp(UdpSocket),
    Stream(Streams),
}

/// One connection after another.
struct Streams {
    transport: &'static str,
    connect: Box<dyn Fn() -> Option<Connection> + Send>,
    open: Option<Connection>,
    /// The octets of a message that is not yet complete.
    unread: Vec<u8>,
}

/// An open stream, whose reads time out after [`READ_TIMEOUT`].
pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) local: SocketAddr,
}

pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Link {
    pub(crate) fn udp(server: SocketAddr) -> Self {
        Self::new(server, Kind::Udp(bind()))
    }

    pub(crate) fn tcp(server: SocketAddr) -> Self {
        let connect = move || {
            let stream = tcp(server)?;
            let local = stream.local_addr().ok()?;
            let stream = Box::new(stream);
            Some(Connection { stream, local })
        };
        Self::stream(server, "TCP", connect)
    }

    /// A stream of any kind: its name in Via, and how it is opened, if it can be.
    pub(crate) fn stream(
        server: SocketAddr,
        transport: &'static str,
        connect: impl Fn() -> Option<Connection> + Send + 'static,
    ) -> Self {
        let streams = Streams {
            transport,
            connect: Box::new(connect),
            open: None,
            unread: Vec::new(),
        };
        Self::new(server, Kind::Stream(streams))
    }

    const fn new(server: SocketAddr, kind: Kind) -> Self {
        Self {
            server,
            kind,
            loss: 0,
            sent: 0,
        }
    }

    /// The transport in Via.
    pub(crate) const fn transport(&self) -> &'static str {
        match &self.kind {
            Kind::Udp(_) => "UDP",
            Kind::Stream(streams) => streams.transport,
        }
    }

    /// Our address; None if there is no connection, and none can be made.
    pub(crate) fn local(&mut self) -> Option<SocketAddr> {
        match &mut self.kind {
            Kind::Udp(socket) => socket.local_addr().ok(),
            Kind::Stream(streams) => {
                if streams.open.is_none() {
                    streams.open = (streams.connect)();
                }
                streams.open.as_ref().map(|open| open.local)
            }
        }
    }

    /// Leaves its address without a word: what the server sends there is lost.
    pub(crate) fn leave(&mut self) {
        match &mut self.kind {
            Kind::Udp(socket) => *socket = bind(),
            Kind::Stream(streams) => streams.close(),
        }
    }

    /// Whether it has an open connection.
    pub(crate) const fn is_connected(&self) -> bool {
        match &self.kind {
            Kind::Udp(_) => false,
            Kind::Stream(streams) => streams.open.is_some(),
        }
    }

    /// Sends a message. A request that is lost is retransmitted; the NOTIFY of a lost response too.
    pub(crate) fn send(&mut self, text: &str) {
        self.sent += 1;
        let is_lost = self.loss > 0 && self.sent.is_multiple_of(self.loss);
        match &mut self.kind {
            Kind::Udp(_) if is_lost => {}
            Kind::Udp(socket) => drop(socket.send_to(text.as_bytes(), self.server)),
            Kind::Stream(streams) => streams.send(text),
        }
    }

    /// The next message, if one comes within a moment.
    pub(crate) fn receive(&mut self) -> Option<String> {
        match &mut self.kind {
            Kind::Udp(socket) => receive_datagram(socket),
            Kind::Stream(streams) => loop {
                if let Some(message) = cut(&mut streams.unread) {
                    return Some(message);
                }
                if !streams.read_more() {
                    return None;
                }
            },
        }
    }
}

impl Streams {
    fn send(&mut self, text: &str) {
        if let Some(open) = &mut self.open {
            let written = open.stream.write_all(text.as_bytes());
            let _lost = written.and_then(|()| open.stream.flush());
        }
    }

    /// Reads from a stream; a stream that has ended is dropped.
    fn read_more(&mut self) -> bool {
        let Some(open) = &mut self.open else {
            std::thread::sleep(READ_TIMEOUT);
            return false;
        };
        let mut buffer = [0; 4096];
        match open.stream.read(&mut buffer) {
            Ok(length) if length > 0 => {
                self.unread.extend_from_slice(&buffer[..length]);
                true
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                false
            }
            _ => {
                self.close();
                false
            }
        }
    }

    fn close(&mut self) {
        self.open = None;
        self.unread.clear();
    }
}

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
    socket
}

/// A TCP connection whose reads time out.
pub(crate) fn tcp(server: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(READ_TIMEOUT)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

fn receive_datagram(socket: &UdpSocket) -> Option<String> {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => return Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            // The kernel reports a datagram that was sent while the server was down.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}

/// Takes a whole message out of what was read.
fn cut(octets: &mut Vec<u8>) -> Option<String> {
    let head = octets.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&octets[..head]);
    let mut lines = text.lines();
    let length = lines.find_map(|line| line.strip_prefix("Content-Length: "));
    let end = head + length.and_then(|length| length.trim().parse::<usize>().ok())?;
    if octets.len() < end {
        return None;
    }
    let message: Vec<u8> = octets.drain(..end).collect();
    Some(String::from_utf8_lossy(&message).into_owned())
}
