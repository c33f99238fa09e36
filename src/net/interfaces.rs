//! The addresses of this machine, on which a wildcard listener listens.

use std::net::IpAddr;
use std::{io, ptr};

use crate::net::address;

/// Every address of every interface that is up, each once.
#[allow(unsafe_code, reason = "getifaddrs has no safe wrapper here")]
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: on success the call stores the head of a list it allocated, freed below.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: `next` is an entry of the list, which is not freed before the loop ends.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        if entry.ifa_flags & libc::IFF_UP as libc::c_uint == 0 {
            continue;
        }
        if let Some(ip) = read_address(entry.ifa_addr)
            && !found.contains(&ip)
        {
            found.push(ip);
        }
    }
    // SAFETY: the list came from getifaddrs and is not used any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

#[allow(
    unsafe_code,
    reason = "an interface's address has the length of its family"
)]
fn read_address(place: *const libc::sockaddr) -> Option<IpAddr> {
    if place.is_null() {
        return None;
    }
    // SAFETY: a sockaddr that is there begins with its family.
    let octets = match libc::c_int::from(unsafe { (*place).sa_family }) {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
        _ => return None,
    };
    let mut storage = address::empty();
    // SAFETY: the family's structure is `octets` long at `place`, and sockaddr_storage has room for
    // any; they do not overlap.
    unsafe {
        ptr::copy_nonoverlapping(place.cast::<u8>(), (&raw mut storage).cast::<u8>(), octets)
    };
    address::decode(&storage).map(|address| address.ip())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_them() {
        assert!(addresses().unwrap().contains(&"127.0.0.1".parse().unwrap()));
    }
}
