//! The server's end of TLS and WebSocket for the tests, in front of a server that speaks TCP.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::{Error, Message, WebSocket};

use crate::net::ports::Transport;
use crate::net::stream::into_io;
use crate::wire::message;

/// Between two looks at the sockets.
const PAUSE: Duration = Duration::from_micros(200);

/// A front whose certificate is for `abc.com`.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    /// The file of the certificate, which is its own authority.
    pub(crate) certificate: PathBuf,
}

trait Octets: Read + Write + Send {}

impl<T: Read + Write + Send> Octets for T {}

impl Front {
    /// Its threads end with the process.
    pub(crate) fn start(transport: Transport, behind: SocketAddr) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let issued = rcgen::generate_simple_self_signed(["abc.com".to_owned()]).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lamplighter-load-{}-{count}.pem", std::process::id());
        let certificate = std::env::temp_dir().join(name);
        std::fs::write(&certificate, issued.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                // A client that does not accept the certificate ends the connection.
                thread::spawn(move || serve(socket, transport, config, behind));
            }
        });
        Self {
            address,
            certificate,
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.certificate);
    }
}

#[allow(
    clippy::result_large_err,
    reason = "what chooses the protocol may refuse with a response"
)]
fn serve(
    mut socket: TcpStream,
    transport: Transport,
    config: Arc<ServerConfig>,
    behind: SocketAddr,
) -> io::Result<()> {
    let control = socket.try_clone()?;
    let octets: Box<dyn Octets> = match transport.is_encrypted() {
        true => {
            let mut session = ServerConnection::new(config).unwrap();
            while session.is_handshaking() {
                session.complete_io(&mut socket)?;
            }
            Box::new(StreamOwned::new(session, socket))
        }
        false => Box::new(socket),
    };
    if !transport.has_frames() {
        control.set_nonblocking(true)?;
        relay_octets(octets, TcpStream::connect(behind)?)?;
        return end(&control);
    }
    let choose = |request: &Request, mut response: Response| {
        assert_eq!(request.headers()["sec-websocket-protocol"], "sip");
        let chosen = HeaderValue::from_static("sip");
        let headers = response.headers_mut();
        headers.insert("sec-websocket-protocol", chosen);
        Ok(response)
    };
    let frames = tungstenite::accept_hdr(octets, choose)
        .map_err(|error| io::Error::other(error.to_string()))?;
    control.set_nonblocking(true)?;
    relay_frames(frames, TcpStream::connect(behind)?)?;
    end(&control)
}

/// Ends a connection so that the client receives everything that was sent: a socket closed with
/// octets unread discards what its peer has not read yet.
fn end(mut control: &TcpStream) -> io::Result<()> {
    control.shutdown(Shutdown::Write)?;
    control.set_nonblocking(false)?;
    io::copy(&mut control, &mut io::sink()).map(drop)
}

/// What there is; none at the end.
fn read(from: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let mut octets = vec![0; 16 * 1024];
    match from.read(&mut octets) {
        Ok(0) => Ok(None),
        Ok(length) => Ok(Some(octets[..length].to_vec())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(Vec::new())),
        Err(error) => Err(error),
    }
}

/// Repeats what does not block until the socket has accepted everything.
fn until_accepted(mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            other => return other,
        }
    }
}

fn write(to: &mut dyn Write, octets: &[u8]) -> io::Result<()> {
    let mut left = octets;
    until_accepted(|| {
        while !left.is_empty() {
            match to.write(left)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => left = &left[count..],
            }
        }
        to.flush()
    })
}

/// Relays until the server's end is over.
fn relay_octets(mut outer: Box<dyn Octets>, mut inner: TcpStream) -> io::Result<()> {
    inner.set_nonblocking(true)?;
    while let (Some(there), Some(back)) = (read(&mut outer)?, read(&mut inner)?) {
        write(&mut inner, &there)?;
        write(&mut outer, &back)?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Relays until the server's end is over. Each second message is binary, and each comes with a ping
/// and a keepalive.
fn relay_frames(mut outer: WebSocket<Box<dyn Octets>>, mut inner: TcpStream) -> io::Result<()> {
    inner.set_nonblocking(true)?;
    let (mut received, mut count) = (Vec::new(), 0);
    while let Some(back) = read(&mut inner)? {
        received.extend_from_slice(&back);
        while let Ok(Some(length)) = message::frame(&received) {
            let octets: Vec<u8> = received.drain(..length).collect();
            count += 1;
            let frame = match count % 2 {
                0 => Message::binary(octets),
                _ => Message::text(String::from_utf8(octets).unwrap()),
            };
            for frame in [Message::Ping("x".into()), frame, Message::text("\r\n\r\n")] {
                // A frame that the socket does not accept at once is kept for the next flush.
                match outer.send(frame).map_err(into_io) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        until_accepted(|| outer.flush().map_err(into_io))?;
                    }
                    other => other?,
                }
            }
        }
        match outer.read() {
            Ok(Message::Text(text)) => write(&mut inner, text.as_bytes())?,
            Ok(Message::Pong(_)) => {}
            Ok(other) => panic!("{other:?} of a phone"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(into_io(error)),
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
