//! One connector: connects to its PBX, again and again.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::background::{Backoff, Shards, encrypt};
use crate::connect::ami::Ami;
use crate::connect::board::Board;
use crate::connect::event_socket::{self, EventSocket};
use crate::connect::protocol::{Fault, Protocol};
use crate::connect::service::Wanted;
use crate::connect::session::Session;
use crate::connect::teller::Teller;
use crate::connect::users::{SelectedUsers, Users};
use crate::directory::connectors::{Connector, PbxKind, PbxUpstream};
use crate::sip::digest::client::Login;
use crate::sip::random::Random;

/// How long one address may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// The waits before a PBX is tried again.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
};
/// The ports of Asterisk's manager interface: without TLS, and with it.
const AMI_PORTS: [u16; 2] = [5038, 5039];
/// The port of FreeSWITCH's event socket.
const EVENT_SOCKET_PORT: u16 = 8021;

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Runs a connector.
pub(super) struct Worker {
    pub(super) wanted: Wanted,
    pub(super) pbx: PbxUpstream,
    pub(super) shards: Rc<dyn Shards>,
    pub(super) teller: Teller,
    pub(super) random: Random,
}

impl Worker {
    /// Never ends.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let (fault, has_worked) = self.connect().await;
            failures = if has_worked { 1 } else { failures + 1 };
            let delay = delay(&fault, failures, &mut self.random);
            let name = &*self.wanted.connector.name;
            if self.wanted.status.fails(&fault, delay) {
                tracing::warn!(connector = name, %fault, "the PBX cannot be used");
            } else {
                tracing::debug!(connector = name, %fault, "the PBX still cannot be used");
            }
            self.teller.suspect_all().await;
            sleep(delay).await;
        }
    }

    /// One connection: why it ended, and whether everything was read before.
    async fn connect(&self) -> (Fault, bool) {
        let connector = &self.wanted.connector;
        let (stream, peer) = match self.open().await {
            Ok(opened) => opened,
            Err(fault) => return (fault, false),
        };
        self.wanted.status.connected(peer);
        let selected = Rc::new(SelectedUsers::new(connector, Rc::clone(&self.shards)));
        let users = Rc::clone(&selected) as Rc<dyn Users>;
        let session = Session {
            name: &connector.name,
            board: RefCell::new(Board::new(
                self.teller.domain(),
                self.teller.epoch(),
                self.shards.unix_milliseconds().unsigned_abs(),
            )),
            teller: &self.teller,
            users: &selected,
            status: &self.wanted.status,
            changed: Notify::new(),
            is_read: Cell::new(false),
        };
        let fault = session.run(self.protocol(users), stream).await;
        (fault, session.is_read.get())
    }

    async fn open(&self) -> Result<(Box<dyn Stream>, SocketAddr), Fault> {
        let port = match self.pbx.kind {
            PbxKind::Asterisk => AMI_PORTS[usize::from(self.pbx.is_encrypted)],
            PbxKind::FreeSwitch => EVENT_SOCKET_PORT,
        };
        let address = self.wanted.connector.address.as_ref();
        let address = address.ok_or_else(|| Fault::Unreachable("no address".to_owned()))?;
        let host = &*address.host;
        let found = self.shards.locate(address, port).await;
        let mut why = "the name has no address".to_owned();
        for address in found.map_err(Fault::Unreachable)? {
            match self.open_at(address, host).await {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => why = format!("{address}: {error}"),
            }
        }
        Err(Fault::Unreachable(why))
    }

    async fn open_at(&self, address: SocketAddr, host: &str) -> io::Result<Box<dyn Stream>> {
        let late = |_| Err(io::Error::other("no response"));
        let opened = timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await;
        let stream = opened.unwrap_or_else(late)?;
        // Without it the PBX sees our requests later; it sees them.
        let _ = stream.set_nodelay(true);
        if !self.pbx.is_encrypted {
            return Ok(Box::new(stream));
        }
        let tls = self.wanted.tls.as_ref();
        let tls = tls.ok_or_else(|| io::Error::other("TLS is not set up"))?;
        Ok(Box::new(encrypt(stream, host, tls).await?))
    }

    fn protocol(&self, users: Rc<dyn Users>) -> Box<dyn Protocol> {
        let Connector { login, .. } = &self.wanted.connector;
        let login = login.clone().unwrap_or_else(|| Login {
            user: Box::default(),
            password: Box::default(),
        });
        match self.pbx.kind {
            PbxKind::Asterisk => Box::new(Ami::new(login, &self.pbx.contexts, users)),
            PbxKind::FreeSwitch => {
                let Login { user, password } = login;
                let user = Some(user).filter(|user| !user.is_empty());
                let login = event_socket::Login { user, password };
                let domain = self.pbx.remote_domain.as_deref();
                Box::new(EventSocket::new(login, domain, users))
            }
        }
    }
}

/// The wait after so many failures in a row. A refusal waits longest: only an operator can end it.
fn delay(fault: &Fault, failures: u32, random: &mut Random) -> Duration {
    let failures = match fault {
        Fault::Forbidden(_) => u32::MAX,
        _ => failures,
    };
    BACKOFF.delay(failures, random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_a_refusal_waits_long() {
        let mut random = Random::new([1; 32]);
        let refusal = Fault::Forbidden(String::new());
        for (fault, failures, seconds) in [
            (&Fault::Closed, 1, 1),
            (&Fault::Closed, 3, 4),
            (&Fault::Closed, 7, 60),
            (&Fault::Closed, u32::MAX, 60),
            (&refusal, 1, 60),
        ] {
            let delay = delay(fault, failures, &mut random);
            let longest = Duration::from_secs(seconds);
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?}");
        }
    }
}
