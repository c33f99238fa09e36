//! The way to a phone, out of what its requests say: where responses and NOTIFYs go, which phone it
//! is, what it calls the presentity.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::presence::Aor;
use crate::presence::fixed_hash::fnv1a_of_parts;
use crate::shard::flow::Flow;
use crate::shard::respond::Request;
use crate::shard::ways::Way;
use crate::sip::Message;
use crate::sip::StartLine;
use crate::sip::Transport;
use crate::sip::Uri;
use crate::sip::dialog::Dialog;
use crate::sip::emit;
use crate::sip::header::Event;
use crate::sip::header::Via;
use crate::sip::uri::Scheme;
use crate::sip::uri::host_ip;
use crate::sip::uri::sip_uri;

/// The presentity as the phone wrote it, without parameters: soft clients match on it (W:C0.8).
pub(crate) fn entity_uri(message: &Message<'_>, aor: &Aor) -> Vec<u8> {
    let to = message.to().and_then(|to| Uri::parse(to.uri).ok());
    let mut user = String::new();
    let (scheme, raw_user, host) = match to {
        Some(uri) if uri.write_user(&mut user) && user == aor.user() => {
            (uri.scheme, uri.user, host_port(uri))
        }
        _ => return sip_uri(aor.user(), aor.domain()).into_bytes(),
    };
    let scheme: &[u8] = if scheme == Scheme::Sips {
        b"sips:"
    } else {
        b"sip:"
    };
    [scheme, raw_user.unwrap_or_default(), b"@", &host].concat()
}

/// The Request-URI as it came: a list goes by it (W:B5.4).
pub(crate) fn request_uri<'m>(message: &Message<'m>) -> &'m [u8] {
    match message.start_line() {
        StartLine::Request { uri, .. } => uri,
        StartLine::Response { .. } => b"",
    }
}

fn host_port(uri: Uri<'_>) -> Vec<u8> {
    let mut host = uri.host.to_vec();
    if let Some(port) = uri.port {
        host.push(b':');
        emit::decimal(&mut host, u64::from(port));
    }
    host
}

/// The `id` parameter of an Event value.
pub(crate) fn event_id(value: &[u8]) -> &[u8] {
    Event::parse(value)
        .map(|event| event.id)
        .unwrap_or_default()
}

/// A phone: where its requests come from, and the address in `target`, the URI of its Contact.
pub(crate) fn phone_key(flow: &Flow, target: &[u8]) -> u64 {
    let address = Uri::parse(target).map_or(target, |uri| uri.host);
    let port = Uri::parse(target)
        .ok()
        .and_then(|uri| uri.port)
        .unwrap_or_default();
    let user = Uri::parse(target)
        .ok()
        .and_then(|uri| uri.user)
        .unwrap_or_default();
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

/// The flow that the response to a request takes (RFC 3261 §18.2.2, RFC 3581 §4): the stream it came
/// by; over UDP its source address, and there the source port if Via has `rport`, else the port of
/// Via's sent-by. `maddr` is not followed: it would send responses to a third party.
pub(crate) fn response_flow(request: &Request<'_>) -> Flow {
    let mut flow = request.flow;
    let is_symmetric = |via: &Via<'_>| via.has_rport() || is_hidden_by_nat(via, flow.peer.ip());
    if let Some(via) = request.message.via()
        && !flow.transport.is_reliable()
        && !is_symmetric(via)
    {
        let port = via.port.filter(|port| *port != 0);
        let default = flow.transport.default_port();
        flow.peer.set_port(port.unwrap_or(default));
    }
    flow
}

/// Whether an address translator stands before the sender: sent-by is an address that cannot be
/// reached from outside its network, and is not the source. The port of that address means nothing
/// at the translator, so only the source port leads back to the phone.
fn is_hidden_by_nat(via: &Via<'_>, source: IpAddr) -> bool {
    let is_internal = |address: IpAddr| match address {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    };
    host_ip(via.host).is_some_and(|sent_by| sent_by != source && is_internal(sent_by))
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
    way: &Way,
    before: Option<SocketAddr>,
    dialog: &Dialog,
) -> Option<SocketAddr> {
    let before = before.and_then(|before| at_same_host(before, way.destination));
    if way.flow.transport.is_reliable() || before != Some(way.destination) {
        return None;
    }
    at_same_host(named_hop(dialog, way.flow.transport)?, way.destination)
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
