//! Counts connections in all and per address, against a limit for each.
//!
//! One host of an IPv6 network can choose among 2^64 addresses, so IPv6 is counted by /64. A peer
//! that a domain trusts (an SBC with a connection for each phone) counts only against the limit for
//! all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// How many connections may be open. What happens beyond a limit is written beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections in all; one more is closed at once.
    pub connections_max: usize,
    /// Connections of one IPv4 address or one IPv6 /64 that no domain trusts; one more is closed at
    /// once (W:E2.8).
    pub per_address_max: usize,
}

/// The connections that are open.
#[derive(Debug)]
pub struct ConnectionCount {
    limits: ConnectionLimits,
    open: usize,
    by_network: HashMap<IpAddr, usize>,
}

impl ConnectionCount {
    /// No connection is open.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            open: 0,
            by_network: HashMap::new(),
        }
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether there is room for one more connection of that peer.
    pub fn has_room(&self, peer: IpAddr, is_trusted: impl FnOnce(IpAddr) -> bool) -> bool {
        self.open < self.limits.connections_max
            && (self.of(peer) < self.limits.per_address_max || is_trusted(peer))
    }

    /// Whether more than 7/8 of the connections are in use, in total or for this peer, so that idle
    /// ones must be closed early.
    pub fn is_short(&self, peer: IpAddr, is_trusted: impl FnOnce(IpAddr) -> bool) -> bool {
        let is_short = |taken: usize, max: usize| taken > max - max / 8;
        is_short(self.open, self.limits.connections_max)
            || (is_short(self.of(peer), self.limits.per_address_max) && !is_trusted(peer))
    }

    /// A connection of that peer is open.
    pub fn join(&mut self, peer: IpAddr) {
        self.open += 1;
        *self.by_network.entry(network(peer)).or_default() += 1;
    }

    /// A connection that had joined is closed.
    pub fn leave(&mut self, peer: IpAddr) {
        self.open -= 1;
        let network = network(peer);
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }

    fn of(&self, peer: IpAddr) -> usize {
        self.by_network.get(&network(peer)).copied().unwrap_or(0)
    }
}

/// An IPv4 address as it is, an IPv6 address without its last 64 bits.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn no_connections(connections_max: usize, per_address_max: usize) -> ConnectionCount {
        ConnectionCount::new(ConnectionLimits {
            connections_max,
            per_address_max,
        })
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let mut count = no_connections(100, 2);
        count.join(address("2001:db8:1:2::1"));
        count.join(address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        let has_room = |peer| count.has_room(address(peer), |_| false);
        assert!(!has_room("2001:db8:1:2::3"));
        assert!(has_room("2001:db8:1:3::1"));
        assert!(count.has_room(address("2001:db8:1:2::3"), |_| true));
    }

    #[test]
    fn an_ipv4_address_counts_alone_however_it_is_written() {
        let mut count = no_connections(100, 1);
        count.join(address("192.0.2.1"));
        assert!(!count.has_room(address("::ffff:192.0.2.1"), |_| false));
        assert!(count.has_room(address("192.0.2.2"), |_| false));
        count.leave(address("::ffff:192.0.2.1"));
        assert!(count.has_room(address("192.0.2.1"), |_| false));
        assert!(count.by_network.is_empty());
    }

    #[test]
    fn trusted_peers_do_not_raise_the_limit_of_others() {
        let mut count = no_connections(1, 1);
        count.join(address("192.0.2.1"));
        assert!(!count.has_room(address("192.0.2.2"), |_| true));
    }

    #[test]
    fn connections_run_low_before_they_run_out() {
        let mut count = no_connections(32, 8);
        (0..7).for_each(|_| count.join(address("192.0.2.1")));
        assert!(!count.is_short(address("192.0.2.1"), |_| false));
        count.join(address("192.0.2.1"));
        assert!(count.is_short(address("192.0.2.1"), |_| false));
        assert!(!count.is_short(address("192.0.2.1"), |_| true));
        assert!(!count.is_short(address("192.0.2.2"), |_| false));
        (0..21).for_each(|_| count.join(address("192.0.2.3")));
        assert!(count.is_short(address("192.0.2.2"), |_| true));
    }
}
