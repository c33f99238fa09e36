//! Clients that do a handshake and one keepalive, leave, and make room for the next.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lamplighter_bench::Error;
use lamplighter_bench::scenario::micros;
use lamplighter_bench::system::Poll;
use rustls::{ClientConnection, StreamOwned};

use crate::phones::Authority;

/// If nothing arrives for this long, the server has stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// The clients.
pub(crate) struct Flood {
    server: SocketAddr,
    poll: Poll,
    clients: Vec<Option<Client>>,
}

struct Client {
    session: StreamOwned<ClientConnection, TcpStream>,
    start: Instant,
    is_asked: bool,
}

impl Flood {
    /// So many clients at a time.
    pub(crate) fn new(server: SocketAddr, at_once: usize) -> Result<Self, Error> {
        Ok(Self {
            server,
            poll: Poll::new(64)?,
            clients: (0..at_once).map(|_| None).collect(),
        })
    }

    /// So many handshakes in all; the microseconds from the connection to the answered keepalive of each.
    /// A client whose connection the server closes, because its handshake takes too long, tries again.
    pub(crate) fn run(mut self, count: u32, authority: &Authority) -> Result<Vec<f64>, Error> {
        let (mut begun, mut times, mut closed) = (0, Vec::new(), 0);
        for place in 0..self.clients.len() {
            self.begin(place, authority)?;
            begun += 1;
        }
        let mut ready = Vec::new();
        let mut last = Instant::now();
        while times.len() < count as usize {
            ready.clear();
            self.poll.wait(Duration::from_millis(100), &mut ready);
            for place in ready.iter().map(|place| *place as usize) {
                let Some(client) = &mut self.clients[place] else {
                    continue;
                };
                match client.go_on() {
                    Ok(false) => continue,
                    Ok(true) => times.push(micros(client.start.elapsed())),
                    Err(error) if closed == count => return Err(error),
                    Err(_) => {
                        closed += 1;
                        self.begin(place, authority)?;
                        continue;
                    }
                }
                self.clients[place] = None;
                if begun < count {
                    self.begin(place, authority)?;
                    begun += 1;
                }
            }
            if !ready.is_empty() {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                return Err(format!("only {} handshakes were done", times.len()).into());
            }
        }
        if closed > 0 {
            println!("  {closed} connections were closed within their handshakes");
        }
        Ok(times)
    }

    fn begin(&mut self, place: usize, authority: &Authority) -> Result<(), Error> {
        let start = Instant::now();
        let socket = TcpStream::connect(self.server)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        self.poll.add(&socket, place as u64)?;
        let mut client = Client {
            session: StreamOwned::new(authority.session()?, socket),
            start,
            is_asked: false,
        };
        client.go_on()?;
        self.clients[place] = Some(client);
        Ok(())
    }
}

impl Client {
    /// Goes on as far as it can. Whether its keepalive is answered.
    fn go_on(&mut self) -> Result<bool, Error> {
        if self.session.conn.is_handshaking() {
            match self.session.conn.complete_io(&mut self.session.sock) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                done => drop(done?),
            }
        }
        if self.session.conn.is_handshaking() {
            return Ok(false);
        }
        if !self.is_asked {
            self.is_asked = true;
            self.session.write_all(b"\r\n\r\n")?;
        }
        match self.session.read(&mut [0; 2]) {
            Ok(0) => Err("the server has closed a connection".into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
