//! Phones with a connection each, by TCP or TLS, on one thread.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lamplighter_bench::sip::Subscribe;
use lamplighter_bench::system::Poll;
use lamplighter_bench::{Error, sip};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// If nothing arrives for this long, a message was lost and the measurement is void.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets read at once.
const CHUNK: usize = 16 * 1024;

/// The server's certificate, and what phones demand of it.
pub(crate) struct Authority {
    directory: PathBuf,
    config: Arc<ClientConfig>,
}

impl Authority {
    /// With a certificate for the benchmark's domain in a directory of its own.
    pub(crate) fn new() -> Result<Self, Error> {
        let issued = rcgen::generate_simple_self_signed([sip::DOMAIN.to_owned()])?;
        let name = format!("lamplighter-bench-tls-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("host.pem"), issued.cert.pem())?;
        let mut secret = fs::OpenOptions::new();
        let secret = secret.write(true).create(true).truncate(true).mode(0o600);
        let mut key = secret.open(directory.join("host.key"))?;
        key.write_all(issued.signing_key.serialize_pem().as_bytes())?;
        let mut roots = RootCertStore::empty();
        roots.add(issued.cert.der().clone())?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        Ok(Self { directory, config })
    }

    /// The lines of a listener.
    pub(crate) fn lines(&self) -> String {
        let file = |name| self.directory.join(name);
        let (certificate, key) = (file("host.pem"), file("host.key"));
        format!("certificate = {certificate:?}\nkey = {key:?}\n")
    }

    /// A session whose handshake has not begun.
    pub(crate) fn session(&self) -> Result<ClientConnection, Error> {
        let name = ServerName::try_from(sip::DOMAIN)?;
        Ok(ClientConnection::new(Arc::clone(&self.config), name)?)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// All phones of one transport.
pub(crate) struct Phones {
    phones: Vec<Phone>,
    poll: Poll,
    ready: Vec<u64>,
    text: Vec<u8>,
    /// NOTIFYs that have come, and were acknowledged.
    pub(crate) notifies: u64,
}

struct Phone {
    stream: Stream,
    local: SocketAddr,
    transport: &'static str,
    stock: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Phones {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            phones: Vec::new(),
            poll: Poll::new(1024)?,
            ready: Vec::new(),
            text: Vec::new(),
            notifies: 0,
        })
    }

    /// One more phone connects, by TLS if there is an authority.
    pub(crate) fn connect(
        &mut self,
        server: SocketAddr,
        authority: Option<&Authority>,
    ) -> Result<(), Error> {
        let mut socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let local = socket.local_addr()?;
        self.poll.add(&socket, self.phones.len() as u64)?;
        let (stream, transport) = match authority {
            None => (Stream::Plain(socket), "TCP"),
            Some(authority) => {
                let mut session = authority.session()?;
                while session.is_handshaking() {
                    session.complete_io(&mut socket)?;
                }
                let session = StreamOwned::new(session, socket);
                (Stream::Secure(Box::new(session)), "TLS")
            }
        };
        self.phones.push(Phone {
            stream,
            local,
            transport,
            stock: Vec::new(),
        });
        Ok(())
    }

    /// The phone that connected last sends an OPTIONS, and has its 200 when this returns: the server
    /// keeps a connection for long only after a message.
    pub(crate) fn ask_last(&mut self) -> Result<(), Error> {
        let number = self.phones.len();
        let phone = self.phones.last_mut().ok_or("no phone")?;
        let (local, transport) = (phone.local, phone.transport);
        let request = format!(
            "OPTIONS sip:{domain} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bKo{number};rport\r\n\
             From: <sip:w@{domain}>;tag=o{number}\r\nTo: <sip:{domain}>\r\nCall-ID: o{number}@phones.{domain}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            domain = sip::DOMAIN,
        );
        phone.stream.write_all(request.as_bytes())?;
        let mut response = Vec::new();
        while sip::message_octets(&response).is_none() {
            let mut chunk = [0; 1024];
            match phone.stream.read(&mut chunk)? {
                0 => return Err("the server has closed a connection".into()),
                count => response.extend_from_slice(&chunk[..count]),
            }
        }
        match sip::status(&response) {
            Some(200) => Ok(phone.stream.socket().set_nonblocking(true)?),
            _ => Err(format!("to OPTIONS: {}", response.escape_ascii()).into()),
        }
    }

    /// The phone that connected last subscribes to a presentity.
    pub(crate) fn subscribe(&mut self, watcher: u32, presentity: u32) -> Result<(), Error> {
        let phone = self.phones.last_mut().ok_or("no phone")?;
        let request = Subscribe {
            watcher,
            presentity,
            phone: watcher,
            local: phone.local,
            transport: phone.transport,
            to_tag: "",
            target: "",
            cseq: 1,
            expires: 3600,
        };
        self.text.clear();
        request.write(&mut self.text);
        phone.stream.write_all(&self.text)?;
        Ok(phone.stream.socket().set_nonblocking(true)?)
    }

    /// Acknowledges NOTIFYs until so many have come since the beginning.
    pub(crate) fn serve_until(&mut self, notifies: u64) -> Result<(), Error> {
        let mut last = Instant::now();
        while self.notifies < notifies {
            let mut ready = std::mem::take(&mut self.ready);
            ready.clear();
            self.poll.wait(Duration::from_millis(100), &mut ready);
            for key in &ready {
                let phone = &mut self.phones[*key as usize];
                self.notifies += phone.serve(&mut self.text)?;
            }
            if !ready.is_empty() {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                return Err(format!("only {} of {notifies} NOTIFYs came", self.notifies).into());
            }
            self.ready = ready;
        }
        Ok(())
    }
}

impl Phone {
    /// Reads what there is, and acknowledges the NOTIFYs in it; how many.
    fn serve(&mut self, text: &mut Vec<u8>) -> Result<u64, Error> {
        loop {
            let length = self.stock.len();
            self.stock.resize(length + CHUNK, 0);
            let read = self.stream.read(&mut self.stock[length..]);
            let count = read.as_ref().map_or(0, |count| *count);
            self.stock.truncate(length + count);
            match read {
                Ok(0) => return Err("the server has closed a connection".into()),
                // The poller knows nothing of what a session holds.
                Ok(count) if count < CHUNK && matches!(self.stream, Stream::Plain(_)) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        text.clear();
        let (mut start, mut notifies) = (0, 0);
        while let Some(octets) = sip::message_octets(&self.stock[start..]) {
            let message = &self.stock[start..start + octets];
            if message.starts_with(b"NOTIFY") {
                notifies += 1;
                sip::write_ok(text, message);
            } else if sip::status(message).is_some_and(|code| code >= 300) {
                return Err(format!("refused: {}", message.escape_ascii()).into());
            }
            start += octets;
        }
        self.stock.drain(..start);
        if !text.is_empty() {
            self.stream.write_all(text)?;
        }
        Ok(notifies)
    }
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(session) => &session.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(octets),
            Self::Secure(session) => session.read(octets),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(octets),
            Self::Secure(session) => session.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Secure(session) => session.flush(),
        }
    }
}
