//! Functions without a safe wrapper in std: pinning, CPU clocks, epoll, datagrams in batches. The
//! only module with `unsafe`.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Duration;
use std::{fs, io, mem, ptr, thread};

/// Datagrams of one `sendmmsg` or `recvmmsg`.
pub const BATCH: usize = 64;
/// Octets of the longest datagram that is received whole: one of GRO's.
const DATAGRAM_OCTETS: usize = 64 * 1024;

/// Pins the calling thread to one CPU; does nothing if there is no such CPU.
pub fn pin(cpu: usize) {
    set_affinity(cpu..cpu + 1);
}

/// CPUs of the machine.
#[must_use]
pub fn cpus() -> usize {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let is_cpu = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    text.lines().filter(is_cpu).count().max(1)
}

/// Starts a child that may run anywhere, although the calling thread is pinned.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    anywhere(|| command.spawn())?
}

/// Runs `work` on a thread that may run on any CPU. Threads and children that it starts may too.
pub fn anywhere<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let run = || {
        set_affinity(0..cpus());
        work()
    };
    let outcome = thread::scope(|scope| scope.spawn(run).join());
    outcome.map_err(|_| io::Error::other("a thread without a CPU of its own panicked"))
}

#[allow(unsafe_code, reason = "sched_setaffinity has no safe wrapper")]
fn set_affinity(cpus: Range<usize>) {
    // SAFETY: a cpu_set_t is bits, all of which may be zero; the macro ignores what lies beyond it
    // and the call reads it alone.
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        cpus.for_each(|cpu| libc::CPU_SET(cpu, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// Lets other threads of the same CPU run first from now on: the calling thread is less urgent.
#[allow(unsafe_code, reason = "setpriority has no safe wrapper")]
pub fn step_back() {
    // SAFETY: the call takes numbers; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

/// Allows this process as many open files as it may have.
#[allow(unsafe_code, reason = "the limits have no safe wrapper")]
pub fn raise_open_files() {
    // SAFETY: both calls use one rlimit, which lives through them.
    unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Stops a process until [`go_on`].
pub fn stop(process: u32) -> io::Result<()> {
    signal(process, libc::SIGSTOP)
}

/// Lets a process go on that was stopped.
pub fn go_on(process: u32) -> io::Result<()> {
    signal(process, libc::SIGCONT)
}

#[allow(unsafe_code, reason = "kill has no safe wrapper")]
fn signal(process: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    match unsafe { libc::kill(process as libc::pid_t, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPU time the calling thread has used.
#[must_use]
#[allow(unsafe_code, reason = "clock_gettime has no safe wrapper")]
pub fn thread_cpu() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The threads of a process, by name.
pub fn threads(process: u32) -> io::Result<Vec<(u32, String)>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = entry?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let Some(id) = id else { continue };
        // A thread may end between the two reads.
        if let Ok(name) = fs::read_to_string(path.join("comm")) {
            threads.push((id, name.trim_end().to_owned()));
        }
    }
    Ok(threads)
}

/// CPU time a thread of another process has used; exact while it sleeps, up to a tick old while it
/// runs.
pub fn task_cpu(process: u32, thread: u32) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat"))?;
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|text| text.parse().ok());
    nanos
        .map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other("a schedstat without numbers"))
}

/// CPU time of all threads of a process that live.
pub fn process_cpu(process: u32) -> io::Result<Duration> {
    let threads = threads(process)?;
    Ok(threads
        .iter()
        .filter_map(|(thread, _)| task_cpu(process, *thread).ok())
        .sum())
}

/// Children of a process, and theirs.
pub fn descendants(process: u32) -> Vec<u32> {
    let mut found = vec![process];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        found.extend(
            children
                .split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
        next += 1;
    }
    found
}

/// Memory of a process in octets: its private memory, and its part of shared memory.
pub fn memory_octets(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find(|line| line.starts_with("Pss:"));
    let kilo: Option<u64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kilo.map(|kilo| kilo * 1024)
        .ok_or_else(|| io::Error::other("a smaps_rollup without Pss"))
}

/// Datagrams that the kernel dropped because a socket's buffer was full, machine-wide.
#[must_use]
pub fn receive_buffer_errors() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return 0;
    };
    let place = names
        .split_whitespace()
        .position(|name| name == "RcvbufErrors");
    place
        .and_then(|place| values.split_whitespace().nth(place)?.parse().ok())
        .unwrap_or_default()
}

/// A UDP socket on a loopback port of its own, with large buffers.
pub fn socket(buffer_octets: usize) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let value = i32::try_from(buffer_octets).unwrap_or(i32::MAX);
    // Beyond the system's limit if permitted; otherwise up to it.
    for (forced, plain) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    ] {
        if set_option(&socket, libc::SOL_SOCKET, forced, value).is_err() {
            set_option(&socket, libc::SOL_SOCKET, plain, value)?;
        }
    }
    Ok(socket)
}

/// Has the kernel say when each datagram reached the socket ([`Incoming::arrival`]).
pub fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Has the kernel cut each send into datagrams of that many octets (UDP GSO).
pub fn set_segment(socket: &UdpSocket, octets: usize) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, octets as i32)
}

#[allow(
    unsafe_code,
    reason = "setsockopt has no safe wrapper for these options"
)]
fn set_option(socket: &UdpSocket, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open while borrowed; the option is an int that lives through the
    // call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Which of many descriptors have something to read.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// A poller without descriptors, which reports at most `events_max` at once.
    #[allow(unsafe_code, reason = "epoll has no safe wrapper")]
    pub fn new(events_max: usize) -> io::Result<Self> {
        // SAFETY: the call takes a flag and returns a descriptor that is not owned elsewhere, or an
        // error.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            // SAFETY: just made, checked, not owned elsewhere.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            events: vec![libc::epoll_event { events: 0, u64: 0 }; events_max],
        })
    }

    /// Watches a descriptor as long as it is open.
    #[allow(unsafe_code, reason = "epoll has no safe wrapper")]
    pub fn add(&self, descriptor: &impl AsRawFd, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: key,
        };
        // SAFETY: both descriptors are open while borrowed; the event lives through the call.
        let result = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                descriptor.as_raw_fd(),
                &raw mut event,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Appends the keys of those that can be read, after waiting at most so long.
    #[allow(unsafe_code, reason = "epoll has no safe wrapper")]
    pub fn wait(&mut self, timeout: Duration, ready: &mut Vec<u64>) {
        let limit = timeout.as_micros().div_ceil(1000) as i32;
        // SAFETY: the events live through the call and the count is theirs.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as i32,
                limit,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        ready.extend(self.events.iter().take(count).map(|event| event.u64));
    }
}

/// Datagrams to send with as few calls as there can be.
pub struct Outgoing {
    names: Vec<libc::sockaddr_in>,
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(unsafe_code, reason = "sendmmsg has no safe wrapper")]
impl Outgoing {
    /// Room for [`BATCH`].
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: all three are numbers and pointers, for which zero is a value.
        unsafe {
            Self {
                names: vec![mem::zeroed(); BATCH],
                parts: vec![mem::zeroed(); BATCH],
                headers: vec![mem::zeroed(); BATCH],
            }
        }
    }

    /// Sends datagrams, blocking while the send buffer is full; returns how many were sent.
    pub fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        datagrams: impl IntoIterator<Item = (SocketAddrV4, &'a [u8])>,
    ) -> io::Result<usize> {
        let mut datagrams = datagrams.into_iter();
        let mut sent = 0;
        loop {
            let mut filled = 0;
            for (peer, octets) in datagrams.by_ref().take(BATCH) {
                self.names[filled] = name_of(peer);
                self.parts[filled] = libc::iovec {
                    iov_base: octets.as_ptr().cast_mut().cast(),
                    iov_len: octets.len(),
                };
                let header = &mut self.headers[filled].msg_hdr;
                header.msg_name = (&raw mut self.names[filled]).cast();
                header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                header.msg_iov = &raw mut self.parts[filled];
                header.msg_iovlen = 1;
                filled += 1;
            }
            if filled == 0 {
                return Ok(sent);
            }
            sent += self.call(socket, filled)?;
        }
    }

    fn call(&mut self, socket: &UdpSocket, filled: usize) -> io::Result<usize> {
        let mut first = 0;
        while first < filled {
            // SAFETY: the headers up to `filled` point to names and parts of ours, which are not
            // moved, and to octets the caller keeps borrowed; the kernel only reads them.
            let taken = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers.as_mut_ptr().add(first),
                    (filled - first) as libc::c_uint,
                    libc::MSG_NOSIGNAL as _,
                )
            };
            if taken < 0 {
                return Err(io::Error::last_os_error());
            }
            first += taken as usize;
        }
        Ok(filled)
    }
}

/// Room for one control message with a time.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Datagrams received with as few calls as there can be.
pub struct Incoming {
    octets: Vec<u8>,
    names: Vec<libc::sockaddr_in>,
    parts: Vec<libc::iovec>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
    filled: usize,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Incoming").finish_non_exhaustive()
    }
}

/// Without room: what is left where one was taken from.
impl Default for Incoming {
    fn default() -> Self {
        Self {
            octets: Vec::new(),
            names: Vec::new(),
            parts: Vec::new(),
            controls: Vec::new(),
            headers: Vec::new(),
            filled: 0,
        }
    }
}

#[allow(unsafe_code, reason = "recvmmsg has no safe wrapper")]
impl Incoming {
    /// Room for [`BATCH`].
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: all three are numbers and pointers, for which zero is a value.
        unsafe {
            Self {
                octets: vec![0; DATAGRAM_OCTETS * BATCH],
                names: vec![mem::zeroed(); BATCH],
                parts: vec![mem::zeroed(); BATCH],
                controls: vec![Control([0; 64]); BATCH],
                headers: vec![mem::zeroed(); BATCH],
                filled: 0,
            }
        }
    }

    /// Receives waiting datagrams, at most `limit`, without blocking; returns how many.
    pub fn receive(&mut self, socket: &UdpSocket, limit: usize) -> io::Result<usize> {
        self.filled = 0;
        let limit = limit.min(BATCH);
        let slots = self.octets.chunks_exact_mut(DATAGRAM_OCTETS).take(limit);
        for (slot, octets) in slots.enumerate() {
            self.parts[slot] = libc::iovec {
                iov_base: octets.as_mut_ptr().cast(),
                iov_len: DATAGRAM_OCTETS,
            };
            let header = &mut self.headers[slot].msg_hdr;
            header.msg_name = (&raw mut self.names[slot]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut self.parts[slot];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[slot]).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: all headers point to names, parts, controls and octets of ours with their true lengths,
        // which are not moved during the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                limit as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        if count >= 0 {
            self.filled = count as usize;
            return Ok(self.filled);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// When a datagram of the last call reached the socket, since 1970; None unless the kernel was asked
    /// ([`stamp_arrivals`]).
    #[must_use]
    pub fn arrival(&self, slot: usize) -> Option<Duration> {
        let header = &self.headers.get(..self.filled)?.get(slot)?.msg_hdr;
        // SAFETY: the kernel filled the header, and its control octets are ours; a control message of this
        // type holds a timespec, which may be unaligned.
        unsafe {
            let control = libc::CMSG_FIRSTHDR(header).as_ref()?;
            let is_time = control.cmsg_level == libc::SOL_SOCKET
                && control.cmsg_type == libc::SCM_TIMESTAMPNS;
            let time = is_time.then(|| libc::CMSG_DATA(control).cast::<libc::timespec>());
            let time = time?.read_unaligned();
            Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
        }
    }

    /// The datagrams of the last call.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        (0..self.filled).map(|slot| {
            let name = self.names[slot];
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            let start = slot * DATAGRAM_OCTETS;
            let length = self.headers[slot].msg_len as usize;
            let peer = SocketAddr::from((ip, u16::from_be(name.sin_port)));
            (peer, &self.octets[start..start + length])
        })
    }
}

/// Waits until a socket can be read, at most that long; returns whether it can.
#[must_use]
#[allow(unsafe_code, reason = "poll has no safe wrapper")]
pub fn wait_readable(socket: &impl AsRawFd, timeout: Duration) -> bool {
    let mut wanted = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd that lives through the call; the descriptor is open while borrowed.
    unsafe { libc::poll(&raw mut wanted, 1, timeout.as_millis() as i32) > 0 }
}

fn name_of(peer: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: peer.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*peer.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

/// The calling thread's number in `/proc`.
#[must_use]
#[allow(unsafe_code, reason = "gettid has no safe wrapper")]
pub fn thread_id() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::gettid() as u32 }
}
