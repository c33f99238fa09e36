//! Sends datagrams: many in a system call, each gathered from two pieces of the outbox's arena.
//!
//! Successive datagrams to one peer that are equally long, the last one perhaps shorter, are passed
//! to the kernel as one message, a GSO batch, which it splits just before transmission
//! (UDP_SEGMENT). Most of a datagram's cost is its path through the kernel, which a batch takes only
//! once.
//!
//! Guarantees: order is kept; payload is not copied in user space; nothing is allocated. A datagram
//! the kernel refuses (its peer's network is gone, it is too long) is counted and skipped, the rest
//! of the batch goes out. When the send buffer is full, sending stops and says where. The datagrams
//! of a GSO batch that the kernel refuses are sent one by one. If that works, the batching was the
//! cause (a kernel before 4.18, a device without checksums, a path with a small MTU), and the limit
//! for batches is lowered, finally to none.

use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{io, ptr};

use libc::{cmsghdr, iovec, mmsghdr, sockaddr_storage};

use crate::net::address;
use crate::net::datagram::receive::empty_header;
use crate::net::datagram::{Datagram, Sent};

/// Messages of one call, each a datagram or a GSO batch of them.
const MESSAGES: usize = 64;
/// Pieces of one call: two for each datagram.
const PARTS: usize = 512;
/// Datagrams in one message: as many as every kernel with UDP_SEGMENT takes.
const GSO_DATAGRAMS_MAX: usize = 64;
/// Octets of a message, segmented or not (RFC 768).
const GSO_OCTETS_MAX: usize = 65_507;
/// If only shorter segments than this are accepted, no GSO batches are made.
const SEGMENT_OCTETS_MIN: usize = 256;

/// Room for the control messages of one message: its source address and its segments' length.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

/// The datagrams of one message to the kernel.
#[derive(Clone, Copy, Debug, Default)]
struct GsoBatch {
    datagrams: usize,
    /// Octets of each datagram; the last may be shorter.
    segment_octets: usize,
}

/// The headers of a call, allocated once per socket.
pub(super) struct SendBatch {
    names: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    parts: Vec<iovec>,
    headers: Vec<mmsghdr>,
    /// The datagrams of each message.
    gso_batches: Vec<GsoBatch>,
    /// Octets of the longest datagram that may be part of a GSO batch; 0 when none may.
    segment_octets_max: usize,
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SendBatch").finish_non_exhaustive()
    }
}

impl SendBatch {
    /// Empty headers. Datagrams of up to `segment_octets_max` octets may go in GSO batches.
    #[must_use]
    pub(super) fn new(segment_octets_max: usize) -> Self {
        let no_part = iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            names: vec![address::empty(); MESSAGES],
            controls: vec![Control([0; 64]); MESSAGES],
            parts: vec![no_part; PARTS],
            headers: vec![empty_header(); MESSAGES],
            gso_batches: vec![GsoBatch::default(); MESSAGES],
            segment_octets_max,
        }
    }

    /// Sends `count` datagrams, `datagram(0)` first.
    pub(super) fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        count: usize,
        datagram: impl Fn(usize) -> Datagram<'a>,
    ) -> Sent {
        let mut sent = Sent::default();
        while sent.settled < count && !sent.is_stalled {
            let octets_max = self.segment_octets_max;
            let slots = self.fill_slots(sent.settled..count, octets_max, &datagram);
            let Some((gso_batch, error)) = self.send_slots(socket, slots, &mut sent) else {
                continue;
            };
            sent.segmentation_refused += 1;
            let refused = sent.refused;
            let alone = sent.settled..sent.settled + gso_batch.datagrams;
            let slots = self.fill_slots(alone, 0, &datagram);
            // Datagrams sent one by one are no GSO batch, so none is refused as one.
            let _ = self.send_slots(socket, slots, &mut sent);
            if sent.refused == refused && !sent.is_stalled {
                self.shorten(gso_batch.segment_octets, &error);
            }
        }
        sent
    }

    /// Lowers the limit for GSO batches: one was refused, but not its datagrams one by one.
    fn shorten(&mut self, refused_octets: usize, error: &io::Error) {
        let left = match error.raw_os_error() {
            // A device that does not even compute checksums.
            Some(libc::EIO) => 0,
            Some(libc::EINVAL | libc::EMSGSIZE) => refused_octets / 4 * 3,
            _ => return,
        };
        self.segment_octets_max = if left < SEGMENT_OCTETS_MIN { 0 } else { left };
        let (octets, limit) = (refused_octets, self.segment_octets_max);
        tracing::info!(%error, octets, limit, "the kernel cannot send datagrams in one call");
    }

    /// Sends the first `slots` messages and skips refused datagrams. Stops at a GSO batch that is
    /// refused, and returns it; its datagrams are not settled.
    fn send_slots(
        &mut self,
        socket: BorrowedFd<'_>,
        slots: usize,
        sent: &mut Sent,
    ) -> Option<(GsoBatch, io::Error)> {
        let mut slot = 0;
        while slot < slots {
            match self.call(socket, slot, slots) {
                Ok(taken) => {
                    let headers = &self.headers[slot..slot + taken];
                    for (header, gso_batch) in headers.iter().zip(&self.gso_batches[slot..]) {
                        sent.octets += header.msg_len as usize;
                        sent.settled += gso_batch.datagrams;
                        if gso_batch.datagrams > 1 {
                            sent.segmented += gso_batch.datagrams;
                        }
                    }
                    slot += taken;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sent.is_stalled = true;
                    return None;
                }
                Err(error) if self.gso_batches[slot].datagrams > 1 => {
                    return Some((self.gso_batches[slot], error));
                }
                Err(error) => {
                    tracing::trace!(%error, "the kernel refused a datagram");
                    sent.refused += 1;
                    sent.settled += 1;
                    slot += 1;
                }
            }
        }
        None
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

    /// Fills messages with as many of the datagrams as one call takes; those of up to
    /// `segment_octets_max` octets may form GSO batches. Returns the number of messages.
    fn fill_slots<'a>(
        &mut self,
        datagrams: Range<usize>,
        segment_octets_max: usize,
        datagram: &impl Fn(usize) -> Datagram<'a>,
    ) -> usize {
        let mut rest = datagrams.map(datagram).peekable();
        let (mut slot, mut part) = (0, 0);
        while slot < MESSAGES
            && part + 2 <= PARTS
            && let Some(first) = rest.next()
        {
            let first_part = part;
            part = self.fill_parts(part, &first);
            let mut gso_batch = GsoBatch {
                datagrams: 1,
                segment_octets: first.octets(),
            };
            let mut octets = first.octets();
            let mut is_open = octets <= segment_octets_max;
            while is_open && gso_batch.datagrams < GSO_DATAGRAMS_MAX && part + 2 <= PARTS {
                let joins = |next: &Datagram<'_>| {
                    (next.peer, next.source) == (first.peer, first.source)
                        && (1..=gso_batch.segment_octets).contains(&next.octets())
                        && octets + next.octets() <= GSO_OCTETS_MAX
                };
                let Some(next) = rest.next_if(joins) else {
                    break;
                };
                part = self.fill_parts(part, &next);
                gso_batch.datagrams += 1;
                octets += next.octets();
                is_open = next.octets() == gso_batch.segment_octets;
            }
            self.fill(slot, &first, first_part..part, gso_batch);
            slot += 1;
        }
        slot
    }

    /// Points parts to a datagram's pieces; returns the next free part.
    fn fill_parts(&mut self, first: usize, datagram: &Datagram<'_>) -> usize {
        let mut next = first;
        for piece in datagram.pieces {
            if piece.is_empty() && next > first {
                break;
            }
            self.parts[next] = iovec {
                iov_base: piece.as_ptr().cast_mut().cast(),
                iov_len: piece.len(),
            };
            next += 1;
        }
        next
    }

    fn fill(
        &mut self,
        slot: usize,
        first: &Datagram<'_>,
        parts: Range<usize>,
        gso_batch: GsoBatch,
    ) {
        let header = &mut self.headers[slot].msg_hdr;
        header.msg_iovlen = parts.len();
        header.msg_iov = self.parts[parts].as_mut_ptr();
        let name = &mut self.names[slot];
        header.msg_namelen = address::encode(first.peer, name);
        header.msg_name = ptr::from_mut(name).cast();
        let control = &mut self.controls[slot];
        let mut octets = first
            .source
            .map_or(0, |source| write_source(source, control));
        if gso_batch.datagrams > 1 {
            let segment_octets = gso_batch.segment_octets as u16;
            let (level, kind) = (libc::SOL_UDP, libc::UDP_SEGMENT);
            octets += write_control(control, octets, level, kind, segment_octets);
        }
        header.msg_control = if octets == 0 {
            ptr::null_mut()
        } else {
            control.0.as_mut_ptr().cast()
        };
        header.msg_controllen = octets;
        self.gso_batches[slot] = gso_batch;
    }
}

/// Writes the source address of a datagram; the routing table chooses the interface.
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
            write_control(control, 0, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(ip) => {
            let ipi6_addr = libc::in6_addr {
                s6_addr: ip.octets(),
            };
            let info = libc::in6_pktinfo {
                ipi6_addr,
                ipi6_ifindex: 0,
            };
            write_control(control, 0, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

/// Writes a control message at the offset `start`; returns how many octets it takes.
#[allow(unsafe_code, reason = "control messages are laid out by pointer")]
fn write_control<T>(
    control: &mut Control,
    start: usize,
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
        start.is_multiple_of(align_of::<cmsghdr>()) && start + space <= size_of::<Control>(),
        "the room is made for the longest two"
    );
    let place = control.0[start..].as_mut_ptr().cast::<cmsghdr>();
    // SAFETY: `place` is aligned for cmsghdr, as the room's begin and, checked above, `start` are,
    // and has room for it and, checked above, for the value behind it.
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
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::net::{bind, kernel_options};

    fn client() -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&client)
            .set_recv_buffer_size(1 << 20)
            .unwrap();
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
        let mut batch = SendBatch::new(1400);
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
        let sent = SendBatch::new(1400).send(sockets[0].as_fd(), 5, |index| match index {
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

    /// Datagrams of these lengths, each with octets of its own, are sent and received.
    fn exchange(batch: &mut SendBatch, lengths: &[usize]) -> Sent {
        let (_, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let client = client();
        let peer = client.local_addr().unwrap();
        let texts: Vec<Vec<u8>> = (0u8..)
            .zip(lengths)
            .map(|(number, octets)| vec![number; *octets])
            .collect();
        let sent = batch.send(sockets[0].as_fd(), texts.len(), |index| {
            let (head, tail) = texts[index].split_at(texts[index].len() / 2);
            Datagram {
                peer,
                source: None,
                pieces: [head, tail],
            }
        });
        let mut buffer = vec![0; 4096];
        for (index, text) in texts.iter().enumerate() {
            let octets = client.recv(&mut buffer).unwrap();
            assert!(buffer[..octets] == **text, "datagram {index} is as it was");
        }
        assert_eq!(sent.octets, lengths.iter().sum::<usize>());
        assert_eq!((sent.settled, sent.refused), (lengths.len(), 0));
        sent
    }

    #[test]
    fn equally_long_datagrams_to_one_peer_are_sent_in_one_call() {
        let equal = exchange(&mut SendBatch::new(1400), &[900; 70]);
        assert_eq!((equal.segmented, equal.segmentation_refused), (70, 0));
        // A shorter one ends a GSO batch, a longer one begins another.
        let mixed = exchange(
            &mut SendBatch::new(1400),
            &[900, 900, 880, 900, 910, 910, 300, 1],
        );
        assert_eq!(mixed.segmented, 3 + 3, "900 900 880, 900, 910 910 300, 1");
        // Too long for a segment.
        assert_eq!(exchange(&mut SendBatch::new(1400), &[1401; 8]).segmented, 0);
        // As many as a message holds: 46 of 1,400.
        assert_eq!(
            exchange(&mut SendBatch::new(1400), &[1400; 100]).segmented,
            100
        );
    }

    #[test]
    fn datagrams_to_different_peers_are_not_merged() {
        let (_, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let clients = [client(), client()];
        let peers = clients.each_ref().map(|one| one.local_addr().unwrap());
        // Two to the first, one to the second, and so on.
        let sent = SendBatch::new(1400).send(sockets[0].as_fd(), 30, |index| Datagram {
            peer: peers[usize::from(index % 3 == 2)],
            source: None,
            pieces: [b"equal", b""],
        });
        assert_eq!((sent.settled, sent.segmented), (30, 20));
        for (one, expected) in clients.iter().zip([20, 10]) {
            let mut buffer = [0; 64];
            for _ in 0..expected {
                assert_eq!(one.recv(&mut buffer).unwrap(), 5);
            }
        }
    }

    /// No peer can be reached at port 0, by one datagram or by a batch: that is not the kernel's fault.
    #[test]
    fn an_unreachable_peer_does_not_split_the_batch_of_others() {
        let (_, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let mut batch = SendBatch::new(1400);
        for _ in 0..10 {
            let sent = batch.send(sockets[0].as_fd(), 3, |_| Datagram {
                peer: "127.0.0.1:0".parse().unwrap(),
                source: None,
                pieces: [b"equal", b""],
            });
            assert_eq!(
                (sent.settled, sent.refused, sent.segmentation_refused),
                (3, 3, 1)
            );
        }
        assert_eq!(exchange(&mut batch, &[900; 8]).segmented, 8);
    }

    /// Without checksums the kernel takes no GSO batch; a socket that sends none stands for
    /// a device that can compute none.
    #[test]
    fn if_gso_is_refused_datagrams_go_one_by_one_from_then_on() {
        let (_, sockets) = bind::udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let socket = sockets[0].as_fd();
        kernel_options::set(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
        let client = client();
        let peer = client.local_addr().unwrap();
        let mut batch = SendBatch::new(1400);
        let mut refused = Vec::new();
        for _ in 0..12 {
            let sent = batch.send(sockets[0].as_fd(), 6, |_| Datagram {
                peer,
                source: None,
                pieces: [&[b'x'; 900], b""],
            });
            assert_eq!((sent.settled, sent.refused, sent.segmented), (6, 0, 0));
            refused.push(sent.segmentation_refused);
            for _ in 0..6 {
                assert_eq!(client.recv(&mut [0; 1000]).unwrap(), 900);
            }
        }
        assert_eq!(refused[0], 1, "tried once");
        assert_eq!(refused[1..], [0; 11], "and never again at that length");
        let exchanged = exchange(&mut batch, &[600; 4]);
        assert_eq!(exchanged.segmented, 4, "shorter ones still go");
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
                pieces: [b"response", b""],
            };
            assert_eq!(
                SendBatch::new(1400)
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
