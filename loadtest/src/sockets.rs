//! The system calls that the standard library does not offer: epoll, batches of datagrams, socket
//! buffers, descriptor limits.
//!
//! The only file of this crate with `unsafe` in it. Every function is safe to call with any
//! arguments: the pointers given to the kernel are to slices borrowed for the length of the call.
#![allow(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and epoll have no safe form in std"
)]

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::ptr;
use std::time::Duration;

/// Datagrams taken or given by one system call.
pub(crate) const BATCH: usize = 32;
/// The largest datagram there is, so that none is ever cut.
const DATAGRAM_OCTETS_MAX: usize = 65_535;
/// Descriptors looked at by one wait.
const EVENTS_MAX: usize = 256;

/// Waits for many descriptors at once.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

/// A descriptor that can be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) key: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor that comes back belongs to nobody else.
        let epoll = unsafe {
            let descriptor = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(descriptor)
        };
        Ok(Self { epoll })
    }

    /// Watches a descriptor for reading.
    pub(crate) fn add(&self, socket: &impl AsRawFd, key: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, key, false)
    }

    /// Watches it for writing too, or no longer.
    pub(crate) fn modify(&self, socket: &impl AsRawFd, key: u32, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket, key, write)
    }

    fn control(
        &self,
        operation: i32,
        socket: &impl AsRawFd,
        key: u32,
        write: bool,
    ) -> io::Result<()> {
        let events = if write {
            libc::EPOLLIN | libc::EPOLLOUT
        } else {
            libc::EPOLLIN
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

    /// Fills `ready` with what is ready now or becomes so within `timeout`, to the nanosecond.
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

/// Room for one batch of received datagrams.
#[derive(Debug)]
pub(crate) struct ReceiveBatch {
    buffers: Vec<u8>,
    lengths: Vec<usize>,
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![0; BATCH * DATAGRAM_OCTETS_MAX],
            lengths: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what waits at a connected socket, without blocking. An error of the socket (nobody
    /// listens at the other end) counts as nothing.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.lengths.clear();
        // SAFETY: all-zero is a valid mmsghdr: null pointers, zero lengths.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let mut vectors = [libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: DATAGRAM_OCTETS_MAX,
        }; BATCH];
        let buffers = self.buffers.chunks_exact_mut(DATAGRAM_OCTETS_MAX);
        for ((header, vector), buffer) in headers.iter_mut().zip(&mut vectors).zip(buffers) {
            vector.iov_base = buffer.as_mut_ptr().cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each header points to one iovec, each iovec to a buffer of its length of its own;
        // arrays and buffers outlive the call, and nothing else touches them meanwhile.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        match check(count) {
            Ok(count) => {
                let received = &headers[..count as usize];
                self.lengths
                    .extend(received.iter().map(|header| header.msg_len as usize));
                Ok(())
            }
            Err(error) if is_transient(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What was received last.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let buffers = self.buffers.chunks_exact(DATAGRAM_OCTETS_MAX);
        buffers
            .zip(&self.lengths)
            .map(|(buffer, &length)| &buffer[..length])
    }
}

/// Sends up to [`BATCH`] datagrams over a connected socket, without blocking; returns how many were
/// taken.
pub(crate) fn send_batch(socket: &UdpSocket, datagrams: &[&[u8]]) -> io::Result<usize> {
    let count = datagrams.len().min(BATCH);
    // SAFETY: all-zero is a valid mmsghdr: null pointers, zero lengths.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let mut vectors = [libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }; BATCH];
    for ((header, vector), datagram) in headers.iter_mut().zip(&mut vectors).zip(datagrams) {
        vector.iov_base = datagram.as_ptr().cast_mut().cast();
        vector.iov_len = datagram.len();
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: `count` headers, each pointing to one iovec, each to a datagram the kernel only
    // reads; all of them outlive the call.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT as _,
        )
    };
    match check(sent) {
        Ok(sent) => Ok(sent as usize),
        Err(error) if is_transient(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Asks for a receive buffer of so many octets; the kernel may give less.
pub(crate) fn set_receive_buffer(socket: &impl AsRawFd, octets: i32) -> io::Result<()> {
    // SAFETY: the option is an int, and its address is that of a live int of that size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const octets).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    check(result).map(drop)
}

/// Raises the limit of open descriptors as far as it goes without privileges; returns the limit.
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

/// Nothing there, no room, interrupted, or an ICMP error of an earlier datagram: try again later.
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
        let datagrams: Vec<Vec<u8>> = (1..=40_u8).map(|n| vec![n; usize::from(n) * 10]).collect();
        let slices: Vec<&[u8]> = datagrams.iter().map(Vec::as_slice).collect();
        assert_eq!(send_batch(&one, &slices).unwrap(), BATCH);
        assert_eq!(
            send_batch(&one, &slices[BATCH..]).unwrap(),
            slices.len() - BATCH
        );
        let mut batch = ReceiveBatch::new();
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
    fn nobody_at_the_other_end_is_no_error() {
        let (one, two) = pair();
        drop(two);
        assert!(send_batch(&one, &[b"x"]).is_ok());
        let mut batch = ReceiveBatch::new();
        batch.receive(&one).unwrap();
        assert_eq!(batch.datagrams().count(), 0);
    }

    #[test]
    fn the_descriptor_limit_is_known() {
        assert!(raise_descriptor_limit().unwrap() > 0);
    }
}
