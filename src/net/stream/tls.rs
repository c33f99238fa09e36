//! SIP over TLS (RFC 3261 §26.2.1): a TCP connection, encrypted. We are the server where a listener
//! accepted it, and the client where we opened it. HTTPS uses the same ([`accepted`]).
//!
//! A session keeps no octets between messages. What the socket has no room for waits in the session,
//! `UNSENT_OCTETS_MAX` at most; what exceeds that waits unencrypted in the connection's queue.

use std::io;
use std::io::{IoSlice, Read, Write};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use glommio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};

use crate::net::Limits;
use crate::net::stream::content_length::ContentLengthFraming;
use crate::net::stream::tcp::{self, TcpAcceptor, TcpTransport};
use crate::net::stream::transport::{Framing, Handshake, StreamListener, StreamTransport};
use crate::shard::CertificateNames;
use crate::sip::Transport;
use crate::tls::{SharedKeyring, TlsClient, domains_of, uris_of};

/// Encrypted octets that wait in a session for room in the socket.
const UNSENT_OCTETS_MAX: usize = 256 * 1024;
/// Octets of a handshake that are read at once.
const HANDSHAKE_OCTETS: usize = 16 * 1024;

/// A listening socket of TLS.
#[derive(Debug)]
pub struct TlsAcceptor {
    tcp: TcpAcceptor,
    keyring: SharedKeyring,
}

impl TlsAcceptor {
    /// Takes over a listening socket. Each connection begins with the keyring in force then.
    ///
    /// # Errors
    /// The kernel refuses to make it non-blocking.
    pub fn new(socket: std::net::TcpListener, keyring: SharedKeyring) -> io::Result<Self> {
        let tcp = TcpAcceptor::new(socket)?;
        Ok(Self { tcp, keyring })
    }

    async fn accept(&self) -> io::Result<Option<Box<dyn StreamTransport>>> {
        let Some(tcp) = self.tcp.accept_stream().await? else {
            return Ok(None);
        };
        serve(tcp, &self.keyring).map(Some)
    }
}

/// A connection that was accepted, with the keyring in force now: its handshake is next. None if the peer
/// is gone.
///
/// # Errors
/// TLS refuses its settings.
pub fn accepted(
    stream: TcpStream,
    keyring: &SharedKeyring,
) -> io::Result<Option<Box<dyn StreamTransport>>> {
    TcpTransport::new(stream)
        .map(|tcp| serve(tcp, keyring))
        .transpose()
}

/// A session of ours as the server, with the keyring in force now.
fn serve(tcp: TcpTransport, keyring: &SharedKeyring) -> io::Result<Box<dyn StreamTransport>> {
    let session = ServerConnection::new(keyring.current().config());
    let session = session.map_err(io::Error::other)?;
    Ok(Box::new(TlsTransport::new(tcp, session.into())))
}

/// Opens a connection to a peer whose certificate must be for that host, or else for its address. The
/// handshake is left to the connection's reads. Must run inside the executor that will wait on it.
pub(crate) async fn connect(
    peer: SocketAddr,
    host: Option<&str>,
    patience: Duration,
    client: &TlsClient,
) -> io::Result<Box<dyn StreamTransport>> {
    let name = match host {
        Some(host) => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        None => ServerName::from(peer.ip()),
    };
    let tcp = tcp::connect(peer, patience).await?;
    let session = ClientConnection::new(client.config(), name).map_err(io::Error::other)?;
    Ok(Box::new(TlsTransport::new(tcp, session.into())))
}

impl StreamListener for TlsAcceptor {
    fn accept(&self) -> LocalBoxFuture<'_, io::Result<Option<Box<dyn StreamTransport>>>> {
        self.accept().boxed_local()
    }
}

/// A TLS connection.
#[derive(Debug)]
struct TlsTransport {
    tcp: TcpTransport,
    session: Connection,
}

impl TlsTransport {
    fn new(tcp: TcpTransport, mut session: Connection) -> Self {
        session.set_buffer_limit(Some(UNSENT_OCTETS_MAX));
        Self { tcp, session }
    }

    /// Sends what waits in the session, as far as there is room. `WouldBlock` if there is none at all.
    fn send(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut Direct(&mut self.tcp))?;
        }
        Ok(())
    }

    /// Sends all that waits in the session.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let tcp = &mut self.tcp;
            match self.session.write_tls(&mut Waiting { tcp, context }) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                result => result?,
            };
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on with what was read, and sends what the session has to say to it, as far as there is room.
    fn process(&mut self) -> io::Result<()> {
        let processed = self.session.process_new_packets();
        match self.send() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        processed.map(drop).map_err(invalid)
    }

    /// Decrypts into `plain`, which is longer than `octets` and what came of a record before them.
    fn decrypt(&mut self, mut octets: &[u8], plain: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !octets.is_empty() {
            if self.session.read_tls(&mut octets)? == 0 {
                // The peer has said that it ends.
                break;
            }
            self.process()?;
            let room = plain.get_mut(filled..).unwrap_or_default();
            match self.session.reader().read(room) {
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl StreamTransport for TlsTransport {
    fn transport(&self) -> Transport {
        Transport::Tls
    }

    fn local_address(&self) -> SocketAddr {
        self.tcp.local_address()
    }

    fn peer_address(&self) -> SocketAddr {
        self.tcp.peer_address()
    }

    fn framing(&self, limits: &Limits) -> Box<dyn Framing> {
        Box::new(ContentLengthFraming::new(limits))
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp.set_read_timeout(timeout)
    }

    fn poll_preface(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.tcp.poll_read(context, buffer)
    }

    fn has_handshake(&self) -> bool {
        true
    }

    fn poll_handshake(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Handshake>> {
        ready!(self.poll_send(context))?;
        if !self.session.is_handshaking() {
            return Poll::Ready(Ok(Handshake::Done));
        }
        let length = buffer.len().min(HANDSHAKE_OCTETS);
        let room = buffer.get_mut(..length).unwrap_or_default();
        let length = ready!(self.tcp.poll_read(context, room))?;
        let mut octets = room.get(..length).unwrap_or_default();
        if octets.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        while !octets.is_empty() {
            self.session.read_tls(&mut octets)?;
        }
        Poll::Ready(Ok(Handshake::Octets))
    }

    fn advance_handshake(&mut self) -> io::Result<()> {
        self.process()
    }

    fn application_protocol(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    fn certified_names(&self) -> CertificateNames {
        let certificates = self.session.peer_certificates();
        let own = certificates.and_then(|chain| chain.first());
        own.map_or_else(CertificateNames::default, |own| CertificateNames {
            uris: uris_of(own).into(),
            domains: domains_of(own).into(),
        })
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            // Plain octets are at most those of one record more than the encrypted ones.
            let (plain, encrypted) = buffer.split_at_mut(buffer.len() / 4 * 3);
            let length = ready!(self.tcp.poll_read(context, encrypted))?;
            if length == 0 {
                // Without a word of TLS, as many phones do.
                return Poll::Ready(Ok(0));
            }
            let octets = encrypted.get(..length).unwrap_or_default();
            match self.decrypt(octets, plain)? {
                0 => {}
                length => return Poll::Ready(Ok(length)),
            }
        }
    }

    fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send()?;
        let taken = self.session.writer().write_vectored(pieces)?;
        match self.send() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(context))?;
        let taken = self.session.writer().write(octets)?;
        match self.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn has_unsent(&self) -> bool {
        self.session.wants_write()
    }

    fn close(&mut self, is_between_messages: bool) {
        if !self.session.is_handshaking() {
            self.session.send_close_notify();
        }
        // An error only means that the peer closed first, or does not read.
        let _ = self.send();
        self.tcp.close(is_between_messages);
    }
}

/// Sends without waiting for room.
struct Direct<'a>(&'a mut TcpTransport);

impl Write for Direct<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends, and has the task woken when there is room again.
struct Waiting<'a, 'c, 'w> {
    tcp: &'a mut TcpTransport,
    context: &'c mut Context<'w>,
}

impl Write for Waiting<'_, '_, '_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self.tcp.poll_write(self.context, octets) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
