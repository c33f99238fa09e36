//! Facts about a running node: where it listens, which tenants it serves, since when.

use std::net::SocketAddr;
use std::time::Instant;

use crate::directory::Directory;
use crate::net::source_address;
use crate::shard::Flow;
use crate::sip::Transport;
use crate::tls::SharedKeyring;

/// What does not change after the start.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Bound SIP listeners.
    pub sip: Vec<(Transport, SocketAddr)>,
    /// Their certificates, for those that have any.
    pub keyrings: Vec<SharedKeyring>,
    /// Bound HTTP listeners.
    pub http: Vec<(Scheme, SocketAddr)>,
    /// When the node was started.
    pub started: Instant,
}

/// Whether HTTP is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// It is not.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// `HTTP`, `HTTPS`
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }

    /// As URIs begin: `http`, `https`
    #[must_use]
    pub const fn of_uri(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Facts {
    /// `SIP on udp 0.0.0.0:5060, HTTP on 127.0.0.1:8080, HTTPS on 0.0.0.0:8443`
    #[must_use]
    pub fn listeners(&self) -> String {
        let sip = self.sip.iter();
        let sip = sip.map(|(transport, address)| format!("SIP on {} {address}", transport.name()));
        let http = self.http.iter();
        let http = http.map(|(scheme, address)| format!("{} on {address}", scheme.name()));
        sip.chain(http).collect::<Vec<_>>().join(", ")
    }

    /// The flow to another server: from the UDP listener bound to the source address the kernel
    /// would choose for it, or bound to the wildcard. None if there is no such listener.
    pub(crate) fn flow_to(&self, peer: SocketAddr) -> Option<Flow> {
        source_address::flow_to(&self.sip, Transport::Udp, peer)
    }

    /// Whether a UDP flow leads back to a listener of this server. The source address towards an address of
    /// this machine is that address.
    pub(crate) fn is_own(&self, flow: &Flow) -> bool {
        let peer = flow.peer;
        let is_peer = |(transport, bound): &(Transport, SocketAddr)| {
            let is_there = bound.ip() == peer.ip() || bound.ip().is_unspecified();
            let is_right = *transport == Transport::Udp && bound.is_ipv4() == peer.is_ipv4();
            is_right && is_there && bound.port() == peer.port()
        };
        flow.local.ip() == peer.ip() && self.sip.iter().any(is_peer)
    }
}

/// `1 domain, 3 accounts`
#[must_use]
pub fn tenants(directory: &Directory) -> String {
    let (domains, accounts) = directory.count();
    format!(
        "{}, {}",
        counted(domains as u64, "domain"),
        counted(accounts as u64, "account")
    )
}

/// `1 phone`, `2 phones`
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_listener_that_reaches_the_server() {
        let facts = |addresses: &[(Transport, &str)]| Facts {
            sip: addresses
                .iter()
                .map(|(transport, address)| (*transport, address.parse().unwrap()))
                .collect(),
            keyrings: Vec::new(),
            http: Vec::new(),
            started: Instant::now(),
        };
        let peer = "127.0.0.1:9".parse().unwrap();
        let known = facts(&[
            (Transport::Tcp, "0.0.0.0:5060"),
            (Transport::Udp, "[::]:5060"),
            (Transport::Udp, "0.0.0.0:5062"),
        ]);
        let flow = known.flow_to(peer).unwrap();
        assert_eq!((flow.listener, flow.local.port()), (2, 5062));
        assert!(flow.local.ip().is_loopback());
        let other = facts(&[(Transport::Udp, "192.0.2.1:5060")]);
        assert_eq!(other.flow_to(peer), None);
        assert!(!known.is_own(&flow));
        for (peer, is_own) in [
            ("127.0.0.1:5062", true),
            ("127.0.0.1:5060", false),
            ("192.0.2.1:5062", false),
        ] {
            let flow = Flow {
                local: SocketAddr::new("127.0.0.1".parse().unwrap(), 5062),
                peer: peer.parse().unwrap(),
                ..flow
            };
            assert_eq!(known.is_own(&flow), is_own, "{peer}");
        }
    }
}
