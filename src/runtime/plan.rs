//! What a node is to be: the configuration as this room needs it.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::net::interfaces;
use crate::runtime::error::BootError;
use crate::shard;
use crate::shard::Directory;
use crate::sip::Transport;

/// One address to listen on for SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerPlan {
    /// UDP or TCP.
    pub transport: Transport,
    /// The address to bind; a wildcard listens on every address of its family, port 0 takes a free port.
    pub address: SocketAddr,
    /// `host`, `host:port` or nothing: what peers are told to reach us at, where that is another address than they spoke to (behind an
    /// address translation). A name is looked up once, at start.
    pub advertise: Option<String>,
}

/// A whole node.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// The CPU of each shard; as many shards as CPUs.
    pub shards: Vec<usize>,
    /// The CPU of the HTTP core; None: the last shard's.
    pub http_cpu: Option<usize>,
    /// Where to listen for SIP; the index is a flow's `listener`.
    pub listeners: Vec<ListenerPlan>,
    /// Where to listen for HTTP.
    pub http_listen: Vec<SocketAddr>,
    /// The Unix socket of the operator's commands.
    pub control_socket: Option<PathBuf>,
    /// The options of every shard. `id` and `shards` are filled in, `local_addresses` is added to, a `key` of zeroes is replaced by one
    /// nobody knows.
    pub options: shard::Options,
    /// Domains and accounts.
    pub directory: Arc<Directory>,
}

impl ListenerPlan {
    /// The advertised address, looked up; its port is the bound one unless it names another.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> Result<Option<SocketAddr>, BootError> {
        let Some(text) = self.advertise.as_deref() else { return Ok(None) };
        let unknown = |reason: String| BootError::Advertise { text: text.to_owned(), reason };
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Some(SocketAddr::new(ip, bound.port())));
        }
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let found = if has_port { text.to_socket_addrs() } else { (text, bound.port()).to_socket_addrs() };
        let mut found = found.map_err(|error| unknown(error.to_string()))?;
        match found.find(|address| address.is_ipv4() == bound.is_ipv4()) {
            Some(address) => Ok(Some(address)),
            None => Err(unknown("it has no address of the listener's family".to_owned())),
        }
    }
}

/// Every address a peer could reach a listener at: what is bound, on every interface when that is a wildcard, and what is advertised.
pub(crate) fn local_addresses(bound: SocketAddr, advertised: Option<SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = advertised.into_iter().collect();
    if bound.ip().is_unspecified() {
        // Without the list a Contact that names ourselves is recognised by the advertised address alone; no reason not to start.
        let ips = interfaces::addresses().unwrap_or_default();
        let ips = ips.into_iter().filter(|ip| ip.is_ipv4() == bound.is_ipv4());
        addresses.extend(ips.map(|ip| SocketAddr::new(ip, bound.port())));
    } else {
        addresses.push(bound);
    }
    addresses
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn advertised(text: &str, bound: &str) -> Result<Option<SocketAddr>, BootError> {
        let address = bound.parse().unwrap();
        let advertise = Some(text.to_owned());
        ListenerPlan { transport: Transport::Udp, address, advertise }.advertised(address)
    }

    #[test]
    fn an_advertised_address_has_a_port_of_its_own_or_the_listeners() {
        let expect = |text, bound, expected: &str| assert_eq!(advertised(text, bound).unwrap(), Some(expected.parse().unwrap()));
        expect("203.0.113.9", "10.0.0.1:5070", "203.0.113.9:5070");
        expect("203.0.113.9:5099", "10.0.0.1:5070", "203.0.113.9:5099");
        expect("2001:db8::1", "[::]:5060", "[2001:db8::1]:5060");
        expect("[2001:db8::1]", "[::]:5060", "[2001:db8::1]:5060");
        expect("[2001:db8::1]:5061", "[::]:5060", "[2001:db8::1]:5061");
        expect("localhost", "0.0.0.0:5060", "127.0.0.1:5060");
        expect("localhost:5080", "0.0.0.0:5060", "127.0.0.1:5080");
        assert!(advertised("two words", "0.0.0.0:5060").is_err());
    }

    #[test]
    fn a_wildcard_is_reached_at_every_interface() {
        let addresses = local_addresses("0.0.0.0:5060".parse().unwrap(), Some("203.0.113.9:5060".parse().unwrap()));
        assert!(addresses.contains(&"127.0.0.1:5060".parse().unwrap()));
        assert!(addresses.contains(&"203.0.113.9:5060".parse().unwrap()));
        assert!(addresses.iter().all(|address| address.is_ipv4() && !address.ip().is_unspecified()));
    }
}
