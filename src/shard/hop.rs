//! The way to a phone, out of what its SUBSCRIBE says: where NOTIFYs go, which phone it is, what it
//! calls the presentity.

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::presence::Aor;
use crate::presence::fixed_hash::fnv1a_of_parts;
use crate::shard::flow::Flow;
use crate::shard::respond::Request;
use crate::sip::Message;
use crate::sip::StartLine;
use crate::sip::Uri;
use crate::sip::dialog::Dialog;
use crate::sip::emit;
use crate::sip::header::Event;
use crate::sip::uri::Scheme;
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

/// Where NOTIFYs go: back where the SUBSCRIBE came from; only a phone on UDP that does not say
/// `rport` may listen on another port than it sends from, the one its first hop names on that very
/// host (W:A2.10). Never to a third party (W:E2.5).
pub(crate) fn next_hop(request: &Request<'_>, dialog: &Dialog) -> SocketAddr {
    let flow = &request.flow;
    // RFC 3581: who asks for answers to the port it sends from listens there, whatever its Contact
    // says behind a NAT.
    let is_symmetric = request.message.via().is_none_or(|via| via.wants_rport);
    let hop = dialog
        .first_route()
        .unwrap_or_else(|| dialog.remote_target());
    let is_bound = Uri::parse(hop).is_ok_and(|uri| uri.parameter("ob").is_some());
    if is_symmetric || is_bound || flow.transport.is_reliable() {
        return flow.peer;
    }
    numeric_address(hop)
        .filter(|address| address.ip() == flow.peer.ip())
        .unwrap_or(flow.peer)
}

pub(crate) fn numeric_address(uri: &[u8]) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).ok()?;
    Some(SocketAddr::new(uri.ip()?, uri.port.unwrap_or(5060)))
}
