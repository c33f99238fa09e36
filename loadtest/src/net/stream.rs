//! One connection of TCP, TLS, WebSocket or secure WebSocket: SIP messages in and out.
//!
//! A connection is opened with its handshakes before it is used, one after the other, each within
//! [`HANDSHAKE_TIMEOUT`]. From then on nothing blocks.

use std::io;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use tungstenite::client::ClientRequestBuilder;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use crate::net::ports::Transport;
use crate::net::security::Security;
use crate::net::sockets::Poller;
use crate::wire::message;

/// Maximum octets of an incomplete message on a stream; more means that the stream is out of sync.
const STREAM_BUFFER_OCTETS_MAX: usize = 1 << 20;
/// Octets read from a stream at once.
const READ_OCTETS: usize = 64 * 1024;
/// The same of a WebSocket connection, which keeps a buffer of its own.
const FRAMES_READ_OCTETS: usize = 8 * 1024;
/// The longest wait for the server within a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection.
#[derive(Debug)]
pub(super) struct Stream {
    layer: Layer,
    /// The poller also watches for writability.
    watched: bool,
}

/// How messages are told apart.
#[derive(Debug)]
enum Layer {
    /// By Content-Length.
    Octets {
        channel: Channel,
        received: Vec<u8>,
        unsent: Vec<u8>,
    },
    /// By WebSocket frames (RFC 7118); what is unsent waits in there.
    Frames(Box<WebSocket<Channel>>),
}

/// Octets in and out.
#[derive(Debug)]
enum Channel {
    Plain(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects, and does the handshakes of the transport.
    pub(super) fn connect(
        server: SocketAddr,
        transport: Transport,
        security: Option<&Security>,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
        let channel = match transport.is_encrypted() {
            true => encrypt(socket, security, server)?,
            false => Channel::Plain(socket),
        };
        let layer = match transport.has_frames() {
            true => Layer::Frames(Box::new(upgrade(channel, server)?)),
            false => Layer::Octets {
                channel,
                received: Vec::new(),
                unsent: Vec::new(),
            },
        };
        let stream = Self {
            layer,
            watched: false,
        };
        stream.socket().set_nonblocking(true)?;
        Ok(stream)
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match &self.layer {
            Layer::Octets { channel, .. } => channel.socket(),
            Layer::Frames(frames) => frames.get_ref().socket(),
        }
    }

    /// Passes every complete message to `handle`. Returns false if the connection is over.
    pub(super) fn receive(&mut self, handle: &mut impl FnMut(&[u8])) -> bool {
        match &mut self.layer {
            Layer::Octets {
                channel, received, ..
            } => {
                let open = channel.read_into(received);
                cut(received, handle) && open
            }
            Layer::Frames(frames) => loop {
                match frames.read() {
                    Ok(Message::Text(text)) => handle_whole(text.as_bytes(), handle),
                    Ok(Message::Binary(octets)) => handle_whole(&octets, handle),
                    // Pings are answered by the next flush.
                    Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                    Ok(Message::Close(_)) => break false,
                    Err(error) => break is_blocked(&error),
                }
            },
        }
    }

    /// Adds a message to what [`Self::flush`] writes. Returns false if the connection is over.
    pub(super) fn push(&mut self, message: &[u8]) -> bool {
        match &mut self.layer {
            Layer::Octets { unsent, .. } => {
                unsent.extend_from_slice(message);
                true
            }
            Layer::Frames(frames) => {
                let frame = match str::from_utf8(message) {
                    Ok(text) => Message::text(text),
                    Err(_) => Message::binary(message.to_vec()),
                };
                frames.write(frame).as_ref().err().is_none_or(is_blocked)
            }
        }
    }

    /// Writes as much as the socket accepts. Returns false if the connection is over.
    pub(super) fn flush(&mut self, poller: &Poller, key: u32) -> bool {
        let flushed = match &mut self.layer {
            Layer::Octets {
                channel, unsent, ..
            } => channel.write_from(unsent),
            Layer::Frames(frames) => frames.flush().map_err(into_io),
        };
        let watch = match flushed {
            Ok(()) => false,
            Err(error) if is_transient(&error) => true,
            Err(_) => return false,
        };
        if watch != self.watched {
            self.watched = watch;
            return poller.modify(self.socket(), key, watch).is_ok();
        }
        true
    }
}

impl Channel {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Encrypted(session) => &session.sock,
        }
    }

    /// Reads what there is. Returns false if the connection is over.
    fn read_into(&mut self, received: &mut Vec<u8>) -> bool {
        loop {
            let length = received.len();
            received.resize(length + READ_OCTETS, 0);
            let read = self.read(&mut received[length..]);
            received.truncate(length + read.as_ref().map_or(0, |count| *count));
            match read {
                Ok(0) => return false,
                // The poller reports what is left in the socket, but not what is left in a session.
                Ok(_) if matches!(self, Self::Plain(_)) => return true,
                Ok(_) => {}
                Err(error) => return is_transient(&error),
            }
        }
    }

    /// Writes and removes octets until there are none, here or in the session.
    fn write_from(&mut self, unsent: &mut Vec<u8>) -> io::Result<()> {
        while !unsent.is_empty() {
            let count = self.write(unsent)?;
            unsent.drain(..count);
        }
        self.flush()
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Encrypted(session) => session.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(octets),
            Self::Encrypted(session) => session.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Encrypted(session) => session.flush(),
        }
    }
}

/// Does the handshake of TLS.
fn encrypt(
    mut socket: TcpStream,
    security: Option<&Security>,
    server: SocketAddr,
) -> io::Result<Channel> {
    let security = security.ok_or_else(|| io::Error::other("no authority to trust"))?;
    let mut session = security.session()?;
    while session.is_handshaking() {
        let done = session.complete_io(&mut socket);
        done.map_err(|error| failed("TLS", server, &error))?;
    }
    let session = StreamOwned::new(session, socket);
    Ok(Channel::Encrypted(Box::new(session)))
}

/// Does the handshake of WebSocket.
fn upgrade(channel: Channel, server: SocketAddr) -> io::Result<WebSocket<Channel>> {
    let scheme = match channel {
        Channel::Plain(_) => "ws",
        Channel::Encrypted(_) => "wss",
    };
    let uri = format!("{scheme}://{server}/").parse();
    let request =
        ClientRequestBuilder::new(uri.map_err(io::Error::other)?).with_sub_protocol("sip");
    let config = WebSocketConfig::default().read_buffer_size(FRAMES_READ_OCTETS);
    match tungstenite::client::client_with_config(request, channel, Some(config)) {
        Ok((frames, _)) => Ok(frames),
        Err(HandshakeError::Failure(error)) => Err(failed("WebSocket", server, &error)),
        Err(HandshakeError::Interrupted(_)) => Err(failed("WebSocket", server, &"no response")),
    }
}

fn failed(what: &str, server: SocketAddr, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{what} handshake with {server}: {error}"))
}

/// Passes the complete messages at the front to `handle`, and removes them. Returns false if the
/// stream is out of sync.
fn cut(received: &mut Vec<u8>, handle: &mut impl FnMut(&[u8])) -> bool {
    let mut rest = received.as_slice();
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
    let done = received.len() - rest.len();
    received.drain(..done);
    in_step
}

/// A WebSocket message is a SIP message, or a keepalive of line ends.
fn handle_whole(octets: &[u8], handle: &mut impl FnMut(&[u8])) {
    if !octets.trim_ascii().is_empty() {
        handle(octets);
    }
}

/// An error of WebSocket as one of the socket below.
pub(super) fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

fn is_blocked(error: &Error) -> bool {
    matches!(error, Error::Io(error) if is_transient(error))
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
