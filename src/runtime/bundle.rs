//! The open sockets that one process leaves to the next: what each is called, and in which order the
//! next one uses them. Of connections only those of TCP are among them: the others have state beside
//! the kernel's, and are closed.
//!
//! A name says what the socket's own addresses do not: its place among the sockets of a listener.
//! These share a port, and the kernel counts them in the order in which they were bound, so the shards
//! must take them in that order.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::str::FromStr;
use std::time::Duration;

use crate::net::listener;
use crate::sip::Transport;

/// The time that a connection is in use is rounded up to a multiple of this, so that many connections
/// have one name and go together.
const IN_USE_STEP: Duration = Duration::from_secs(600);

/// The name of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// `udp-0-1`: of a SIP listener, by its index in the configuration, and of a shard.
    Listener(Transport, u16, u16),
    /// `http-0`
    Http(u16),
    /// `connection-600`: a stream of SIP, in use for that many more seconds at most.
    Connection(u64),
}

impl Name {
    /// That of a connection, which is in use for that long.
    pub(crate) fn of_connection(in_use: Duration) -> Self {
        let step = IN_USE_STEP.as_secs();
        Self::Connection(in_use.as_secs().div_ceil(step) * step)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(transport, listener, shard) => {
                let transport = transport.via_token().to_ascii_lowercase();
                write!(formatter, "{transport}-{listener}-{shard}")
            }
            Self::Http(index) => write!(formatter, "http-{index}"),
            Self::Connection(seconds) => write!(formatter, "connection-{seconds}"),
        }
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().map_err(drop);
        let (kind, rest) = text.split_once('-').ok_or(())?;
        let transport = match kind {
            "http" => return number(rest).map(Self::Http),
            "connection" => return rest.parse().map(Self::Connection).map_err(drop),
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            "ws" => Transport::Ws,
            "wss" => Transport::Wss,
            _ => return Err(()),
        };
        let (listener, shard) = rest.split_once('-').ok_or(())?;
        Ok(Self::Listener(transport, number(listener)?, number(shard)?))
    }
}

/// Sockets with their names.
#[derive(Debug, Default)]
pub struct Bundle(Vec<(Name, OwnedFd)>);

impl Bundle {
    /// Adds a socket.
    pub(crate) fn add(&mut self, name: Name, socket: OwnedFd) {
        self.0.push((name, socket));
    }

    /// Adds the sockets of another bundle.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The sockets by name, those with one name together.
    pub(crate) fn by_name(&self) -> Vec<(Name, Vec<&OwnedFd>)> {
        let mut groups: Vec<(Name, Vec<&OwnedFd>)> = Vec::new();
        for (name, socket) in &self.0 {
            match groups.iter_mut().find(|(known, _)| known == name) {
                Some((_, sockets)) => sockets.push(socket),
                None => groups.push((*name, vec![socket])),
            }
        }
        groups
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of them are connections.
    pub(crate) fn connections(&self) -> usize {
        let is_connection = |(name, _): &&(Name, OwnedFd)| matches!(name, Name::Connection(_));
        self.0.iter().filter(is_connection).count()
    }

    /// Takes the sockets of a SIP listener out, in the order in which they were bound. Port 0 takes
    /// those of any port.
    pub(crate) fn take_listener(
        &mut self,
        transport: Transport,
        address: SocketAddr,
    ) -> Option<(SocketAddr, Vec<OwnedFd>)> {
        let port_of = |name: &Name| match name {
            Name::Listener(known, listener, shard) if *known == transport => {
                Some((*listener, *shard))
            }
            _ => None,
        };
        let is_it =
            |(name, socket): &(Name, OwnedFd)| Some((port_of(name)?.0, matching(socket, address)?));
        // With port 0 the listeners of one address differ only in their index.
        let (listener, bound) = self.0.iter().filter_map(is_it).min()?;
        let is_of_it = |entry: &(Name, OwnedFd)| is_it(entry) == Some((listener, bound));
        let mut sockets: Vec<_> = self.0.extract_if(.., |entry| is_of_it(entry)).collect();
        sockets.sort_by_key(|(name, _)| port_of(name));
        Some((
            bound,
            sockets.into_iter().map(|(_, socket)| socket).collect(),
        ))
    }

    /// Takes the socket of an HTTP listener out.
    pub(crate) fn take_http(&mut self, address: SocketAddr) -> Option<OwnedFd> {
        let is_it = |(name, socket): &(Name, OwnedFd)| {
            matches!(name, Name::Http(_)) && matching(socket, address).is_some()
        };
        let index = self.0.iter().position(is_it)?;
        Some(self.0.remove(index).1)
    }

    /// Takes the connections out, each with the time for which it is in use.
    pub(crate) fn take_connections(&mut self) -> Vec<(OwnedFd, Duration)> {
        let is_connection = |(name, _): &mut (Name, OwnedFd)| matches!(name, Name::Connection(_));
        let taken = self.0.extract_if(.., is_connection);
        let in_use = |(name, socket)| match name {
            Name::Connection(seconds) => (socket, Duration::from_secs(seconds)),
            Name::Listener(..) | Name::Http(_) => (socket, Duration::ZERO),
        };
        taken.map(in_use).collect()
    }
}

/// The address that a socket is bound to, if it is the wanted one, or port 0 of it is wanted.
fn matching(socket: &OwnedFd, wanted: SocketAddr) -> Option<SocketAddr> {
    let bound = listener::address_of(socket.as_fd())?;
    let is_wanted = bound.ip() == wanted.ip() && [0, bound.port()].contains(&wanted.port());
    is_wanted.then_some(bound)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let names = [
            (Name::Listener(Transport::Udp, 0, 12), "udp-0-12"),
            (Name::Listener(Transport::Tcp, 3, 0), "tcp-3-0"),
            (Name::Listener(Transport::Tls, 1, 1), "tls-1-1"),
            (Name::Listener(Transport::Ws, 0, 0), "ws-0-0"),
            (Name::Listener(Transport::Wss, 0, 0), "wss-0-0"),
            (Name::Http(1), "http-1"),
            (
                Name::of_connection(Duration::from_secs(601)),
                "connection-1200",
            ),
            (Name::of_connection(Duration::ZERO), "connection-0"),
        ];
        for (name, text) in names {
            assert_eq!((name.to_string().as_str(), text.parse()), (text, Ok(name)));
        }
        for text in [
            "",
            "udp",
            "udp-0",
            "udp-0-x",
            "sctp-0-0",
            "stored",
            "http-70000",
        ] {
            assert_eq!(text.parse::<Name>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_listener_gets_its_sockets_in_order() {
        let (address, sockets) = crate::net::bind::udp("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let http_address = http.local_addr().unwrap();
        let numbers: Vec<_> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        let mut bundle = Bundle::default();
        bundle.add(Name::Http(0), http.into());
        for (shard, socket) in (0..3).zip(sockets).rev() {
            let name = Name::Listener(Transport::Udp, 4, shard);
            bundle.add(name, socket.into());
        }
        let name = Name::Listener(Transport::Udp, 0, 0);
        bundle.add(name, other.into());
        assert!(bundle.take_listener(Transport::Tcp, address).is_none());
        let (bound, taken) = bundle.take_listener(Transport::Udp, address).unwrap();
        let taken: Vec<_> = taken.iter().map(AsRawFd::as_raw_fd).collect();
        assert_eq!((bound, taken), (address, numbers));
        assert!(bundle.take_http(address).is_none());
        assert!(bundle.take_http(http_address).is_some());
        let any = "127.0.0.1:0".parse().unwrap();
        let (_, left) = bundle.take_listener(Transport::Udp, any).unwrap();
        assert_eq!((left.len(), bundle.len()), (1, 0));
    }

    #[test]
    fn connections_in_use_for_as_long_go_together() {
        let mut bundle = Bundle::default();
        for seconds in [1, 700, 30, 0] {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let name = Name::of_connection(Duration::from_secs(seconds));
            bundle.add(name, socket.into());
        }
        let groups = bundle.by_name();
        let groups: Vec<_> = groups
            .iter()
            .map(|(name, all)| (*name, all.len()))
            .collect();
        let [short, long, none] = [600, 1200, 0].map(Name::Connection);
        assert_eq!(groups, [(short, 2), (long, 1), (none, 1)]);
        assert_eq!(bundle.connections(), 4);
        let times = bundle.take_connections();
        let times: Vec<_> = times.iter().map(|(_, in_use)| in_use.as_secs()).collect();
        assert_eq!((times, bundle.is_empty()), (vec![600, 1200, 600, 0], true));
    }
}
