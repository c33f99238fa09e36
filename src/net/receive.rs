//! Receiving datagrams: up to 64 at a time into a pool of buffers that is allocated once per shard.
//!
//! Guarantees: every datagram UDP can carry fits (W:A6.4); receiving never blocks and never
//! allocates. The pool is address space, not memory: pages behind a buffer's first few exist only
//! once a datagram was that long.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::ptr;

use libc::cmsghdr;
use libc::iovec;
use libc::mmsghdr;
use libc::msghdr;
use libc::sockaddr_storage;

use crate::net::address;

/// Datagrams of one call.
pub const BATCH: usize = 64;
/// Octets of the longest datagram there is, rounded up.
const DATAGRAM_OCTETS_MAX: usize = 64 * 1024;
/// From one buffer to the next. Not a power of two: else the first lines of all buffers would fight
/// for the same few places of the cache.
const STRIDE: usize = DATAGRAM_OCTETS_MAX + 17 * 64;

/// Room for the control messages of one datagram: its local address and the count of lost ones,
/// with space to spare.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 96]);

/// The pool.
pub struct ReceiveBatch {
    buffers: Vec<u8>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    parts: Vec<iovec>,
    headers: Vec<mmsghdr>,

    /// Datagrams of the last call.
    filled: usize,
    /// Headers the last call wrote to, which must be made ready again.
    used: usize,
}

/// One datagram of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// Who sent it.
    pub peer: SocketAddr,
    /// To which of our addresses, where the socket tells (it is bound to a wildcard).
    pub local: Option<IpAddr>,
    /// How many datagrams this socket has lost so far for want of room, when it lost any.
    pub lost: Option<u32>,
    /// Whether it was longer than the buffer.
    pub is_truncated: bool,
    /// What it says.
    pub bytes: &'a [u8],
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ReceiveBatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ReceiveBatch")
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

impl ReceiveBatch {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffers: vec![0; STRIDE * BATCH],
            names: vec![address::empty(); BATCH],
            controls: vec![Control([0; 96]); BATCH],
            parts: vec![
                iovec {
                    iov_base: ptr::null_mut(),
                    iov_len: 0
                };
                BATCH
            ],
            headers: vec![empty_header(); BATCH],
            filled: 0,
            used: BATCH,
        }
    }

    /// Receives what is there, up to [`BATCH`] datagrams; 0 when nothing is. What the last call
    /// brought is gone.
    #[allow(unsafe_code, reason = "recvmmsg has no safe wrapper here")]
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled = 0;
        self.make_ready();
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the descriptor is open while borrowed; all BATCH headers point to names, parts,
        // controls and buffers of this pool, which are neither moved nor freed while `self` is
        // borrowed, with their true lengths.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        if count >= 0 {
            self.filled = count as usize;
            self.used = self.filled;
            return Ok(self.filled);
        }
        let error = io::Error::last_os_error();
        // The kernel may have written to the first header before it gave up.
        self.used = 1;
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// The datagrams of the last call, in order. One from a family that is not IP is left out.
    pub fn datagrams(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.filled).filter_map(|index| self.datagram(index))
    }

    fn datagram(&self, index: usize) -> Option<Received<'_>> {
        let header = self.headers.get(index)?;
        let start = index * STRIDE;
        let length = (header.msg_len as usize).min(DATAGRAM_OCTETS_MAX);
        let (local, lost) = read_control(&header.msg_hdr);
        Some(Received {
            peer: address::decode(self.names.get(index)?)?,
            local,
            lost,
            is_truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            bytes: self.buffers.get(start..start + length)?,
        })
    }

    /// Points the headers the last call used to their places again, with the full lengths.
    fn make_ready(&mut self) {
        let slots = self
            .headers
            .iter_mut()
            .zip(&mut self.parts)
            .zip(&mut self.names)
            .zip(&mut self.controls);
        let slots = slots.zip(self.buffers.chunks_exact_mut(STRIDE));
        for ((((header, part), name), control), buffer) in slots.take(self.used) {
            part.iov_base = buffer.as_mut_ptr().cast();
            part.iov_len = DATAGRAM_OCTETS_MAX;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>();
            header.msg_hdr.msg_flags = 0;
        }
        self.used = 0;
    }
}

#[allow(unsafe_code, reason = "a C structure starts as zeroes")]
pub(crate) fn empty_header() -> mmsghdr {
    // SAFETY: mmsghdr is pointers, lengths and flags; null and zero are valid for all of them.
    unsafe { mem::zeroed() }
}

/// The local address and the number of lost datagrams, where the kernel told them.
#[allow(unsafe_code, reason = "control messages are walked by pointer")]
fn read_control(header: &msghdr) -> (Option<IpAddr>, Option<u32>) {
    let (mut local, mut lost) = (None, None);
    // SAFETY: msg_control and msg_controllen were set by the kernel to what it wrote into this
    // slot's Control, which is aligned for cmsghdr; CMSG_NXTHDR stays within that length.
    let mut next: *const cmsghdr = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: `next` is a whole control message in this slot.
        let message = unsafe { &*next };
        // SAFETY: the data of a control message follows its header.
        let data = unsafe { libc::CMSG_DATA(next) };
        match (message.cmsg_level, message.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: level and type say what the data is; it may be unaligned.
                let info = unsafe { ptr::read_unaligned(data.cast::<libc::in_pktinfo>()) };
                local = Some(IpAddr::V4(Ipv4Addr::from(
                    info.ipi_spec_dst.s_addr.to_ne_bytes(),
                )));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: as above.
                let info = unsafe { ptr::read_unaligned(data.cast::<libc::in6_pktinfo>()) };
                local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: as above.
                lost = Some(unsafe { ptr::read_unaligned(data.cast::<u32>()) });
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    (local, lost)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;
    use crate::net::bind;

    #[test]
    fn two_hundred_datagrams_arrive_in_order_and_whole() {
        let (address, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..200u32 {
            let mut datagram = number.to_be_bytes().to_vec();
            datagram.resize(4 + number as usize * 10, number as u8);
            client.send_to(&datagram, address).unwrap();
        }
        let mut batch = ReceiveBatch::new();
        let mut numbers = Vec::new();
        let mut batches = 0;
        while batch.receive(sockets[0].as_fd()).unwrap() > 0 {
            batches += 1;
            for received in batch.datagrams() {
                let number = u32::from_be_bytes(received.bytes[..4].try_into().unwrap());
                assert_eq!(received.peer, client.local_addr().unwrap());
                assert_eq!(received.bytes.len(), 4 + number as usize * 10);
                assert!(
                    received.bytes[4..]
                        .iter()
                        .all(|octet| *octet == number as u8)
                );
                numbers.push(number);
            }
        }
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
        assert_eq!(batches, 4, "64 + 64 + 64 + 8");
    }

    #[test]
    fn the_longest_datagram_fits_and_an_empty_one_is_one() {
        let (address, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(&vec![b'a'; 65_507], address).unwrap();
        client.send_to(b"", address).unwrap();
        let mut batch = ReceiveBatch::new();
        assert_eq!(batch.receive(sockets[0].as_fd()).unwrap(), 2);
        let lengths: Vec<usize> = batch
            .datagrams()
            .map(|received| received.bytes.len())
            .collect();
        assert_eq!(lengths, [65_507, 0]);
        assert!(
            batch
                .datagrams()
                .all(|received| !received.is_truncated && received.local.is_none())
        );
        assert_eq!(batch.receive(sockets[0].as_fd()).unwrap(), 0);
        assert_eq!(batch.datagrams().count(), 0);
    }

    #[test]
    fn a_wildcard_socket_tells_which_address_was_meant() {
        for (wildcard, meant) in [("0.0.0.0:0", "127.0.0.3"), ("[::]:0", "::1")] {
            let (address, sockets) = bind::udp(wildcard.parse().unwrap(), 1).unwrap();
            let meant: IpAddr = meant.parse().unwrap();
            let Ok(client) = UdpSocket::bind((meant, 0)) else {
                continue;
            };
            client.send_to(b"x", (meant, address.port())).unwrap();
            let mut batch = ReceiveBatch::new();
            assert_eq!(batch.receive(sockets[0].as_fd()).unwrap(), 1);
            assert_eq!(batch.datagrams().next().unwrap().local, Some(meant));
        }
    }
}
