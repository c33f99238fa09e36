//! Sending datagrams: up to 64 at a time, each gathered from two pieces of the outbox's arena.
//!
//! Guarantees: order is kept; payload is not copied in user space; nothing is allocated. A datagram
//! the kernel refuses (its peer's network is gone, it is too long) is counted and skipped, the rest
//! of the batch goes out. When the send buffer is full, sending stops and says where.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::ptr;

use libc::cmsghdr;
use libc::iovec;
use libc::mmsghdr;
use libc::sockaddr_storage;

use crate::net::address;
use crate::net::receive::empty_header;

/// Datagrams of one call.
pub const BATCH: usize = 64;

/// Room for the one control message that names the source address of a datagram.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 48]);

/// One datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where to.
    pub peer: SocketAddr,
    /// From which of our addresses; None leaves it to the socket.
    pub source: Option<IpAddr>,
    /// What, one piece after the other.
    pub pieces: [&'a [u8]; 2],
}

/// What became of a sequence of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams that are settled, sent or refused; the next was not tried.
    pub settled: usize,
    /// Of these, refused by the kernel.
    pub refused: usize,
    /// Octets of those that were sent.
    pub octets: usize,
    /// Whether the send buffer was full.
    pub is_stalled: bool,
}

/// The headers of a call, allocated once per shard.
pub struct SendBatch {
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    parts: Vec<[iovec; 2]>,
    headers: Vec<mmsghdr>,
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SendBatch").finish_non_exhaustive()
    }
}

impl SendBatch {
    /// Empty headers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            names: vec![address::empty(); BATCH],
            controls: vec![Control([0; 48]); BATCH],
            parts: vec![
                [iovec {
                    iov_base: ptr::null_mut(),
                    iov_len: 0
                }; 2];
                BATCH
            ],
            headers: vec![empty_header(); BATCH],
        }
    }

    /// Sends `count` datagrams, `datagram(0)` first.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        count: usize,
        datagram: impl Fn(usize) -> Datagram<'a>,
    ) -> Sent {
        let mut sent = Sent::default();
        while sent.settled < count && !sent.is_stalled {
            let batch = (count - sent.settled).min(BATCH);
            for slot in 0..batch {
                self.fill(slot, &datagram(sent.settled + slot));
            }
            self.send_slots(socket, batch, &mut sent);
        }
        sent
    }

    /// Sends the first `batch` slots, over the refused ones.
    fn send_slots(&mut self, socket: BorrowedFd<'_>, batch: usize, sent: &mut Sent) {
        let mut slot = 0;
        while slot < batch {
            match self.call(socket, slot, batch) {
                Ok(taken) => {
                    sent.octets += self.headers[slot..slot + taken]
                        .iter()
                        .map(|header| header.msg_len as usize)
                        .sum::<usize>();
                    sent.settled += taken;
                    slot += taken;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sent.is_stalled = true;
                    return;
                }
                Err(error) => {
                    tracing::trace!(%error, "datagram refused");
                    sent.refused += 1;
                    sent.settled += 1;
                    slot += 1;
                }
            }
        }
    }

    /// One system call for the slots from `first` up to `end`. An error is that of the slot
    /// `first`; later ones end the call early.
    #[allow(unsafe_code, reason = "sendmmsg has no safe wrapper here")]
    fn call(&mut self, socket: BorrowedFd<'_>, first: usize, end: usize) -> io::Result<usize> {
        let headers = &mut self.headers[first..end];
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the descriptor is open while borrowed. `fill` made every header of the range
        // point to this batch's own names, parts and controls, and to pieces its caller keeps
        // borrowed through `send`; the kernel only reads them.
        let taken = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                flags as _,
            )
        };
        if taken < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(taken as usize)
        }
    }

    fn fill(&mut self, slot: usize, datagram: &Datagram<'_>) {
        let parts = &mut self.parts[slot];
        for (part, piece) in parts.iter_mut().zip(datagram.pieces) {
            part.iov_base = piece.as_ptr().cast_mut().cast();
            part.iov_len = piece.len();
        }
        let header = &mut self.headers[slot].msg_hdr;
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = if datagram.pieces[1].is_empty() { 1 } else { 2 };
        let name = &mut self.names[slot];
        header.msg_namelen = address::encode(datagram.peer, name);
        header.msg_name = ptr::from_mut(name).cast();
        let control = &mut self.controls[slot];
        let control_octets = datagram
            .source
            .map_or(0, |source| write_source(source, control));
        header.msg_control = if control_octets == 0 {
            ptr::null_mut()
        } else {
            control.0.as_mut_ptr().cast()
        };
        header.msg_controllen = control_octets;
    }
}

/// Names the source address of a datagram; the interface is left to the routing table.
fn write_source(source: IpAddr, control: &mut Control) -> usize {
    match source {
        IpAddr::V4(ip) => {
            let ipi_spec_dst = libc::in_addr {
                s_addr: u32::from_ne_bytes(ip.octets()),
            };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst,
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            write_control(control, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(ip) => {
            let ipi6_addr = libc::in6_addr {
                s6_addr: ip.octets(),
            };
            let info = libc::in6_pktinfo {
                ipi6_addr,
                ipi6_ifindex: 0,
            };
            write_control(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

#[allow(unsafe_code, reason = "control messages are laid out by pointer")]
fn write_control<T>(
    control: &mut Control,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
    let octets = size_of::<T>() as libc::c_uint;
    // SAFETY: these two only compute.
    let (length, space) = unsafe {
        (
            libc::CMSG_LEN(octets) as usize,
            libc::CMSG_SPACE(octets) as usize,
        )
    };
    assert!(
        space <= size_of::<Control>(),
        "the room is made for the longer of the two"
    );
    let place = control.0.as_mut_ptr().cast::<cmsghdr>();
    // SAFETY: `place` is aligned for cmsghdr and has room for it and, checked above, for the value
    // behind it.
    unsafe {
        (*place).cmsg_len = length as _;
        (*place).cmsg_level = level;
        (*place).cmsg_type = kind;
        libc::CMSG_DATA(place).cast::<T>().write_unaligned(value);
    }
    space
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::net::bind;

    fn client() -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        client
    }

    #[test]
    fn pieces_arrive_as_one_datagram_in_order() {
        let (_, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let client = client();
        let peer = client.local_addr().unwrap();
        let heads: Vec<String> = (0..150).map(|number| format!("head {number} ")).collect();
        let mut batch = SendBatch::new();
        let sent = batch.send(sockets[0].as_fd(), heads.len(), |index| Datagram {
            peer,
            source: None,
            pieces: [
                heads[index].as_bytes(),
                if index % 2 == 0 { b"tail" } else { b"" },
            ],
        });
        assert_eq!(
            (sent.settled, sent.refused, sent.is_stalled),
            (150, 0, false)
        );
        let mut buffer = [0; 64];
        let mut octets = 0;
        for (index, head) in heads.iter().enumerate() {
            let length = client.recv(&mut buffer).unwrap();
            octets += length;
            let expected = format!("{head}{}", if index % 2 == 0 { "tail" } else { "" });
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
        assert_eq!(sent.octets, octets);
    }

    #[test]
    fn a_refused_datagram_does_not_stop_the_others() {
        let (_, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let client = client();
        let peer = client.local_addr().unwrap();
        let long = vec![b'x'; 65_535];
        // Too long for UDP, and of a family this socket does not speak.
        let refused: SocketAddr = "[::1]:9".parse().unwrap();
        let sent = SendBatch::new().send(sockets[0].as_fd(), 5, |index| match index {
            0 | 2 => Datagram {
                peer,
                source: None,
                pieces: [&long, b"y"],
            },
            4 => Datagram {
                peer: refused,
                source: None,
                pieces: [b"z", b""],
            },
            _ => Datagram {
                peer,
                source: None,
                pieces: [b"good", b""],
            },
        });
        assert_eq!((sent.settled, sent.refused, sent.octets), (5, 3, 8));
        let mut buffer = [0; 16];
        for _ in 0..2 {
            assert_eq!(client.recv(&mut buffer).unwrap(), 4);
        }
    }

    #[test]
    fn a_wildcard_socket_answers_from_the_address_it_was_asked_on() {
        for (wildcard, source) in [("0.0.0.0:0", "127.0.0.3"), ("[::]:0", "::1")] {
            let (address, sockets) = bind::udp(wildcard.parse().unwrap(), 1).unwrap();
            let source: IpAddr = source.parse().unwrap();
            let Ok(client) = UdpSocket::bind((source, 0)) else {
                continue;
            };
            let peer = client.local_addr().unwrap();
            let datagram = |_| Datagram {
                peer,
                source: Some(source),
                pieces: [b"answer", b""],
            };
            assert_eq!(
                SendBatch::new()
                    .send(sockets[0].as_fd(), 1, datagram)
                    .refused,
                0
            );
            client
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let (_, from) = client.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(from, SocketAddr::new(source, address.port()));
        }
    }
}
