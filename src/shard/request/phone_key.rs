//! The key that identifies a phone, by what its requests say.

use std::net::IpAddr;

use crate::presence::fixed_hash::fnv1a_of_parts;
use crate::shard::contract::flow::Flow;
use crate::shard::request::Request;
use crate::sip::header::NameAddr;
use crate::sip::{HeaderName, Uri};

/// The key of a phone: a hash of the source address and port of its requests, and of user, host and
/// port of the URI in `target`, its Contact.
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

/// The key of the phone that sent a request; None if it has no Contact.
pub(crate) fn phone_key_of(request: &Request<'_>) -> Option<u64> {
    let contact = request.message.header(HeaderName::Contact);
    let target = contact.and_then(NameAddr::parse)?.uri;
    Some(phone_key(&request.flow, target))
}
