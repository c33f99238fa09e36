//! STUN: a Binding request gets a response which a client can read, everything else gets none.

use std::net::SocketAddr;

use lamplighter::net::stun::{is_stun, respond};

/// Octets of a header.
const HEADER: usize = 20;
/// Octets of the longest response: the header, an error code and eight unknown attributes.
const RESPONSE_MAX: usize = HEADER + 8 + 4 + 16;

/// The first octet says whether the peer has IPv6; the rest is what it sends.
pub(crate) fn stun(octets: &[u8]) {
    let Some((&first, request)) = octets.split_first() else {
        return;
    };
    let peer: SocketAddr = match first % 2 {
        0 => "192.0.2.9:5061".parse().unwrap(),
        _ => "[2001:db8::9]:5061".parse().unwrap(),
    };
    let mut response = b"before".to_vec();
    let is_answered = respond(request, peer, &mut response);
    let response = response.strip_prefix(b"before").expect("it only appends");
    assert_eq!(is_answered, !response.is_empty());
    if !is_answered {
        return;
    }
    assert!(is_stun(request) && is_stun(response));
    assert!(response.len() <= RESPONSE_MAX);
    assert_eq!(response[4..HEADER], request[4..HEADER], "the transaction");
    let length = u16::from_be_bytes([response[2], response[3]]);
    assert_eq!(usize::from(length), response.len() - HEADER);
    let attributes = attributes_of(&response[HEADER..]);
    match response[..2] {
        [1, 1] => assert_eq!(attributes.as_slice(), [(0x20, mapped(peer, response))]),
        [1, 0x11] => {
            let kinds: Vec<u16> = attributes.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, [0x09, 0x0a]);
            assert_eq!(attributes[0].1, [0, 0, 4, 20]);
        }
        _ => panic!("another response: {}", response.escape_ascii()),
    }
}

/// Kind and value of each attribute.
fn attributes_of(mut octets: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut attributes = Vec::new();
    while let [kind_high, kind_low, high, low, rest @ ..] = octets {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        attributes.push((
            u16::from_be_bytes([*kind_high, *kind_low]),
            rest[..length].to_vec(),
        ));
        octets = &rest[length.next_multiple_of(4)..];
    }
    assert!(octets.is_empty(), "octets behind the last attribute");
    attributes
}

/// The value of XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
fn mapped(peer: SocketAddr, response: &[u8]) -> Vec<u8> {
    let (family, ip) = match peer.ip() {
        std::net::IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        std::net::IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let key = &response[4..HEADER];
    let xor = |octets: &[u8]| -> Vec<u8> {
        let pairs = octets.iter().zip(key);
        pairs.map(|(octet, key)| octet ^ key).collect()
    };
    [vec![0, family], xor(&peer.port().to_be_bytes()), xor(&ip)].concat()
}
