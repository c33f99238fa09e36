//! One datagram from a stranger: whatever it is, the node goes on, what it sends are messages
//! without a fault, and a domain that wants a password sends no more than one and a half times the
//! octets of the datagram (W:E3.8).

use std::net::SocketAddr;

use lamplighter::sip::message::Framing;
use lamplighter::sip::{Message, StartLine, Transport};

use super::node::{Node, Sent};

pub(crate) fn datagram(octets: &[u8]) {
    let mut node = Node::new();
    let peer: SocketAddr = "10.0.0.7:5060".parse().unwrap();
    node.receive(peer, Transport::Udp, octets);
    let has_notify = node
        .sent
        .iter()
        .any(|sent| sent.octets.starts_with(b"NOTIFY"));
    for sent in &node.sent {
        // A response goes to the port in Via (RFC 3261 §18.2.2).
        assert_eq!(sent.peer.ip(), peer.ip(), "to another host than the sender");
        look_at(sent);
    }
    let sent: usize = node.sent.iter().map(|sent| sent.octets.len()).sum();
    let is_bounded = 2 * sent <= 3 * octets.len();
    assert!(
        is_bounded || has_notify || is_accepted(&node),
        "{sent} octets for {}",
        octets.len()
    );
}

/// Whether a 2xx was sent; only the domain without authentication sends one.
fn is_accepted(node: &Node) -> bool {
    node.sent
        .iter()
        .any(|sent| sent.octets.starts_with(b"SIP/2.0 2"))
}

/// What the node sends is a message without a fault.
pub(crate) fn look_at(sent: &Sent) {
    let text = || String::from_utf8_lossy(&sent.octets);
    let message = Message::parse(&sent.octets, Framing::Stream);
    let message = message.unwrap_or_else(|fault| panic!("{fault:?}: {}", text()));
    let is_request = matches!(message.start_line(), StartLine::Request { .. });
    assert!(
        !is_request || message.fault().is_none(),
        "{:?}: {}",
        message.fault(),
        text()
    );
    assert_eq!(message.bytes().len(), sent.octets.len(), "{}", text());
}
