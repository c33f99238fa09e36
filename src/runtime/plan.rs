//! The configuration of a node as this room needs it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::directory::Directory;
use crate::dns;
use crate::net::connection_limits::ConnectionLimits;
use crate::net::listener::Service;
use crate::net::{Limits, interfaces};
use crate::relay::RelayPlan;
use crate::shard;
use crate::tls::{SharedKeyring, TlsClient};

/// One address to listen on for SIP.
#[derive(Clone, Debug)]
pub struct ListenerPlan {
    /// What is served there.
    pub service: Service,
    /// The address to bind; a wildcard listens on every address of its family, port 0 takes a free
    /// port.
    pub address: SocketAddr,
    /// `host[:port]` advertised to peers, if it differs from the address that they reach (behind an
    /// address translator).
    pub advertise: Option<String>,
    /// The proxies that forward connections to it, with a header of the PROXY protocol; empty if phones
    /// connect to it.
    pub proxies: Vec<IpNet>,
}

/// One address to listen on for HTTP.
#[derive(Clone, Debug)]
pub struct HttpListenerPlan {
    /// The address to bind.
    pub address: SocketAddr,
    /// Its certificates; None for plain HTTP.
    pub keyring: Option<SharedKeyring>,
}

/// How peers are reached that we connect to.
#[derive(Clone, Debug)]
pub struct OutboundPlan {
    /// By TLS.
    pub tls: TlsClient,
    /// By name.
    pub dns: dns::Options,
}

/// What outlives the process, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePlan {
    /// The directory; one node at a time.
    pub directory: PathBuf,
    /// A file of the configuration that a backup has, too, if there is one.
    pub beside: PathBuf,
    /// While it cannot be written: whether acknowledgements wait. Otherwise the node goes on in memory.
    pub refuses_on_failure: bool,
    /// Octets that its file may take.
    pub octets_max: Option<u64>,
    /// How much history is kept; None for none.
    pub history: Option<HistoryPlan>,
}

/// The history of each domain without limits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPlan {
    /// Older changes are removed.
    pub age_max: Duration,
    /// Octets of the changes of one domain; None for no limit.
    pub octets_max: Option<u64>,
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
    /// Where to listen for HTTP, plain or encrypted.
    pub http_listeners: Vec<HttpListenerPlan>,
    /// The Unix socket of the operator's commands.
    pub control_socket: Option<PathBuf>,
    /// Where records go, if `options.durability` asks for any.
    pub store: Option<StorePlan>,
    /// The options of every shard. `id`, `shards` and `advertise` are filled in, `local_addresses`
    /// is added to, a `key` of zeros is replaced by a random one.
    pub options: shard::Options,
    /// The limits of every shard's sockets.
    pub limits: Limits,
    /// How peers are reached that we connect to.
    pub outbound: OutboundPlan,
    /// How many HTTP connections there may be.
    pub http_connections: ConnectionLimits,
    /// Domains and accounts.
    pub directory: Arc<Directory>,
    /// The relays.
    pub relays: Vec<RelayPlan>,
}

impl NodePlan {
    /// The certificates of all listeners.
    pub(crate) fn keyrings(&self) -> Vec<SharedKeyring> {
        let sip = self.listeners.iter();
        let sip = sip.filter_map(|plan| plan.service.keyring());
        let http = self.http_listeners.iter();
        let http = http.filter_map(|plan| plan.keyring.as_ref());
        sip.chain(http).cloned().collect()
    }
}

impl ListenerPlan {
    /// Every address at which a peer could reach this listener: the bound one, or those of all
    /// interfaces if it is a wildcard; and the advertised one if it is numeric (a name is not
    /// looked up: booting must not wait for a name server).
    pub(crate) fn local_addresses(&self, bound: SocketAddr) -> Vec<SocketAddr> {
        let mut addresses: Vec<SocketAddr> = self
            .advertise
            .iter()
            .filter_map(|text| numeric(text, bound.port()))
            .collect();
        if bound.ip().is_unspecified() {
            // Without this list only the advertised address is recognised as our own; that is no
            // reason not to start.
            let ips = interfaces::addresses().unwrap_or_default();
            let ips = ips.into_iter().filter(|ip| ip.is_ipv4() == bound.is_ipv4());
            addresses.extend(ips.map(|ip| SocketAddr::new(ip, bound.port())));
        } else {
            addresses.push(bound);
        }
        addresses
    }
}

/// `192.0.2.1`, `192.0.2.1:5060`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:5060`.
fn numeric(text: &str, port: u16) -> Option<SocketAddr> {
    let ip = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    text.parse()
        .ok()
        .or_else(|| Some(SocketAddr::new(ip.parse().ok()?, port)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_address_has_a_port_of_its_own_or_the_listeners() {
        let expect =
            |text, expected: &str| assert_eq!(numeric(text, 5070), Some(expected.parse().unwrap()));
        expect("203.0.113.9", "203.0.113.9:5070");
        expect("203.0.113.9:5099", "203.0.113.9:5099");
        expect("2001:db8::1", "[2001:db8::1]:5070");
        expect("[2001:db8::1]", "[2001:db8::1]:5070");
        expect("[2001:db8::1]:5061", "[2001:db8::1]:5061");
        assert_eq!(numeric("sbc.example.com:5060", 5070), None);
    }

    #[test]
    fn a_wildcard_is_reached_at_every_interface() {
        let address: SocketAddr = "0.0.0.0:5060".parse().unwrap();
        let advertise = Some("203.0.113.9".to_owned());
        let addresses = ListenerPlan {
            service: Service::Udp,
            address,
            advertise,
            proxies: Vec::new(),
        }
        .local_addresses(address);
        assert!(addresses.contains(&"127.0.0.1:5060".parse().unwrap()));
        assert!(addresses.contains(&"203.0.113.9:5060".parse().unwrap()));
        assert!(
            addresses
                .iter()
                .all(|address| address.is_ipv4() && !address.ip().is_unspecified())
        );
    }
}
