//! Lets the thread block in epoll for sockets or a wake-up from another thread, bypassing the
//! executor.
//!
//! An `epoll_wait` costs a fraction of a sleep and wake-up of the executor. It is only for short waits,
//! because no task of the executor runs meanwhile. A completion in the executor's
//! rings ends such a wait too, because the kernel interrupts the thread that made a ring.

use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

/// Other threads ring it to end a wait. While the thread does not wait, ringing costs a fence.
#[derive(Debug)]
pub struct Bell {
    has_waiter: AtomicBool,
    event: File,
}

impl Bell {
    /// Ends the wait that is under way; false if none is. A wait that begins afterwards sees everything
    /// written before this call.
    pub fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        let ends_wait = self.has_waiter.load(Ordering::Relaxed)
            && self.has_waiter.swap(false, Ordering::SeqCst);
        if ends_wait {
            // It can only fail for a count near 2^64, at which the waiter is woken as well.
            let _ = (&self.event).write(&1u64.to_ne_bytes());
        }
        ends_wait
    }
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// A socket can be read, or the bell has rung.
    Ready,
    /// The kernel interrupted it: the executor's rings have something.
    Interrupted,
    /// The timeout is over.
    TimedOut,
}

/// The sockets and the bell that a thread waits for.
#[derive(Debug)]
pub struct Readiness {
    epoll: OwnedFd,
    bell: Arc<Bell>,
}

impl Readiness {
    /// Sockets to be read, which must outlive it, and a bell of its own.
    ///
    /// # Errors
    /// No descriptor is left, or a socket cannot be waited for.
    pub fn new<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Self> {
        let event = File::from(descriptor(event_descriptor())?);
        let epoll = descriptor(epoll_descriptor())?;
        add(&epoll, event.as_raw_fd())?;
        for socket in sockets {
            add(&epoll, socket.as_raw_fd())?;
        }
        let has_waiter = AtomicBool::new(false);
        let bell = Arc::new(Bell { has_waiter, event });
        Ok(Self { epoll, bell })
    }

    /// The bell that ends its waits.
    #[must_use]
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Waits for at most `timeout`, rounded up to milliseconds. Returns at once if `has_work`, which is
    /// called when the bell can already end the wait. [`Waited::TimedOut`] means that the bell did not ring.
    pub fn wait(&self, timeout: Duration, has_work: impl FnOnce() -> bool) -> Waited {
        self.bell.has_waiter.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let waited = if has_work() {
            Waited::Ready
        } else {
            self.wait_for_events(timeout)
        };
        if self.bell.has_waiter.swap(false, Ordering::SeqCst) {
            return waited;
        }
        // Another thread has rung, or is ringing right now; if its write is not read here, it ends the
        // next wait early.
        let _ = (&self.bell.event).read(&mut [0; 8]);
        match waited {
            Waited::Interrupted => Waited::Interrupted,
            Waited::Ready | Waited::TimedOut => Waited::Ready,
        }
    }

    #[allow(unsafe_code, reason = "epoll has no safe wrapper here")]
    fn wait_for_events(&self, timeout: Duration) -> Waited {
        let milliseconds = timeout.as_micros().div_ceil(1000);
        let milliseconds = libc::c_int::try_from(milliseconds).unwrap_or(libc::c_int::MAX);
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event, which lives through the call; the descriptor is ours.
        let count =
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), &raw mut event, 1, milliseconds) };
        match count {
            0 => Waited::TimedOut,
            1.. => Waited::Ready,
            _ => Waited::Interrupted,
        }
    }
}

fn descriptor(raw: libc::c_int) -> io::Result<OwnedFd> {
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    #[allow(unsafe_code, reason = "a new descriptor comes in its raw form")]
    // SAFETY: the callers pass what a call that makes descriptors just returned.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

#[allow(unsafe_code, reason = "eventfd has no safe wrapper here")]
fn event_descriptor() -> libc::c_int {
    // SAFETY: no pointer is passed.
    unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }
}

#[allow(unsafe_code, reason = "epoll has no safe wrapper here")]
fn epoll_descriptor() -> libc::c_int {
    // SAFETY: no pointer is passed.
    unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }
}

#[allow(unsafe_code, reason = "epoll has no safe wrapper here")]
fn add(epoll: &OwnedFd, socket: libc::c_int) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    let (epoll, add) = (epoll.as_raw_fd(), libc::EPOLL_CTL_ADD);
    // SAFETY: both descriptors are open, the event lives through the call.
    if unsafe { libc::epoll_ctl(epoll, add, socket, &raw mut event) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(1);

    fn has_nothing() -> bool {
        false
    }

    #[test]
    fn a_datagram_ends_every_wait_until_it_is_read() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let readiness = Readiness::new([socket.as_fd()].into_iter()).unwrap();
        assert_eq!(readiness.wait(SHORT, has_nothing), Waited::TimedOut);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client
            .send_to(b"OPTIONS", socket.local_addr().unwrap())
            .unwrap();
        assert_eq!(readiness.wait(LONG, has_nothing), Waited::Ready);
        assert_eq!(readiness.wait(LONG, has_nothing), Waited::Ready);
        socket.recv(&mut [0; 16]).unwrap();
        assert_eq!(readiness.wait(SHORT, has_nothing), Waited::TimedOut);
    }

    #[test]
    fn a_thread_with_work_does_not_wait() {
        let readiness = Readiness::new(std::iter::empty()).unwrap();
        assert_eq!(readiness.wait(LONG, || true), Waited::Ready);
        assert!(!readiness.bell().ring());
        assert_eq!(
            readiness.wait(SHORT, has_nothing),
            Waited::TimedOut,
            "no thread waited, so the bell wrote nothing"
        );
    }

    #[test]
    fn a_wakeup_is_never_lost() {
        const ROUNDS: u32 = 20_000;
        let readiness = Readiness::new(std::iter::empty()).unwrap();
        let bell = Arc::clone(readiness.bell());
        let (given, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let giver = {
            let (given, done) = (Arc::clone(&given), Arc::clone(&done));
            thread::spawn(move || {
                for round in 1..=ROUNDS {
                    given.store(round, Ordering::Relaxed);
                    bell.ring();
                    while done.load(Ordering::Acquire) < round {
                        thread::yield_now();
                    }
                }
            })
        };
        for round in 1..=ROUNDS {
            while given.load(Ordering::Relaxed) < round {
                let has_work = || given.load(Ordering::Relaxed) >= round;
                assert_eq!(readiness.wait(LONG, has_work), Waited::Ready);
            }
            done.store(round, Ordering::Release);
        }
        giver.join().unwrap();
    }
}
