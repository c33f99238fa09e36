//! Receives datagrams: up to 64 buffers at a time into a pool that is allocated once per socket.
//!
//! A buffer holds one datagram, or a batch of them that the kernel merged (UDP GRO): then all
//! but the last are equally long, and the kernel says how long. They are handed out one by one, and
//! the caller may stop anywhere and go on later.
//!
//! Guarantees: every datagram UDP can carry fits (RFC 3261 §18.1.1); receiving never blocks and
//! never allocates. The pool is address space, not memory: pages behind a buffer's first few exist
//! only once a datagram, or a GRO batch, was that long.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{io, mem, ptr};

use libc::{cmsghdr, iovec, mmsghdr, msghdr, sockaddr_storage};

use crate::net::address;
use crate::net::datagram::{BATCH, Received, ReceivedDatagrams};

/// Octets of the longest datagram there is, rounded up.
const DATAGRAM_OCTETS_MAX: usize = 64 * 1024;
/// Octets from one buffer to the next. Not a power of two: otherwise the first lines of all buffers
/// would compete for the same few places of the cache.
const STRIDE: usize = DATAGRAM_OCTETS_MAX + 17 * 64;

/// Room for the control messages of one buffer: its local address, the count of lost datagrams and
/// the length of those in a GRO batch, with space to spare.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 96]);

/// The pool.
pub(super) struct ReceiveBatch {
    buffers: Vec<u8>,
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    parts: Vec<iovec>,
    headers: Vec<mmsghdr>,

    /// Buffers that the last call filled.
    filled: usize,
    /// The buffer of the next datagram to be taken.
    next: usize,
    /// The offset of that datagram in its buffer.
    offset: usize,
    /// Headers that the last call wrote to, which must be reset.
    used: usize,
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
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl ReceiveBatch {
    /// An empty pool.
    #[must_use]
    pub(super) fn new() -> Self {
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
            next: 0,
            offset: 0,
            used: BATCH,
        }
    }

    /// Receives what is there, up to [`BATCH`] buffers. Does nothing while datagrams of the last
    /// call are left.
    #[allow(unsafe_code, reason = "recvmmsg has no safe wrapper here")]
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        if self.is_left() {
            return Ok(());
        }
        (self.filled, self.next, self.offset) = (0, 0, 0);
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
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // The kernel may have written to the first header before it gave up.
        self.used = 1;
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }
    }

    /// Resets the headers that the last call used: their places, and the full lengths.
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

impl ReceivedDatagrams for ReceiveBatch {
    fn is_left(&self) -> bool {
        self.next < self.filled
    }

    fn is_more_likely(&self) -> bool {
        self.is_left() || self.filled == BATCH
    }

    /// A datagram from an address family that is not IP is left out.
    fn next_datagram(&mut self) -> Option<Received<'_>> {
        while self.is_left() {
            let (index, offset) = (self.next, self.offset);
            let header = &self.headers[index];
            let length = (header.msg_len as usize).min(DATAGRAM_OCTETS_MAX);
            let control = read_control(&header.msg_hdr);
            let end = control.segment.map_or(length, |segment| offset + segment);
            let end = end.min(length);
            if end == length {
                (self.next, self.offset) = (index + 1, 0);
            } else {
                self.offset = end;
            }
            let Some(peer) = address::decode(&self.names[index]) else {
                continue;
            };
            let start = index * STRIDE;
            return Some(Received {
                peer,
                local: control.local,
                lost: control.lost,
                is_truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                bytes: &self.buffers[start + offset..start + end],
            });
        }
        None
    }
}

#[allow(unsafe_code, reason = "a C structure starts as zeroes")]
pub(crate) fn empty_header() -> mmsghdr {
    // SAFETY: mmsghdr is pointers, lengths and flags; null and zero are valid for all of them.
    unsafe { mem::zeroed() }
}

/// The kernel's control messages for a buffer.
#[derive(Clone, Copy, Debug, Default)]
struct ControlData {
    local: Option<IpAddr>,
    lost: Option<u32>,
    /// Octets of each datagram of a GRO batch but the last; not 0.
    segment: Option<usize>,
}

#[allow(unsafe_code, reason = "control messages are walked by pointer")]
fn read_control(header: &msghdr) -> ControlData {
    let mut control = ControlData::default();
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
                control.local = Some(IpAddr::V4(Ipv4Addr::from(
                    info.ipi_spec_dst.s_addr.to_ne_bytes(),
                )));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: as above.
                let info = unsafe { ptr::read_unaligned(data.cast::<libc::in6_pktinfo>()) };
                control.local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: as above.
                control.lost = Some(unsafe { ptr::read_unaligned(data.cast::<u32>()) });
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                // SAFETY: as above.
                let segment = unsafe { ptr::read_unaligned(data.cast::<libc::c_int>()) };
                control.segment = usize::try_from(segment).ok().filter(|octets| *octets > 0);
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    control
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
        loop {
            batch.receive(sockets[0].as_fd()).unwrap();
            if !batch.is_left() {
                break;
            }
            batches += 1;
            while let Some(received) = batch.next_datagram() {
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
        batch.receive(sockets[0].as_fd()).unwrap();
        for length in [65_507, 0] {
            let received = batch.next_datagram().unwrap();
            assert_eq!(received.bytes.len(), length);
            assert!(!received.is_truncated && received.local.is_none());
        }
        batch.receive(sockets[0].as_fd()).unwrap();
        assert_eq!(batch.next_datagram(), None);
    }

    /// A peer that sends a batch (UDP GSO), and one that sends a datagram on its own in between.
    #[test]
    fn a_gro_batch_is_delivered_datagram_by_datagram() {
        let (address, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let gro_batch: Vec<u8> = (0..40u8).flat_map(|number| [number; 500]).collect();
        let gro_batch = &gro_batch[..40 * 500 - 123];
        let send_in_segments = |octets| {
            crate::net::kernel_options::set(
                client.as_fd(),
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                octets,
            )
        };
        send_in_segments(500).unwrap();
        client.send_to(gro_batch, address).unwrap();
        send_in_segments(0).unwrap();
        client.send_to(b"alone", address).unwrap();
        let mut batch = ReceiveBatch::new();
        let mut calls = 0;
        for number in 0..41u8 {
            if number % 7 == 0 {
                // Nothing is lost by asking before everything was taken.
                calls += usize::from(!batch.is_left());
                batch.receive(sockets[0].as_fd()).unwrap();
            }
            let received = batch.next_datagram().unwrap();
            assert_eq!(received.peer, client.local_addr().unwrap());
            match number {
                40 => assert_eq!(received.bytes, b"alone"),
                39 => assert_eq!(received.bytes, [39; 500 - 123]),
                _ => assert_eq!(received.bytes, [number; 500]),
            }
        }
        assert!(!batch.is_more_likely());
        assert_eq!(calls, 1);
        assert_eq!(batch.filled, 2, "the batch came in one buffer");
    }

    #[test]
    fn a_wildcard_socket_reports_the_local_address() {
        for (wildcard, meant) in [("0.0.0.0:0", "127.0.0.3"), ("[::]:0", "::1")] {
            let (address, sockets) = bind::udp(wildcard.parse().unwrap(), 1).unwrap();
            let meant: IpAddr = meant.parse().unwrap();
            let Ok(client) = UdpSocket::bind((meant, 0)) else {
                continue;
            };
            client.send_to(b"x", (meant, address.port())).unwrap();
            let mut batch = ReceiveBatch::new();
            batch.receive(sockets[0].as_fd()).unwrap();
            assert_eq!(batch.next_datagram().unwrap().local, Some(meant));
        }
    }
}
