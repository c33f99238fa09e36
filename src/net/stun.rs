//! STUN on the SIP port (RFC 5626 §4.4.2, RFC 8489): the response to a Binding request says which
//! address it came from. Pure.
//!
//! Only the Binding method without authentication, as RFC 5626 §8 asks of a server. A request with
//! an unknown comprehension-required attribute gets 420; indications and responses get nothing.

use std::net::{IpAddr, SocketAddr};

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_OCTETS: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// Unknown attributes named in one response.
const UNKNOWN_MAX: usize = 8;

/// Whether a datagram is STUN and not SIP: its first two bits are zero, and the magic cookie is
/// where it belongs (RFC 7983).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_OCTETS && datagram[0] <= 3 && datagram[4..8] == COOKIE
}

/// Appends the response to a Binding request. False, with nothing appended, if the datagram is not
/// a proper Binding request.
pub fn respond(request: &[u8], peer: SocketAddr, out: &mut Vec<u8>) -> bool {
    let Some((header, attributes)) = request.split_at_checked(HEADER_OCTETS) else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let method = u16::from_be_bytes([header[0], header[1]]);
    if method != BINDING_REQUEST
        || header[4..8] != COOKIE
        || length != attributes.len()
        || length % 4 != 0
    {
        return false;
    }
    let mut unknown = [0; UNKNOWN_MAX];
    let Some(unknown_count) = unknown_attributes(attributes, &mut unknown) else {
        return false;
    };
    let transaction = &header[4..HEADER_OCTETS];
    if unknown_count > 0 {
        write_unknown(transaction, &unknown[..unknown_count], out);
    } else {
        write_mapped(transaction, peer, out);
    }
    true
}

/// Finds attributes below 0x8000, which must be understood; none is, since a plain Binding request
/// carries none (an address comes only in a response). None if the lengths of the attributes do not
/// add up.
fn unknown_attributes(mut attributes: &[u8], unknown: &mut [u16; UNKNOWN_MAX]) -> Option<usize> {
    let mut count = 0;
    while let [kind_high, kind_low, length_high, length_low, rest @ ..] = attributes {
        let kind = u16::from_be_bytes([*kind_high, *kind_low]);
        let padded =
            usize::from(u16::from_be_bytes([*length_high, *length_low])).next_multiple_of(4);
        attributes = rest.get(padded..)?;
        if kind < 0x8000 && count < UNKNOWN_MAX {
            unknown[count] = kind;
            count += 1;
        }
    }
    attributes.is_empty().then_some(count)
}

fn write_mapped(transaction: &[u8], peer: SocketAddr, out: &mut Vec<u8>) {
    let (family, octets) = match peer.ip() {
        IpAddr::V4(_) => (1, 8u16),
        IpAddr::V6(_) => (2, 20u16),
    };
    write_head(BINDING_SUCCESS, octets + 4, transaction, out);
    write_pair(XOR_MAPPED_ADDRESS, octets, out);
    out.extend_from_slice(&[0, family]);
    out.extend(
        peer.port()
            .to_be_bytes()
            .iter()
            .zip(COOKIE)
            .map(|(octet, key)| octet ^ key),
    );
    // The key is the cookie and, for IPv6, the transaction id behind it, as they are in the header.
    match peer.ip() {
        IpAddr::V4(ip) => out.extend(
            ip.octets()
                .iter()
                .zip(transaction)
                .map(|(octet, key)| octet ^ key),
        ),
        IpAddr::V6(ip) => out.extend(
            ip.octets()
                .iter()
                .zip(transaction)
                .map(|(octet, key)| octet ^ key),
        ),
    }
}

fn write_unknown(transaction: &[u8], unknown: &[u16], out: &mut Vec<u8>) {
    let listed = 2 * unknown.len() as u16;
    write_head(
        BINDING_ERROR,
        8 + 4 + listed.next_multiple_of(4),
        transaction,
        out,
    );
    write_pair(ERROR_CODE, 4, out);
    out.extend_from_slice(&[0, 0, 4, 20]);
    write_pair(UNKNOWN_ATTRIBUTES, listed, out);
    out.extend(unknown.iter().flat_map(|kind| kind.to_be_bytes()));
    if unknown.len() % 2 == 1 {
        out.extend_from_slice(&[0, 0]);
    }
}

fn write_head(kind: u16, length: u16, transaction: &[u8], out: &mut Vec<u8>) {
    write_pair(kind, length, out);
    out.extend_from_slice(transaction);
}

fn write_pair(first: u16, second: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&first.to_be_bytes());
    out.extend_from_slice(&second.to_be_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut request = vec![0, 1, 0, attributes.len() as u8, 0x21, 0x12, 0xa4, 0x42];
        request.extend([
            0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
        ]);
        request.extend(attributes);
        request
    }

    #[test]
    fn the_mapped_address_is_that_of_rfc_5769() {
        // RFC 5769 §2.2 and §2.3: the same transaction, 192.0.2.1:32853 and its IPv6 sibling.
        let mut out = Vec::new();
        assert!(respond(
            &request(&[]),
            "192.0.2.1:32853".parse().unwrap(),
            &mut out
        ));
        assert_eq!(out[..4], [1, 1, 0, 12]);
        assert_eq!(out[4..20], request(&[])[4..20]);
        assert_eq!(
            out[20..],
            [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
        );
        out.clear();
        let six = "[2001:db8:1234:5678:11:2233:4455:6677]:32853"
            .parse()
            .unwrap();
        assert!(respond(&request(&[]), six, &mut out));
        let expected = [
            0, 0x20, 0, 0x14, 0, 2, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79,
            0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(out[20..], expected);
    }

    #[test]
    fn optional_attributes_pass_and_required_ones_are_named() {
        let mut out = Vec::new();
        let peer = "192.0.2.1:5060".parse().unwrap();
        assert!(respond(
            &request(&[0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]),
            peer,
            &mut out
        ));
        assert_eq!(out[..2], [1, 1]);
        out.clear();
        assert!(respond(
            &request(&[0, 6, 0, 4, b'u', b's', b'e', b'r']),
            peer,
            &mut out
        ));
        assert_eq!(out[..4], [1, 0x11, 0, 16]);
        assert_eq!(
            out[20..],
            [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0, 6, 0, 0]
        );
    }

    #[test]
    fn stun_messages_other_than_requests_get_no_response() {
        let mut out = Vec::new();
        let peer = "192.0.2.1:5060".parse().unwrap();
        let mut indication = request(&[]);
        indication[1] = 0x11;
        let mut long = request(&[]);
        long[3] = 4;
        for datagram in [
            indication,
            long,
            request(&[0x80, 0x22, 0, 9]),
            b"\0\x01".to_vec(),
            Vec::new(),
        ] {
            assert!(!respond(&datagram, peer, &mut out));
        }
        assert!(out.is_empty());
    }
}
