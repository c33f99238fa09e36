//! The key that identifies a phone, by where its requests come from and what their Contact says.

use std::net::IpAddr;

use crate::presence::fixed_hash::fnv1a_of_parts;
use crate::shard::contract::flow::Flow;
use crate::sip::Uri;
use crate::sip::dialog::Contact;

/// The key of a phone: a hash of the source address and port of its requests, and of user, host and
/// port of the URI in its Contact.
pub(crate) fn phone_key(flow: &Flow, contact: &Uri<'_>) -> u64 {
    let peer = match flow.peer.ip() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    fnv1a_of_parts(&[
        &peer.to_le_bytes(),
        &flow.peer.port().to_le_bytes(),
        &contact.port.unwrap_or_default().to_le_bytes(),
        contact.host,
        b"/",
        contact.user.unwrap_or_default(),
    ])
}

/// The key of a device that names itself in its Contact, and of which of its flows this is; 0 if it does
/// not.
pub(crate) fn instance_key(contact: &Contact<'_>) -> u32 {
    contact.instance.map_or(0, |(instance, flow)| {
        let key = fnv1a_of_parts(&[instance, b";", flow]);
        ((key >> 32) as u32 ^ key as u32).max(1)
    })
}
