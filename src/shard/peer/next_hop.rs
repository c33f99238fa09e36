//! Where NOTIFYs of a dialog are sent, out of what its requests say (RFC 3261 §12.2.1.1), and which
//! phone that is.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::presence::fixed_hash::fnv1a_of_parts;
use crate::shard::contract::flow::Flow;
use crate::shard::peer::path::Path;
use crate::shard::request::Request;
use crate::sip::Transport;
use crate::sip::Uri;
use crate::sip::dialog::Dialog;

/// A phone: where its requests come from, and the address in `target`, the URI of its Contact.
pub(crate) fn phone_key(flow: &Flow, target: &[u8]) -> u64 {
    let (address, port, user) = match Uri::parse(target) {
        Ok(uri) => (
            uri.host,
            uri.port.unwrap_or_default(),
            uri.user.unwrap_or_default(),
        ),
        Err(_) => (target, 0, &b""[..]),
    };
    let peer = match flow.peer.ip() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    fnv1a_of_parts(&[
        &peer.to_le_bytes(),
        &flow.peer.port().to_le_bytes(),
        &port.to_le_bytes(),
        address,
        b"/",
        user,
    ])
}

/// Where NOTIFYs go: back where the SUBSCRIBE came from; only a phone on UDP that does not say
/// `rport` may listen on another port than it sends from, the one its first hop names on that very
/// host (W:A2.10). Never to a third party (W:E2.5).
pub(crate) fn next_hop(request: &Request<'_>, dialog: &Dialog) -> SocketAddr {
    let flow = &request.flow;
    // RFC 3581: who asks for answers to the port it sends from listens there, whatever its Contact
    // says behind a NAT.
    let is_symmetric = request.message.via().is_none_or(|via| via.wants_rport);
    if is_symmetric || flow.transport.is_reliable() {
        return flow.peer;
    }
    named_hop(dialog, flow.transport)
        .and_then(|named| at_same_host(named, flow.peer))
        .unwrap_or(flow.peer)
}

/// Where NOTIFYs go after the phone named another first hop, its new Contact (RFC 3261 §12.2.1.2):
/// there, if it was reached where it named until now. What it names means nothing if that was never
/// where it was reached, as behind a NAT; nor on a stream. None: the way stays as it is.
pub(crate) fn moved_hop(
    path: &Path,
    before: Option<SocketAddr>,
    dialog: &Dialog,
) -> Option<SocketAddr> {
    let before = before.and_then(|before| at_same_host(before, path.destination));
    if path.flow.transport.is_reliable() || before != Some(path.destination) {
        return None;
    }
    at_same_host(named_hop(dialog, path.flow.transport)?, path.destination)
}

/// The address of the first hop that a dialog names, its first route or the remote target. None when
/// it is no number, or the phone is bound to its flow (RFC 5626 §4.3).
pub(crate) fn named_hop(dialog: &Dialog, transport: Transport) -> Option<SocketAddr> {
    let hop = dialog
        .first_route()
        .unwrap_or_else(|| dialog.remote_target());
    let is_bound = Uri::parse(hop).is_ok_and(|uri| uri.parameter("ob").is_some());
    numeric_address(hop, transport).filter(|_| !is_bound)
}

/// A named address as one of the host that `seen` is of, with its IPv6 zone, which no URI has; None
/// when it is another host's.
fn at_same_host(named: SocketAddr, mut seen: SocketAddr) -> Option<SocketAddr> {
    seen.set_port(named.port());
    (named.ip() == seen.ip()).then_some(seen)
}

/// The address that a URI names by number, with the transport's port if it names none.
pub(crate) fn numeric_address(uri: &[u8], transport: Transport) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).ok()?;
    Some(SocketAddr::new(
        uri.ip()?,
        uri.port.unwrap_or_else(|| transport.default_port()),
    ))
}
