//! The transport of an endpoint: UDP, or one TCP connection at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Timeout of a read.
const READ_TIMEOUT: Duration = Duration::from_millis(10);

pub(crate) struct Link {
    server: SocketAddr,
    kind: Kind,
}

enum Kind {
    Udp(UdpSocket),
    /// The stream, and the octets of a message that is not yet complete.
    Tcp(Option<TcpStream>, Vec<u8>),
}

impl Link {
    pub(crate) fn udp(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        let kind = Kind::Udp(socket);
        Self { server, kind }
    }

    pub(crate) const fn tcp(server: SocketAddr) -> Self {
        let kind = Kind::Tcp(None, Vec::new());
        Self { server, kind }
    }

    /// The transport in Via.
    pub(crate) const fn transport(&self) -> &'static str {
        match self.kind {
            Kind::Udp(_) => "UDP",
            Kind::Tcp(..) => "TCP",
        }
    }

    /// Our address; None if there is no connection, and none can be made.
    pub(crate) fn local(&mut self) -> Option<SocketAddr> {
        match &mut self.kind {
            Kind::Udp(socket) => socket.local_addr().ok(),
            Kind::Tcp(stream, _) => {
                if stream.is_none() {
                    *stream = TcpStream::connect(self.server).ok();
                }
                let stream = stream.as_ref()?;
                stream.set_read_timeout(Some(READ_TIMEOUT)).ok()?;
                stream.local_addr().ok()
            }
        }
    }

    /// Sends a message. A request that is lost is retransmitted; the NOTIFY of a lost response too.
    pub(crate) fn send(&mut self, text: &str) {
        let _lost = match &mut self.kind {
            Kind::Udp(socket) => socket.send_to(text.as_bytes(), self.server).map(drop),
            Kind::Tcp(Some(stream), _) => stream.write_all(text.as_bytes()),
            Kind::Tcp(None, _) => Ok(()),
        };
    }

    /// The next message, if one comes within a moment.
    pub(crate) fn receive(&mut self) -> Option<String> {
        match &mut self.kind {
            Kind::Udp(socket) => receive_datagram(socket),
            Kind::Tcp(stream, octets) => loop {
                if let Some(message) = cut(octets) {
                    return Some(message);
                }
                if !read_more(stream, octets) {
                    return None;
                }
            },
        }
    }
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

/// Reads from a stream; a stream that has ended is dropped.
fn read_more(stream: &mut Option<TcpStream>, octets: &mut Vec<u8>) -> bool {
    let Some(open) = stream else {
        std::thread::sleep(READ_TIMEOUT);
        return false;
    };
    let mut buffer = [0; 4096];
    match open.read(&mut buffer) {
        Ok(length) if length > 0 => {
            octets.extend_from_slice(&buffer[..length]);
            true
        }
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => false,
        _ => {
            *stream = None;
            octets.clear();
            false
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
