//! Converts socket addresses between the kernel's form and ours.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{sockaddr_in, sockaddr_in6, sockaddr_storage};

/// Room for an address of any family, all zero.
#[must_use]
#[allow(unsafe_code, reason = "a C structure starts as zeroes")]
pub(crate) fn empty() -> sockaddr_storage {
    // SAFETY: sockaddr_storage is plain integers and octets; all zero is a valid value (AF_UNSPEC).
    unsafe { std::mem::zeroed() }
}

/// Writes an address in the kernel's form; returns its length.
#[allow(
    unsafe_code,
    reason = "sockaddr_storage stands for the structure of whatever family"
)]
pub(crate) fn encode(address: SocketAddr, storage: &mut sockaddr_storage) -> libc::socklen_t {
    let place: *mut sockaddr_storage = storage;
    match address {
        SocketAddr::V4(address) => {
            let value = sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is at least as large and as strictly aligned as every
            // sockaddr of a family.
            unsafe { place.cast::<sockaddr_in>().write(value) };
            size_of::<sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(address) => {
            let value = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { place.cast::<sockaddr_in6>().write(value) };
            size_of::<sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// Reads an address the kernel wrote; None if it is of another family. The flow label is left out:
/// it does not identify a peer.
#[allow(
    unsafe_code,
    reason = "sockaddr_storage stands for the structure of whatever family"
)]
pub(crate) fn decode(storage: &sockaddr_storage) -> Option<SocketAddr> {
    let place: *const sockaddr_storage = storage;
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure it is; size and alignment of sockaddr_storage
            // suffice for it.
            let value = unsafe { place.cast::<sockaddr_in>().read() };
            let ip = Ipv4Addr::from(value.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::V4(SocketAddrV4::new(
                ip,
                u16::from_be(value.sin_port),
            )))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let value = unsafe { place.cast::<sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(value.sin6_addr.s6_addr);
            let port = u16::from_be(value.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(
                ip,
                port,
                0,
                value.sin6_scope_id,
            )))
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_conversion_to_sockaddr() {
        for text in ["192.0.2.7:5060", "[2001:db8::1]:5061", "[fe80::1%3]:5060"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut storage = empty();
            let length = encode(address, &mut storage);
            assert_eq!(length as usize, if address.is_ipv4() { 16 } else { 28 });
            assert_eq!(decode(&storage), Some(address));
        }
        assert_eq!(decode(&empty()), None);
    }
}
