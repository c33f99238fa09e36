//! System calls that the standard library does not offer: epoll, batches of datagrams, socket
//! buffers, descriptor limits.
//!
//! The only file of this crate with `unsafe` code. Every function is safe to call with any
//! arguments: the pointers given to the kernel are to slices borrowed for the duration of the call.
#![allow(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and epoll have no safe form in std"
)]

use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;
use std::{io, mem, ptr};

/// Datagrams received or sent by one system call.
pub(crate) const BATCH: usize = 64;
/// The maximum length of a datagram, so that none is ever truncated.
const DATAGRAM_OCTETS_MAX: usize = 65_535;
/// Distance between two buffers: not a power of two, because otherwise all of them would share the
/// same few lines of the CPU's cache.
const BUFFER_STRIDE: usize = 65_536 + 17 * 64;
/// Maximum datagrams sent as one by UDP GSO, and their maximum total length.
const SEGMENTS_MAX: usize = 64;
const SEGMENTED_OCTETS_MAX: usize = 60_000;
/// Maximum descriptors returned by one wait.
const EVENTS_MAX: usize = 256;

/// Waits for many descriptors at once.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

/// A descriptor that is ready for reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) key: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the returned descriptor has no other owner.
        let epoll = unsafe {
            let descriptor = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(descriptor)
        };
        Ok(Self { epoll })
    }

    /// Watches a descriptor for reading.
    pub(crate) fn add(&self, socket: &impl AsRawFd, key: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, key, false, false)
    }

    /// Watches a descriptor for reading, edge-triggered: the caller must read until it is empty.
    pub(crate) fn add_edge(&self, socket: &impl AsRawFd, key: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, key, false, true)
    }

    /// Starts or stops watching it for writing too.
    pub(crate) fn modify(&self, socket: &impl AsRawFd, key: u32, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket, key, write, false)
    }

    fn control(
        &self,
        operation: i32,
        socket: &impl AsRawFd,
        key: u32,
        write: bool,
        edge: bool,
    ) -> io::Result<()> {
        let events = match (edge, write) {
            (true, _) => libc::EPOLLIN | libc::EPOLLET,
            (false, true) => libc::EPOLLIN | libc::EPOLLOUT,
            (false, false) => libc::EPOLLIN,
        };
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: u64::from(key),
        };
        // SAFETY: `event` lives until the call returns; the kernel copies it.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                operation,
                socket.as_raw_fd(),
                &raw mut event,
            )
        };
        check(result).map(drop)
    }

    /// Fills `ready` with the descriptors that are ready now or within `timeout`, which is exact to
    /// the nanosecond.
    pub(crate) fn wait(&self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.collect(ready)?;
        if ready.is_empty() && !timeout.is_zero() {
            let mut poll = libc::pollfd {
                fd: self.epoll.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            let limit = libc::timespec {
                tv_sec: timeout.as_secs().min(3600) as libc::time_t,
                tv_nsec: timeout.subsec_nanos().into(),
            };
            // SAFETY: one pollfd and one timespec that live until the call returns; no signal mask.
            let result = unsafe { libc::ppoll(&raw mut poll, 1, &raw const limit, ptr::null()) };
            match check(result) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
                other => other?,
            };
            self.collect(ready)?;
        }
        Ok(())
    }

    fn collect(&self, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        // SAFETY: the kernel writes at most EVENTS_MAX events into the array, which outlives the
        // call.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                EVENTS_MAX as i32,
                0,
            )
        };
        let count = match check(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => other? as usize,
        };
        ready.extend(events[..count].iter().map(|event| Ready {
            key: event.u64 as u32,
            readable: event.events & !(libc::EPOLLOUT as u32) != 0,
            writable: event.events & libc::EPOLLOUT as u32 != 0,
        }));
        Ok(())
    }
}

/// Buffers for one batch of received datagrams, with all kernel structures prepared once.
pub(crate) struct ReceiveBatch {
    headers: Box<[libc::mmsghdr]>,
    /// The targets of pointers in the headers; accessed only through them.
    _vectors: Box<[libc::iovec]>,
    buffers: Vec<u8>,
    controls: Box<[Control]>,
    coalesced: bool,
    count: usize,
}

/// Ancillary data of one message: room for the single integer that UDP GRO and GSO use.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control {
    header: libc::cmsghdr,
    value: [u8; 8],
}

impl ReceiveBatch {
    /// `coalesced`: sockets may have [`set_coalescing`] enabled.
    pub(crate) fn new(coalesced: bool) -> Self {
        let mut buffers = vec![0; BATCH * BUFFER_STRIDE];
        // SAFETY: all-zero is a valid Control, iovec and mmsghdr: integers and null pointers.
        let (mut controls, mut vectors, mut headers) = unsafe {
            (
                vec![mem::zeroed::<Control>(); BATCH].into_boxed_slice(),
                vec![mem::zeroed::<libc::iovec>(); BATCH].into_boxed_slice(),
                vec![mem::zeroed::<libc::mmsghdr>(); BATCH].into_boxed_slice(),
            )
        };
        for (index, header) in headers.iter_mut().enumerate() {
            let buffer = &mut buffers[index * BUFFER_STRIDE..][..DATAGRAM_OCTETS_MAX];
            vectors[index].iov_base = buffer.as_mut_ptr().cast();
            vectors[index].iov_len = buffer.len();
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            if coalesced {
                header.msg_hdr.msg_control = (&raw mut controls[index]).cast();
            }
        }
        Self {
            headers,
            _vectors: vectors,
            buffers,
            controls,
            coalesced,
            count: 0,
        }
    }

    /// Receives from a socket without blocking. Returns false if there may be more. A socket error
    /// (no socket listens at the other end) counts as no data.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        if self.coalesced {
            for header in &mut self.headers {
                header.msg_hdr.msg_controllen = size_of::<Control>() as _;
            }
        }
        // SAFETY: `new` pointed each header to an iovec, and each iovec to its own buffer of its
        // length; they are on the heap and live as long as `self`, which is borrowed mutably.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        self.count = match check(count) {
            Ok(count) => count as usize,
            Err(error) if is_transient(&error) => 0,
            Err(error) => return Err(error),
        };
        Ok(self.count < BATCH)
    }

    /// The datagrams of the last call.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).flat_map(|index| {
            let length = self.headers[index].msg_len as usize;
            let bytes = &self.buffers[index * BUFFER_STRIDE..][..length];
            bytes.chunks(self.segment(index).unwrap_or(length).max(1))
        })
    }

    /// The length of the datagrams that the kernel coalesced into one.
    fn segment(&self, index: usize) -> Option<usize> {
        let control = self.coalesced.then(|| &self.controls[index])?;
        let control_octets = self.headers[index].msg_hdr.msg_controllen;
        let is_segment = control_octets >= size_of::<libc::cmsghdr>() + size_of::<i32>()
            && control.header.cmsg_level == libc::SOL_UDP
            && control.header.cmsg_type == libc::UDP_GRO;
        let [a, b, c, d, ..] = control.value;
        let length = i32::from_ne_bytes([a, b, c, d]);
        (is_segment && length > 0).then_some(length as usize)
    }
}

/// Structures for one batch of datagrams to send.
pub(crate) struct SendBatch {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in]>,
}

impl SendBatch {
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero is a valid iovec, sockaddr_in and mmsghdr: integers and null pointers.
        let (mut vectors, names, mut headers) = unsafe {
            (
                vec![mem::zeroed::<libc::iovec>(); BATCH].into_boxed_slice(),
                vec![mem::zeroed::<libc::sockaddr_in>(); BATCH].into_boxed_slice(),
                vec![mem::zeroed::<libc::mmsghdr>(); BATCH].into_boxed_slice(),
            )
        };
        for (header, vector) in headers.iter_mut().zip(&mut vectors) {
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        Self {
            headers,
            vectors,
            names,
        }
    }

    /// Sends up to [`BATCH`] datagrams without blocking, to the connected address or each to its
    /// own. Returns how many the kernel accepted.
    pub(crate) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        datagrams: impl Iterator<Item = (&'a [u8], Option<SocketAddrV4>)>,
    ) -> io::Result<usize> {
        let mut count = 0;
        for (index, (datagram, to)) in datagrams.take(BATCH).enumerate() {
            self.vectors[index].iov_base = datagram.as_ptr().cast_mut().cast();
            self.vectors[index].iov_len = datagram.len();
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::null_mut();
            header.msg_namelen = 0;
            if let Some(to) = to {
                let name = &mut self.names[index];
                *name = name_of(to);
                header.msg_name = (&raw mut *name).cast();
                header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            count += 1;
        }
        // SAFETY: `count` headers, each pointing to one iovec and at most one name, both on the
        // heap; each iovec to a datagram the kernel only reads and that is borrowed for `'a`.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
            )
        };
        match check(sent) {
            Ok(sent) => Ok(sent as usize),
            Err(error) if is_transient(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// The number of datagrams of that length that [`send_segments`] accepts.
pub(crate) fn segments_max(length: usize) -> usize {
    (SEGMENTED_OCTETS_MAX / length.max(1)).clamp(1, SEGMENTS_MAX)
}

/// An address in the kernel's format.
fn name_of(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

/// Sends consecutive datagrams of equal length with one system call and one pass through the
/// network stack (UDP GSO), to the connected address or to a given one. Returns false if this is
/// not supported, or not possible now.
pub(crate) fn send_segments(
    socket: &UdpSocket,
    to: Option<SocketAddrV4>,
    bytes: &[u8],
    length: u16,
) -> bool {
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let [a, b] = length.to_ne_bytes();
    let octets = size_of::<libc::cmsghdr>() + size_of::<u16>();
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: octets as _,
            cmsg_level: libc::SOL_UDP,
            cmsg_type: libc::UDP_SEGMENT,
        },
        value: [a, b, 0, 0, 0, 0, 0, 0],
    };
    // SAFETY: all-zero is a valid msghdr.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    let mut name = to.map(name_of);
    if let Some(name) = &mut name {
        header.msg_name = (&raw mut *name).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    }
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<Control>() as _;
    // SAFETY: header, name, iovec and control outlive the call; the kernel only reads the bytes.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    sent == bytes.len() as isize
}

/// Lets the kernel coalesce datagrams of one peer (UDP GRO).
pub(crate) fn set_coalescing(socket: &impl AsRawFd) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Requests a receive buffer of that many octets, beyond the system's limit if this process is
/// allowed to; the kernel may grant less.
pub(crate) fn set_receive_buffer(socket: &impl AsRawFd, octets: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, octets))
}

fn set_option(socket: &impl AsRawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the option is an int, and its address is that of a live int of that size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    check(result).map(drop)
}

/// Binds the calling thread to one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: all-zero is an empty cpu_set_t; CPU_SET ignores what is too large; the kernel reads
    // the set during the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cpu.min(libc::CPU_SETSIZE as usize - 1), &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    check(result).map(drop)
}

/// CPU time that the calling thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec. The clock exists everywhere; at worst nothing is
    // written and the time is zero.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Raises the limit of open descriptors as far as possible without privileges. Returns the limit.
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads one rlimit.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// No data, no room, interrupted, or an ICMP error of an earlier datagram: try again later.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    ) || error.raw_os_error() == Some(libc::ENOBUFS)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (one, two) = (bind(), bind());
        one.connect(two.local_addr().unwrap()).unwrap();
        two.connect(one.local_addr().unwrap()).unwrap();
        (one, two)
    }

    #[test]
    fn batches_arrive_whole_and_in_order() {
        let (one, two) = pair();
        set_receive_buffer(&two, 1 << 20).unwrap();
        let datagrams: Vec<Vec<u8>> = (1..=80_u8).map(|n| vec![n; usize::from(n) * 10]).collect();
        let slices: Vec<&[u8]> = datagrams.iter().map(Vec::as_slice).collect();
        let mut sender = SendBatch::new();
        let mut send = |from: usize| {
            let left = slices[from..].iter().map(|&one| (one, None));
            sender.send(&one, left).unwrap()
        };
        assert_eq!(send(0), BATCH);
        assert_eq!(send(BATCH), slices.len() - BATCH);
        let mut batch = ReceiveBatch::new(false);
        let mut received = Vec::new();
        while received.len() < slices.len() {
            batch.receive(&two).unwrap();
            received.extend(batch.datagrams().map(<[u8]>::to_vec));
        }
        assert_eq!(received, datagrams);
        batch.receive(&two).unwrap();
        assert_eq!(batch.datagrams().count(), 0);
    }

    #[test]
    fn a_wait_ends_with_a_datagram_or_in_time() {
        let (one, two) = pair();
        let poller = Poller::new().unwrap();
        poller.add(&two, 7).unwrap();
        let mut ready = Vec::new();
        let start = Instant::now();
        poller.wait(Duration::from_micros(300), &mut ready).unwrap();
        assert!(ready.is_empty() && start.elapsed() >= Duration::from_micros(300));
        one.send(b"x").unwrap();
        poller.wait(Duration::from_secs(10), &mut ready).unwrap();
        assert_eq!(
            ready,
            [Ready {
                key: 7,
                readable: true,
                writable: false
            }]
        );
        poller.modify(&two, 7, true).unwrap();
        poller.wait(Duration::ZERO, &mut ready).unwrap();
        assert_eq!(
            ready,
            [Ready {
                key: 7,
                readable: true,
                writable: true
            }]
        );
    }

    #[test]
    fn a_port_without_a_listener_is_not_an_error() {
        let (one, two) = pair();
        drop(two);
        let one_datagram = [(b"x".as_slice(), None)];
        assert!(
            SendBatch::new()
                .send(&one, one_datagram.into_iter())
                .is_ok()
        );
        let mut batch = ReceiveBatch::new(false);
        batch.receive(&one).unwrap();
        assert_eq!(batch.datagrams().count(), 0);
    }

    #[test]
    fn each_datagram_goes_to_its_own_address() {
        let (one, two) = pair();
        let three = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = |socket: &UdpSocket| match socket.local_addr().unwrap() {
            std::net::SocketAddr::V4(address) => Some(address),
            std::net::SocketAddr::V6(_) => None,
        };
        let mail = [(b"1".as_slice(), address(&one)), (b"2", address(&two))];
        // `one` and `two` are connected to each other and accept nothing from other addresses.
        assert_eq!(SendBatch::new().send(&three, mail.into_iter()).unwrap(), 2);
        let mail = [(b"3".as_slice(), address(&three))];
        let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        SendBatch::new().send(&stranger, mail.into_iter()).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(three.recv(&mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], b'3');
    }

    #[test]
    fn datagrams_sent_as_one_arrive_as_many() {
        let (one, two) = pair();
        set_coalescing(&two).unwrap();
        let bytes: Vec<u8> = (0..1000_u32).map(|n| (n / 100) as u8).collect();
        assert!(send_segments(&one, None, &bytes[..950], 100));
        let mut batch = ReceiveBatch::new(true);
        let mut received = Vec::new();
        while received.len() < 10 {
            batch.receive(&two).unwrap();
            received.extend(batch.datagrams().map(<[u8]>::to_vec));
        }
        assert_eq!(received[3], vec![3; 100]);
        assert_eq!(received[9], vec![9; 50]);
    }

    #[test]
    fn cpu_time_goes_on() {
        let start = thread_cpu_time();
        while thread_cpu_time() == start {}
        assert!(thread_cpu_time() > start);
    }

    #[test]
    fn the_descriptor_limit_is_known() {
        assert!(raise_descriptor_limit().unwrap() > 0);
    }
}
